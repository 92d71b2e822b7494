import type { YXYX } from '../../ndimage/array.js';
import type { Mask } from '../../ndimage/mask.js';
import { cropMask, intersectionArea } from '../../ndimage/mask-sets.js';

/**
 * IoU of two masks over the region that both frames see. Masks that no pixel of that region holds do not overlap: 0.
 * Boxes are image pixels.
 */
export function overlapInside(a: Mask, b: Mask, frameA: YXYX, frameB: YXYX): number {
  const common: YXYX = [
    Math.max(frameA[0], frameB[0]),
    Math.max(frameA[1], frameB[1]),
    Math.min(frameA[2], frameB[2]),
    Math.min(frameA[3], frameB[3]),
  ];
  if (common[0] >= common[2] || common[1] >= common[3]) return 0;
  const insideA = cropMask(a, common);
  const insideB = cropMask(b, common);
  const both = intersectionArea(insideA, insideB);
  return both === 0 ? 0 : both / (insideA.area + insideB.area - both);
}
