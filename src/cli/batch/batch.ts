import type { ParseArgsConfig } from 'node:util';
import { asSamError } from '../../errors.js';
import type { TaskOptions } from '../../task.js';
import { severalAtOnce } from '../../worker/several-at-once.js';
import { duration, ProgressLine } from './progress-line.js';

/**
 * Work over many files: a failing file never stops the others, Ctrl+C finishes cleanly, and a table at the end says
 * what became of each. Exit code 0 if every file is done or was done before, 1 if any failed or was not reached.
 */

/** Which files, which part of them, and how: flags of every command that works on many files. */
export const BATCH_FLAGS = {
  input_path: { type: 'string', short: 'i', multiple: true },
  pattern: { type: 'string' },
  shard: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const satisfies ParseArgsConfig['options'];

export interface BatchItem {
  readonly name: string;
  /** What is there already, so that the work can be skipped. */
  readonly exists?: () => boolean;
  /** Does the work; returns what the table shows, e.g. '34 objects'. */
  run(task: TaskOptions): Promise<string>;
}

export interface BatchRow {
  readonly name: string;
  readonly status: 'done' | 'skipped' | 'failed' | 'cancelled';
  readonly detail: string;
  readonly seconds: number;
}

export interface BatchOptions {
  readonly json?: boolean;
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  readonly progress?: ProgressLine;
  /** How many files to work on at the same time; asked again whenever one is done. Default 1. */
  readonly atOnce?: () => number;
}

export async function runBatch(items: readonly BatchItem[], options: BatchOptions = {}): Promise<BatchRow[]> {
  const progress = options.progress ?? new ProgressLine(process.stderr, options.json);
  const rows: BatchRow[] = [];
  const shares = items.map(() => 0);
  const tell = (index: number, share: number, message: string) => {
    shares[index] = share;
    progress.update({ done: shares.reduce((sum, one) => sum + one), total: items.length, message });
  };
  progress.start();
  const runItem = async (item: BatchItem, index: number): Promise<Pick<BatchRow, 'status' | 'detail'>> => {
    if (options.signal?.aborted) return { status: 'cancelled', detail: 'not reached' };
    if (!options.force && item.exists?.()) return { status: 'skipped', detail: 'output exists' };
    try {
      const detail = await item.run({
        signal: options.signal,
        onProgress: ({ done, total, message }) =>
          tell(index, total > 0 ? done / total : 0, `${item.name} (${index + 1} of ${items.length}): ${message}`),
      });
      return { status: 'done', detail };
    } catch (error) {
      const { code, message } = asSamError(error);
      return { status: code === 'cancelled' ? 'cancelled' : 'failed', detail: message };
    }
  };
  const each = async (item: BatchItem, index: number) => {
    const startedAt = Date.now();
    const end = await runItem(item, index);
    rows[index] = { name: item.name, ...end, seconds: (Date.now() - startedAt) / 1000 };
    tell(index, 1, `${item.name}: ${end.status}`);
  };
  await severalAtOnce([...items.entries()], options.atOnce ?? (() => 1), ([index, item]) => each(item, index));
  progress.clear();
  return rows;
}

/** Prints the table (or JSON) to stdout and returns the exit code. */
export function reportBatch(rows: readonly BatchRow[], json = false): number {
  if (json) {
    console.log(JSON.stringify(rows, null, 2));
  } else {
    const named = rows.map((row) => ({ ...row, name: printable(row.name) }));
    const width = Math.min(Math.max(...named.map(({ name }) => name.length), 4), WIDEST_NAME);
    for (const row of named) {
      console.log(
        `${row.name.padEnd(width)}  ${row.status.padEnd(9)}  ${duration(row.seconds).padStart(11)}  ${row.detail}`,
      );
    }
    const count = (status: BatchRow['status']) => rows.filter((row) => row.status === status).length;
    const parts = (['done', 'skipped', 'failed', 'cancelled'] as const)
      .map((s) => [s, count(s)] as const)
      .filter(([, n]) => n > 0);
    console.log(`${rows.length} files: ${parts.map(([s, n]) => `${n} ${s}`).join(', ')}.`);
  }
  return rows.every((row) => row.status === 'done' || row.status === 'skipped') ? 0 : 1;
}

/** One long name does not push the table off the screen. */
const WIDEST_NAME = 60;

/** File names may hold line breaks and whatever else moves a terminal. */
function printable(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must go
  return name.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
}

/** A signal that Ctrl+C and a scheduler's SIGTERM abort: the running file ends cleanly, the rest are not begun. */
export function interruptible(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort());
  return controller.signal;
}
