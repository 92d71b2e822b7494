import type { YX } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';

/** A mask, and what the model says of it: what all that is found, offered and chosen has in common. */
export interface ScoredMask {
  /** In image pixels. */
  readonly mask: Mask;
  /** The model's own estimate of the IoU with the truth, not clipped to 0..1. */
  readonly predictedIou: number;
  /** |logits > 1| / |logits > -1| on the 256 grid; 0 if nothing is above -1. */
  readonly stability: number;
}

/** One of the objects that an automatic segmentation finds; maps give no scores. */
export interface AutomaticObject extends Partial<ScoredMask> {
  readonly id: number;
  readonly mask: Mask;
  /** A pixel inside, or the prompt that found it, in image pixels; with the scores, it tells an object from another. */
  readonly point: YX;
}

/** Without what else is known of it. */
export function scoredMask({ mask, predictedIou, stability }: ScoredMask): ScoredMask {
  return { mask, predictedIou, stability };
}
