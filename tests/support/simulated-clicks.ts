import type { YX } from '../../src/ndimage/array.js';
import { distanceToEdge, innermostPixel } from '../../src/ndimage/distance.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { subtractMasks } from '../../src/ndimage/mask-sets.js';
import type { PromptPoint } from '../../src/segmentation/image-prompt.js';

/** Where a person clicks who knows the right outline. */

/** In the middle of what is missing or of what is too much, whichever is wider. */
export function clickInLargestError(truth: Mask, mask: Mask): PromptPoint | undefined {
  const [missing, extra] = [subtractMasks(truth, mask), subtractMasks(mask, truth)];
  const widths = [missing, extra].map((error) => (error.area > 0 ? distanceToEdge(error, middleOf(error)) : 0));
  if (Math.max(...widths) === 0) return undefined;
  return widths[0] >= widths[1] ? { at: middleOf(missing), positive: true } : { at: middleOf(extra), positive: false };
}

export function middleOf(mask: Mask): YX {
  const [y, x] = innermostPixel(mask);
  return [y + 0.5, x + 0.5];
}
