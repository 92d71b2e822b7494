import type { TaskOptions } from '../task.js';

/**
 * Does `work` for each item, several at the same time, begun in order. When one fails the others are stopped, and its error is
 * thrown once they have ended.
 *
 * @param atOnce how many; asked again whenever one is done, since workers come and go
 */
export async function severalAtOnce<T>(
  items: readonly T[],
  atOnce: () => number,
  work: (item: T, signal: AbortSignal) => Promise<void>,
  { signal }: Pick<TaskOptions, 'signal'> = {},
): Promise<void> {
  const stop = new AbortController();
  const merged = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const failures: unknown[] = [];
  const running = new Set<Promise<void>>();
  for (const item of items) {
    while (running.size > 0 && running.size >= atOnce()) await Promise.race(running);
    if (merged.aborted) break;
    const job = work(item, merged)
      .catch((error) => {
        failures.push(error);
        stop.abort();
      })
      .finally(() => running.delete(job));
    running.add(job);
  }
  await Promise.all(running);
  signal?.throwIfAborted();
  if (failures.length > 0) throw failures[0];
}
