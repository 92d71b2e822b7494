import type { ObjectSizes } from '../model/model-spec.js';
import type { ObjectPrompt } from '../model/transforms.js';
import type { Size, YXYX } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';
import { maskIou } from '../ndimage/mask-sets.js';

/**
 * What the stated size of objects does beyond the choice of tiles, and what the sizes do that a model was trained on.
 * docs/automatic-segmentation.md has the figures.
 *
 * For a single point: it alone leaves open which object is meant, and for small ones SAM scores the background higher
 * than the nucleus under the point. The point in a box of the stated size leaves less open: what the model makes of it
 * decides between the masks of the point, and takes their place if none agrees.
 *
 * For automatic masks: stability is counted as for objects of one size, whatever the objects' own.
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

/** Times the largest object that was trained on. Images are not all taken at one magnification. */
const TOO_LARGE = 3;
/** Of the highest predicted IoU. A model that has learned what objects are says of masks that are none that they are bad. */
const FAR_BEHIND = 0.8;

/**
 * The masks of a point that may be objects: not many times larger than those that the model was trained on, and not far less sure
 * than the surest mask. In an image of small objects all three masks show everything that is not background, or parts of that.
 *
 * @param candidates the surest first
 * @returns in the same order
 */
export function likelyObjects<C extends { readonly mask: Mask; readonly predictedIou: number }>(
  candidates: readonly C[],
  { largest }: ObjectSizes,
): C[] {
  const most = (Math.PI / 4) * (TOO_LARGE * largest) ** 2;
  const least = FAR_BEHIND * (candidates[0]?.predictedIou ?? 0);
  return candidates.filter(({ mask, predictedIou }) => mask.area > 0 && mask.area <= most && predictedIou >= least);
}

/** Points along each side of a frame for automatic masks: 1.2 across an object of the stated size, 16 to 32 in all. */
export function gridFor(frame: Size, diameter: number): number {
  return Math.min(32, Math.max(16, Math.ceil((1.2 * Math.max(...frame)) / diameter)));
}

/**
 * Diameter, in cells of the 256 grid, of the objects that stability scores are made comparable to: a quarter of what the
 * encoder sees. From 64 on the accuracy does not change.
 */
const COMPARED = 64;

/**
 * The stability score that a mask with as sharp an edge would have if it were larger. What the score counts as unstable,
 * the cells with logits near 0, is a ring along the edge: the same width is a share of the mask that falls with the
 * diameter, so small masks score low however sharp they are.
 *
 * @param diameter stated, in cells of the 256 grid
 */
export function comparableStability(stability: number, diameter: number): number {
  return 1 - (1 - stability) * Math.min(1, diameter / COMPARED);
}

/** The inverse: the score that `comparableStability` makes `comparable` of, but at least 0. */
export function plainStability(comparable: number, diameter: number): number {
  return Math.max(0, 1 - (1 - comparable) / Math.min(1, diameter / COMPARED));
}
