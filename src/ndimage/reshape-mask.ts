import type { Size, YX } from './array.js';
import { distanceTransform } from './distance.js';
import { gaussianFilter } from './gaussian.js';
import type { Mask } from './mask.js';
import { type Bitmap, fillHoles } from './morphology.js';
import { EMPTY_MASK, maskFromBitmap, maskToBitmap } from './rle.js';

/**
 * One mask made larger, smaller, smoother or whole, inside an image of `size` = [height, width]. What touches the edge of
 * the image is taken to go on beyond it.
 */

/** All pixels at most so far from the mask, centre to centre. */
export function growMask(mask: Mask, pixels: number, size: Size): Mask {
  return reshaped(mask, Math.ceil(pixels) + 1, size, (bitmap) => {
    const away = distanceTransform({ ...bitmap, data: bitmap.data.map((value) => 1 - value) }).data;
    return bitmap.data.map((_, p) => (away[p] <= pixels ? 1 : 0));
  });
}

/** The pixels of the mask that are farther than that from the nearest pixel outside of it, centre to centre. */
export function shrinkMask(mask: Mask, pixels: number, size: Size): Mask {
  return reshaped(mask, 1, size, (bitmap) => {
    const inside = distanceTransform(bitmap).data;
    return bitmap.data.map((_, p) => (inside[p] > pixels ? 1 : 0));
  });
}

/** With the background that it encloses. */
export function fillMaskHoles(mask: Mask, size: Size): Mask {
  return reshaped(mask, 1, size, (bitmap) => fillHoles(bitmap).data);
}

/** Without bumps and notches of a few pixels: where a Gaussian of the mask is at least half. @param sigma in pixels */
export function smoothMask(mask: Mask, size: Size, sigma = 1.5): Mask {
  return reshaped(mask, Math.ceil(3 * sigma), size, (bitmap) => {
    const { data } = gaussianFilter(bitmap, sigma);
    return bitmap.data.map((_, p) => (data[p] >= 0.5 ? 1 : 0));
  });
}

/** Works on the mask's box, with a margin that ends at the edge of the image. */
function reshaped(mask: Mask, margin: number, size: Size, change: (bitmap: Bitmap) => Uint8Array): Mask {
  if (mask.area === 0) return EMPTY_MASK;
  const [y0, x0, y1, x1] = mask.box;
  const offset: YX = [Math.max(0, y0 - margin), Math.max(0, x0 - margin)];
  const shape: Size = [Math.min(size[0], y1 + margin) - offset[0], Math.min(size[1], x1 + margin) - offset[1]];
  return maskFromBitmap(change({ data: maskToBitmap(mask, shape, offset), shape }), shape, offset);
}
