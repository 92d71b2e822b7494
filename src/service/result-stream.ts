import { membersOf, present } from '../items.js';
import { encodeError } from './call.js';

/**
 * Results as they come, for `for await`: in Python a generator (worker/hypha/peer.ts makes it one), through ImJoy an object whose
 * `next` is called until it says `done`. The work goes on whether or not somebody reads; who calls `return` ends it.
 */
export interface ResultStream<Item> extends AsyncIterableIterator<Item> {
  next(): Promise<IteratorResult<Item, undefined>>;
  return(): Promise<IteratorResult<Item, undefined>>;
  /** Resolves when the work has ended, however it did. */
  readonly ended: () => Promise<void>;
  /** Its functions may be called as often as one likes. */
  readonly _rintf: true;
}

/**
 * @param work hands out each result; it is stopped by the signal
 * @param show makes of a result what the reader gets, when the reader asks
 * @param options.latestOnly a result takes the place of one that nobody has read
 */
export function resultStream<Result, Item>(
  work: (emit: (result: Result) => void, signal: AbortSignal) => Promise<unknown>,
  show: (result: Result) => Item,
  { latestOnly = false }: { readonly latestOnly?: boolean } = {},
): ResultStream<Item> {
  const stop = new AbortController();
  const results: Result[] = [];
  const readers: (() => void)[] = [];
  let state: 'running' | 'done' | { readonly error: unknown } = 'running';
  const wake = () => {
    for (const reader of readers.splice(0)) reader();
  };
  const emit = (result: Result) => {
    if (latestOnly) results.length = 0;
    results.push(result);
    wake();
  };
  const ended = work(emit, stop.signal)
    .then(
      () => {
        state = 'done';
      },
      (error) => {
        state = stop.signal.aborted ? 'done' : { error };
      },
    )
    .finally(wake);
  const over = { done: true, value: undefined } as const;
  return {
    async next() {
      while (results.length === 0 && state === 'running') await new Promise<void>((resolve) => readers.push(resolve));
      if (results.length > 0) return { done: false, value: show(present(results.shift(), 'a result')) };
      const { error } = membersOf(state);
      state = 'done';
      if (error !== undefined) throw encodeError(error);
      return over;
    },
    async return() {
      stop.abort();
      results.length = 0;
      await ended;
      return over;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
    ended: () => ended,
    _rintf: true,
  };
}

export function isResultStream(value: unknown): value is ResultStream<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value && 'ended' in value;
}

/** A function that hands out its results as they come where it is given `stream: true`. */
export interface Streamable<Result, Item> {
  (...args: [...unknown[], Readonly<Record<string, unknown>> & { readonly stream: true }]): Promise<ResultStream<Item>>;
  (...args: unknown[]): Promise<Result>;
}

export function streamable<Result, Item>(
  call: (...args: unknown[]) => Promise<Result | ResultStream<Item>>,
): Streamable<Result, Item> {
  return call as Streamable<Result, Item>;
}
