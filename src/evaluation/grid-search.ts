import type { LabelImage } from '../ndimage/array.js';
import { generateLabels } from '../segmentation/amg/generate.js';
import type { AmgState, AmgThresholds } from '../segmentation/amg/state.js';
import type { TaskOptions } from '../task.js';
import { scoreSegmentation } from './segmentation-accuracy.js';

/**
 * The thresholds of automatic mask generation that suit a set of labelled images best: every combination is tried on
 * the cached states, so the network runs once per image. As micro-sam 1.8 (`default_grid_search_values_amg`): predicted IoU 0.6 to 0.9 and stability
 * 0.6 to 0.95 in steps of 0.025, maximising the mean of the images' mean segmentation accuracy.
 */
export interface LabelledState {
  readonly state: AmgState;
  readonly reference: LabelImage;
}

export interface GridSearchOptions extends TaskOptions {
  readonly predIouThresh?: readonly number[];
  readonly stabilityScoreThresh?: readonly number[];
  /** Held fixed. */
  readonly thresholds?: Partial<AmgThresholds>;
}

export interface GridPoint {
  readonly predIouThresh: number;
  readonly stabilityScoreThresh: number;
  /** Mean over the images. */
  readonly msa: number;
}

export interface GridSearch {
  readonly best: GridPoint;
  /** All combinations, in the order they were tried. */
  readonly points: readonly GridPoint[];
}

/** `start`, `start + step`, … up to and including `end`. */
export function steps(start: number, end: number, step: number): number[] {
  const count = Math.floor((end - start) / step + 1e-9) + 1;
  return Array.from({ length: count }, (_, i) => Number((start + i * step).toFixed(6)));
}

export const GRID = { predIouThresh: steps(0.6, 0.9, 0.025), stabilityScoreThresh: steps(0.6, 0.95, 0.025) } as const;

export async function gridSearch(
  images: readonly LabelledState[],
  options: GridSearchOptions = {},
): Promise<GridSearch> {
  const { predIouThresh = GRID.predIouThresh, stabilityScoreThresh = GRID.stabilityScoreThresh } = options;
  const total = predIouThresh.length * stabilityScoreThresh.length;
  const points: GridPoint[] = [];
  for (const iou of predIouThresh) {
    for (const stability of stabilityScoreThresh) {
      options.signal?.throwIfAborted();
      const thresholds = { ...options.thresholds, predIouThresh: iou, stabilityScoreThresh: stability };
      const scores = images.map(
        ({ state, reference }) => scoreSegmentation(reference, generateLabels(state, thresholds).labels).msa,
      );
      const msa = scores.reduce((sum, score) => sum + score, 0) / scores.length;
      points.push({ predIouThresh: iou, stabilityScoreThresh: stability, msa });
      options.onProgress?.({ done: points.length, total, message: `Tried ${points.length} of ${total} settings` });
      await new Promise((resolve) => setTimeout(resolve, 0)); // lets a cancel request in
    }
  }
  const best = points.reduce((a, b) => (b.msa > a.msa ? b : a));
  return { best, points };
}
