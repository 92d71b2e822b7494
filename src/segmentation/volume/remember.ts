import { keysOf } from '../../items.js';
import type { Mask } from '../../ndimage/mask.js';
import { masksEqual } from '../../ndimage/rle.js';
import type { ResolvedProjection, SegmentedSlice, SliceSegmenter } from './projection.js';

/**
 * Does not ask the model twice for the same: the latest results of each plane are kept with the mask and the projection
 * they came from. After a correction in one plane, an object or a track that is followed again costs only the planes
 * whose prompts have changed with it; elsewhere the very same masks come back.
 *
 * Of the planes of one image, with one model; a new image or model needs a new one.
 */
export function rememberingSegmenter(segment: SliceSegmenter): SliceSegmenter {
  const known = new Map<number, Remembered[]>();
  return async (plane, from, projection, task) => {
    const results = known.get(plane) ?? [];
    const same = results.find((one) => sameProjection(one.projection, projection) && masksEqual(one.from, from));
    if (same) return same.slice;
    const { mask, predictedIou, contrast } = await segment(plane, from, projection, task);
    const slice = { mask, predictedIou, contrast };
    known.set(plane, [{ from, projection, slice }, ...(known.get(plane) ?? [])].slice(0, KEPT));
    return slice;
  };
}

interface Remembered {
  readonly from: Mask;
  readonly projection: ResolvedProjection;
  readonly slice: SegmentedSlice;
}

/** Results per plane: a few objects or tracks, each with what a few corrections ago was; some kilobytes each. */
const KEPT = 16;

function sameProjection(a: ResolvedProjection, b: ResolvedProjection): boolean {
  return keysOf(a).every((key) => a[key] === b[key]);
}
