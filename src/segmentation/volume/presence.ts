import type { Mask } from '../../ndimage/mask.js';
import type { TaskOptions } from '../../task.js';
import type { ResolvedProjection, SegmentedSlice, SliceSegmenter } from './projection.js';

/**
 * Whether an object that is followed with masks is still there. A mask stays where it is for many planes beyond the
 * object's end, so that overlap with the plane before says nothing. Two things are compared with the annotated plane
 * that the object is followed from: how much the model believes in the mask, and, where pixels are known, how well the
 * object stands out from its surroundings.
 */
export type PresenceTest = (slice: SegmentedSlice) => Presence;

/** 'faint' for several planes on end is gone, too: see `FAINT_PLANES`. */
export type Presence = 'there' | 'faint' | 'gone';

/** An object that is faint in so many planes on end has ended before them. Neurons are, in two or three, and go on. */
export const FAINT_PLANES = 4;

/**
 * Of 0.03 to 0.15 tried on real volumes: ends nuclei of a mouse embryo near their ends, and hardly any neuron early. Of
 * 0.05 to 0.2 tried on a time series: halves the frames in which something else is taken for the cell.
 */
const SCORE_DROP = 0.1;

/** Of 0 to 0.5 tried on real volumes, whole and with planes left out: ends nuclei in deep noisy stacks. */
const CONTRAST_LEFT = 0.2;

/** An object that stands out less than this, in standard deviations, is not told by it: most neurons in neuropil. */
const CONTRAST_NEEDED = 0.9;

/** micro-sam's rule is overlap alone. */
export const ALWAYS_THERE: PresenceTest = () => 'there';

/**
 * The plane to judge by: what is marked near the object's end, or was painted there, would let everything pass.
 *
 * @param marked plane → mask, at least one
 */
export function largestOf(marked: ReadonlyMap<number, Mask>): readonly [plane: number, mask: Mask] {
  return [...marked].reduce((best, one) => (one[1].area > best[1].area ? one : best));
}

/**
 * @param mask of the annotated plane; the model is asked once, for what it says where the object surely is
 * @param scoreDrop as in `Following`
 */
export async function presenceTest(
  segment: SliceSegmenter,
  plane: number,
  mask: Mask,
  projection: ResolvedProjection,
  task: TaskOptions,
  scoreDrop = SCORE_DROP,
): Promise<PresenceTest> {
  const { predictedIou, contrast = [] } = await segment(plane, mask, projection, task);
  const channel = contrast.reduce((best, value, c) => (Math.abs(value) > Math.abs(contrast[best]) ? c : best), 0);
  const there = contrast[channel] ?? 0;
  const tells = Math.abs(there) >= CONTRAST_NEEDED;
  return (slice) => {
    if (slice.predictedIou < predictedIou - scoreDrop) return 'gone';
    const now = (slice.contrast ?? contrast)[channel];
    return tells && now / there < CONTRAST_LEFT ? 'faint' : 'there';
  };
}
