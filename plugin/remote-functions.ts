/**
 * Objects of functions between windows. imjoy-rpc keeps one for as long as the window lives that sent it, and so does the
 * page in between, which sends it on. Both have to be told of its end: the sender's own imjoy-rpc by a function `on` of the
 * object, the page by whoever got it from there (`letGo`).
 */
export type RemoteFunctions<T extends object> = T & { readonly _rintf: true };

type Listener = () => unknown;
const listeners = new WeakMap<object, Set<Listener>>();

/**
 * An object of functions that the other side may call as often as it likes, which is what `_rintf` says; the mark must be on
 * the very object that holds the function, since core renames nested ones otherwise.
 */
export function remoteFunctions<T extends object>(functions: T): RemoteFunctions<T> {
  const closed = new Set<Listener>();
  const object: RemoteFunctions<T> = { ...functions, _rintf: true };
  // Not sent along: the page would call it by imjoy-rpc, which keeps the arguments of such a call for ever.
  Object.defineProperty(object, 'on', {
    value: (event: string, listener: Listener) => event === 'close' && closed.add(listener),
  });
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
  later(late, () => {
    for (const listener of closed) listener();
  });
}

/** `disposeObject` of the ImJoy API, where there is one. */
export type Dispose = ((object: object) => unknown) | undefined;

/** An object of functions that came from another window is not called any more. */
export function letGo(received: unknown, dispose: Dispose, late = LATE_MS): void {
  if (typeof received !== 'object' || received === null || !('_rintf' in received)) return;
  if (dispose && typeof received._rintf === 'string') later(late, () => dispose(received));
}

function later(milliseconds: number, job: () => void): void {
  const timer: { unref?(): void } | number = setTimeout(job, milliseconds);
  if (typeof timer === 'object') timer.unref?.();
}

/** Functions that are let go together. */
export class Handed {
  private all: RemoteFunctions<object>[] = [];

  /** As `remoteFunctions`, until `release`. */
  readonly hand = <T extends object>(functions: T): RemoteFunctions<T> => {
    const object = remoteFunctions(functions);
    this.all.push(object);
    return object;
  };

  release(late?: number): void {
    for (const object of this.all.splice(0)) release(object, late);
  }
}

export type Hand = Handed['hand'];
