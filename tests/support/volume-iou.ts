import type { Mask } from '../../src/ndimage/mask.js';
import { intersectionArea } from '../../src/ndimage/mask-sets.js';

/** Intersection over union of two objects given by plane; 0 if both are empty. */
export function volumeIou(a: ReadonlyMap<number, Mask>, b: ReadonlyMap<number, Mask>): number {
  let intersection = 0;
  let total = 0;
  for (const [plane, mask] of a) {
    total += mask.area;
    const other = b.get(plane);
    if (other) intersection += intersectionArea(mask, other);
  }
  for (const mask of b.values()) total += mask.area;
  return total > 0 ? intersection / (total - intersection) : 0;
}
