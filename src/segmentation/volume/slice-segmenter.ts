import type { ImageContext } from '../context.js';
import { segmentFromMask } from '../from-prompts.js';
import { contrastOf, surroundingsOf } from './contrast.js';
import type { SliceSegmenter } from './projection.js';

/** The model as projection and tracking use it: from a neighbour's mask to a mask. */

/** With tiles, the tile follows the mask from plane to plane. */
export function sliceSegmenter(context: ImageContext): SliceSegmenter {
  return async (plane, from, projection, { signal }) => {
    const soft = projection.softMask && { boxExtension: 0, maxPoints: SOFT_MASK_POINTS };
    const { mask, predictedIou } = await segmentFromMask({ ...context, plane }, from, {
      ...projection,
      ...soft,
      signal,
    });
    const { pixels, size } = context.embeddings;
    const isJudged = projection.softMask || (projection.useMask && context.following?.scoreDrop !== undefined);
    if (!isJudged || !pixels || mask.area === 0) return { mask, predictedIou };
    const box = surroundingsOf(mask, size);
    return { mask, predictedIou, contrast: contrastOf(await pixels({ plane, box }, { signal }), mask, box) };
  };
}

/** More say no more about the object, and take longer. */
const SOFT_MASK_POINTS = 8;
