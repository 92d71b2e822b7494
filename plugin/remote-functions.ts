/**
 * An object of functions that the other side of imjoy-rpc may call as often as it likes, which is what `_rintf` says; the
 * mark must be on the very object that holds the function, since core renames nested ones otherwise.
 *
 * imjoy-rpc keeps such an object for as long as the window lives, and so does every window on the way, unless it has a
 * function `on` by which it tells that it is closed. `release` tells so.
 */
export type RemoteFunctions<T extends object> = T & {
  readonly _rintf: true;
  on(event: string, listener: () => unknown): void;
};

const listeners = new WeakMap<object, Set<() => unknown>>();

export function remoteFunctions<T extends object>(functions: T): RemoteFunctions<T> {
  const closed = new Set<() => unknown>();
  const object: RemoteFunctions<T> = {
    ...functions,
    _rintf: true,
    on: (event, listener) => {
      if (event === 'close') closed.add(listener);
    },
  };
  listeners.set(object, closed);
  return object;
}

/** Calls that were sent before the other side heard of the end arrive within this; where nobody is, they would fail. */
const LATE_MS = 10_000;

/** What still calls the functions does nothing from now on, and what they hold is let go. */
export function release(object: RemoteFunctions<object>, late = LATE_MS): void {
  const functions = object as Record<string, unknown>;
  for (const [name, value] of Object.entries(functions))
    if (typeof value === 'function') functions[name] = () => undefined;
  const closed = listeners.get(object) ?? [];
  listeners.delete(object);
  const timer: { unref?(): void } | number = setTimeout(() => {
    for (const listener of closed) void tell(listener);
  }, late);
  if (typeof timer === 'object') timer.unref?.();
}

/** The listener may be another window's, which may be gone. */
async function tell(listener: () => unknown): Promise<void> {
  try {
    await listener();
  } catch {
    // it keeps nothing then
  }
}

/** Functions that are let go together. */
export class Handed {
  #all: RemoteFunctions<object>[] = [];

  /** As `remoteFunctions`, until `release`. */
  readonly hand = <T extends object>(functions: T): RemoteFunctions<T> => {
    const object = remoteFunctions(functions);
    this.#all.push(object);
    return object;
  };

  release(late?: number): void {
    for (const object of this.#all.splice(0)) release(object, late);
  }
}

export type Hand = Handed['hand'];
