import { itemAt } from '../../src/items.js';
import type { Size } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { intersectionArea } from '../../src/ndimage/mask-sets.js';
import { EMPTY_MASK } from '../../src/ndimage/rle.js';
import type { ImageContext } from '../../src/segmentation/context.js';
import { segmentFromBox } from '../../src/segmentation/from-prompts.js';
import { TRACK_OPTIONS, type TrackOptions } from '../../src/segmentation/tracking/options.js';
import { type Track, trackAcrossFrames } from '../../src/segmentation/tracking/track.js';
import { sliceSegmenter } from '../../src/segmentation/volume/slice-segmenter.js';
import type { TaskOptions } from '../../src/task.js';

/**
 * How well one prompt per object tracks it: the true box of its first frame, then tracking forward. A frame counts as in
 * the SEG measure of the Cell Tracking Challenge: the Jaccard index with the true mask if more than half of that is
 * covered, else 0.
 */
export interface TrackAccuracy {
  /** Mean over the true frames. */
  readonly seg: number;
  /** By true frame, in order. */
  readonly frames: readonly { readonly frame: number; readonly jaccard: number }[];
  /** First true frame that is not matched; absent if all are. */
  readonly failsAt?: number;
  /** Frames in which something else was taken for the object. */
  readonly wrong: number;
  readonly end: Track['end'];
}

/**
 * @param truth frame → true mask
 * @param frames length of the series
 */
export async function trackAccuracy(
  context: ImageContext,
  truth: ReadonlyMap<number, Mask>,
  frames: number,
  size: Size,
  options: Partial<TrackOptions> & TaskOptions = {},
): Promise<TrackAccuracy> {
  const { signal, onProgress: _, ...settings } = options;
  const planes = [...truth.keys()].sort((a, b) => a - b);
  const first = itemAt(planes, 0);
  const start = (await segmentFromBox({ ...context, plane: first }, (truth.get(first) as Mask).box, { signal })).mask;
  const track: Pick<Track, 'masks' | 'end'> =
    start.area > 0
      ? await trackAcrossFrames(
          { masks: new Map([[first, start]]), divisions: new Set(), stopLower: false, stopUpper: false },
          frames,
          size,
          sliceSegmenter(context),
          { ...TRACK_OPTIONS, ...context.following, ...settings },
          { signal },
        )
      : { masks: new Map(), end: { reason: 'lost', frame: first } };
  const scored = planes.map((frame) => ({ frame, jaccard: matched(truth.get(frame) as Mask, track.masks.get(frame)) }));
  const failsAt = scored.find(({ jaccard }) => jaccard === 0)?.frame;
  return {
    seg: scored.reduce((sum, { jaccard }) => sum + jaccard, 0) / scored.length,
    frames: scored,
    ...(failsAt !== undefined && { failsAt }),
    wrong: [...track.masks].filter(([frame, mask]) => matched(truth.get(frame) ?? EMPTY_MASK, mask) === 0).length,
    end: track.end,
  };
}

function matched(truth: Mask, found: Mask | undefined): number {
  if (!found) return 0;
  const common = intersectionArea(truth, found);
  return common > truth.area / 2 ? common / (truth.area + found.area - common) : 0;
}
