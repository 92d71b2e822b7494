import type { Browser, Page } from 'playwright-core';

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly args: { readonly name?: string };
  /** Microseconds by the clock, and of processor time. */
  readonly dur?: number;
  readonly tdur?: number;
}

/** The longest tasks of the thread that all frames of a page share, in milliseconds, while something is done. */
export async function longestTask(
  browser: Browser,
  page: Page,
  work: () => Promise<void>,
): Promise<{ readonly cpu: number; readonly wall: number }> {
  await browser.startTracing(page, { categories: ['toplevel', '__metadata'] });
  await work();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
  const threadOf = ({ pid, tid }: TraceEvent) => `${pid} ${tid}`;
  const main = traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain');
  const threads = new Set(main.map(threadOf));
  const tasks = traceEvents.filter((event) => /RunTask$/.test(event.name) && threads.has(threadOf(event)));
  const most = (values: readonly (number | undefined)[]) => Math.max(0, ...values.map((value = 0) => value / 1000));
  if (tasks.length === 0) throw new Error('The trace has no task of a page.');
  return { cpu: most(tasks.map(({ tdur }) => tdur)), wall: most(tasks.map(({ dur }) => dur)) };
}
