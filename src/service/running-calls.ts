import * as v from 'valibot';
import { SamError } from '../errors.js';
import type { AnnotationSession } from '../session/session.js';
import type { Progress, TaskOptions } from '../task.js';
import { callable } from './callback.js';
import { type ResultStream, resultStream } from './result-stream.js';

/** What every function that takes long also takes: a name to cancel it by, and who is told how far it is. */
export const TASK_ARGUMENTS = {
  task: v.optional(v.pipe(v.string(), v.nonEmpty(), v.maxLength(200))),
  /** A function, or `{ _rintf: true, report(progress) {} }` where a function alone may be called only once (ImJoy). */
  progress: v.optional(
    v.pipe(
      v.custom<object>((value) => typeof value === 'function' || typeof value === 'object', 'expected a function'),
      v.transform((value) => callable(value, 'report')),
    ),
  ),
};

/** Of functions that can hand out their results as they come. */
export const STREAM_ARGUMENTS = { ...TASK_ARGUMENTS, stream: v.optional(v.boolean()) };

export interface TaskArguments {
  readonly task?: string;
  readonly progress?: (progress: Progress) => unknown;
}

/** The calls under way that their callers can cancel by the name they gave them. */
export class RunningCalls {
  private readonly running = new Map<string, AbortController>();
  private readonly all = new Set<AbortController>();

  /** Runs a job whose caller hears of its progress: the last step before the result, of earlier ones what it has time for. */
  async run<T>(
    { task, progress }: TaskArguments,
    job: (options: TaskOptions) => Promise<T>,
    stopped?: AbortSignal,
  ): Promise<T> {
    if (task !== undefined && this.running.has(task))
      throw new SamError(
        'invalid_argument',
        `A call with the task ${JSON.stringify(task)} is under way; give another name.`,
      );
    const controller = new AbortController();
    stopped?.addEventListener('abort', () => controller.abort(), { once: true });
    if (task !== undefined) this.running.set(task, controller);
    this.all.add(controller);
    const report = progress && latestOnly(({ done, total, message }: Progress) => progress({ done, total, message }));
    try {
      const { signal } = controller;
      const aborted = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(new SamError('cancelled', 'Cancelled.')), { once: true });
      });
      return await Promise.race([job({ signal, ...(report && { onProgress: report.tell }) }), aborted]);
    } finally {
      if (task !== undefined) this.running.delete(task);
      this.all.delete(controller);
      await report?.finished();
    }
  }

  /** The same for work of the session, which shows its progress itself; cancelled is what it has under way. */
  runIn<T>(session: AnnotationSession, given: TaskArguments, job: () => Promise<T>, stopped?: AbortSignal): Promise<T> {
    const inSession = async ({ signal, onProgress }: TaskOptions) => {
      const earlier = new Set(session.state.tasks.map(({ id }) => id));
      const stop = session.subscribe(({ tasks }, previous) => {
        if (tasks === previous.tasks) return;
        for (const task of tasks)
          if (!earlier.has(task.id) && !previous.tasks.includes(task)) onProgress?.(task.progress);
      });
      const cancel = () => {
        const mine = session.state.tasks.filter(({ id }) => !earlier.has(id));
        for (const { id } of mine) session.cancel(id);
        if (mine.length === 0) session.cancel('segment'); // it waits for its turn, as what else waits
      };
      signal?.addEventListener('abort', cancel, { once: true });
      try {
        return await job();
      } finally {
        signal?.removeEventListener('abort', cancel);
        stop();
      }
    };
    return this.run(given, inSession, stopped);
  }

  /** A job that hands out its results as they come. */
  stream<Result, Item>(
    given: TaskArguments,
    job: (options: TaskOptions, emit: (result: Result) => void) => Promise<unknown>,
    show: (result: Result) => Item,
  ): ResultStream<Item> {
    return resultStream((emit, stopped) => this.run(given, (options) => job(options, emit), stopped), show);
  }

  /** Whoever made them is gone. */
  cancelAll(): void {
    for (const controller of this.all) controller.abort();
  }

  /** @returns whether there was such a call */
  cancel(task: string): boolean {
    const controller = this.running.get(task);
    controller?.abort();
    return controller !== undefined;
  }
}

/** Calls one at a time; of what comes meanwhile, the latest. One that fails is called no more. */
export function latestOnly<News extends object = Progress>(call: (news: News) => unknown) {
  let waiting: News | undefined;
  let calling: Promise<void> | undefined;
  let failed = false;
  const next = async (): Promise<void> => {
    while (waiting && !failed) {
      const news = waiting;
      waiting = undefined;
      try {
        await call(news);
      } catch {
        failed = true; // its window or process is gone
      }
    }
    calling = undefined;
  };
  return {
    tell(news: News) {
      waiting = news;
      calling ??= next();
    },
    async finished() {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ANSWER_MS);
      });
      await Promise.race([calling, late]);
      clearTimeout(timer);
    },
  };
}

/** A caller who does not answer what is told of the progress gets the result all the same. */
const ANSWER_MS = 1000;
