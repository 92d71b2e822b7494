/**
 * During the tests of the surrounding `describe`, timers run ten times as fast: for tests of what happens when patience has
 * ended, which have nothing to do meanwhile. The clock is left as it is.
 */
export function fasterTimers(): void {
  const { setTimeout, setInterval } = globalThis;
  before(() => {
    const faster = <T extends typeof setTimeout | typeof setInterval>(timer: T) =>
      Object.assign(
        (act: () => void, milliseconds = 0, ...rest: []) => timer(act, milliseconds / TIMES, ...rest),
        timer,
      ) as T;
    globalThis.setTimeout = faster(setTimeout);
    globalThis.setInterval = faster(setInterval);
  });
  after(() => Object.assign(globalThis, { setTimeout, setInterval }));
}

const TIMES = 10;
