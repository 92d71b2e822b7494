import { UsageError } from '../command.js';

/**
 * Which part of a sorted list of inputs this process works on, so that a cluster's own scheduler can run many of them
 * side by side: item k belongs to shard (k mod count). Nothing is shared between the processes.
 */
export interface Shard {
  /** 0-based. */
  readonly index: number;
  readonly count: number;
}

export const WHOLE: Shard = { index: 0, count: 1 };

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * @param text 'i/n' with i from 1 to n, or 'auto': a Slurm array task (SLURM_ARRAY_TASK_ID, _MIN, _COUNT) or an indexed
 *   Kubernetes job (JOB_COMPLETION_INDEX, with the number of completions in JOB_COMPLETIONS)
 */
export function parseShard(text: string | undefined, environment: Environment = process.env): Shard {
  if (text === undefined) return WHOLE;
  if (text === 'auto') return shardOf(environment);
  const match = /^(\d+)\/(\d+)$/.exec(text);
  const [index, count] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  if (index < 1 || index > count)
    throw new UsageError(`--shard is "${text}"; expected i/n with i from 1 to n, or auto.`);
  return { index: index - 1, count };
}

function shardOf(environment: Environment): Shard {
  const number = (name: string) => {
    const value = environment[name];
    return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
  };
  const task = number('SLURM_ARRAY_TASK_ID');
  const tasks = number('SLURM_ARRAY_TASK_COUNT');
  if (task !== undefined && tasks !== undefined) return within(task - (number('SLURM_ARRAY_TASK_MIN') ?? 0), tasks);
  const pod = number('JOB_COMPLETION_INDEX');
  const pods = number('JOB_COMPLETIONS');
  if (pod !== undefined && pods !== undefined) return within(pod, pods);
  throw new UsageError(
    '--shard auto needs SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT (Slurm array), or JOB_COMPLETION_INDEX and ' +
      'JOB_COMPLETIONS (Kubernetes indexed job). Give --shard i/n instead.',
  );
}

function within(index: number, count: number): Shard {
  if (index < 0 || index >= count) {
    throw new UsageError(
      `The scheduler's task ${index + 1} lies outside its ${count} tasks; array steps other than 1 are not supported.`,
    );
  }
  return { index, count };
}

export function ofShard<T>(items: readonly T[], { index, count }: Shard): T[] {
  return items.filter((_, k) => k % count === index);
}
