import type { ObjectPrompt } from '../model/transforms.js';
import type { Size, YXYX } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';
import { maskIou } from '../ndimage/mask-sets.js';

/**
 * What the stated size of objects does for a single point. The point alone leaves open which object is meant, and for
 * small ones SAM scores the background higher than the nucleus under the point. The point in a box of the stated size
 * leaves less open: what the model makes of it decides between the masks of the point, and takes their place if none
 * agrees. (docs/automatic-segmentation.md has the figures.)
 */

/** IoU from which two masks are of the same object; anything from 0.5 to 0.7 gives the same within 0.004. */
const AGREEMENT = 0.6;

/** The prompt's first point in a square of side `diameter`, cut at the frame. */
export function inStatedBox({ points = [] }: ObjectPrompt, diameter: number, [height, width]: Size): ObjectPrompt {
  const [{ at }] = points;
  const half = diameter / 2;
  const box: YXYX = [
    Math.max(0, at[0] - half),
    Math.max(0, at[1] - half),
    Math.min(height, at[0] + half),
    Math.min(width, at[1] + half),
  ];
  return { points, box };
}

/** Those that agree with the mask from the box, else that one; then the others. */
export function agreeingFirst<C extends { readonly mask: Mask }>(candidates: readonly C[], fromBox: C): C[] {
  const agreeing = candidates.filter(({ mask }) => maskIou(mask, fromBox.mask) >= AGREEMENT);
  const others = candidates.filter((candidate) => !agreeing.includes(candidate));
  return [...(agreeing.length > 0 ? agreeing : [fromBox]), ...others];
}
