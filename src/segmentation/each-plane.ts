import type { Progress, TaskOptions } from '../task.js';
import { severalAtOnce } from '../worker/several-at-once.js';
import type { SegmentContext } from './context.js';

export interface PlaneTask {
  readonly plane: number;
  readonly signal: AbortSignal;
  /** Progress of this plane alone. */
  readonly onProgress: (progress: Progress) => void;
}

export interface EachPlaneOptions extends TaskOptions {
  /** Planes that hold no picture: passed over. */
  readonly absent?: readonly number[];
}

/** Does `work` for each plane, as many at the same time as the worker has others behind it, begun in order. */
export async function eachPlane(
  { worker }: Pick<SegmentContext, 'worker'>,
  planes: number,
  work: (task: PlaneTask) => Promise<void>,
  { absent = [], signal, onProgress }: EachPlaneOptions = {},
): Promise<void> {
  const shares = Array.from({ length: planes }, (_, plane) => Number(absent.includes(plane)));
  const there = Array.from(shares.keys()).filter((plane) => shares[plane] === 0);
  const one = (plane: number, stopped: AbortSignal) =>
    work({
      plane,
      signal: stopped,
      onProgress({ done, total, message }) {
        shares[plane] = total > 0 ? done / total : 0;
        onProgress?.({ done: shares.reduce((sum, share) => sum + share), total: planes, message });
      },
    });
  await severalAtOnce(there, () => worker.atOnce ?? 1, one, { signal });
}
