import type { YX } from './array.js';
import type { Mask } from './mask.js';
import { EMPTY_MASK, maskContains, maskFromBitmap, maskToBitmap } from './rle.js';

/** The part of the mask that holds the pixel at (y, x), joined by faces; empty if the mask does not hold it. */
export function componentAt(mask: Mask, at: YX): Mask {
  if (!maskContains(mask, at[0], at[1])) return EMPTY_MASK;
  const [top, left, bottom, right] = mask.box;
  const [height, width] = [bottom - top, right - left];
  const inside = maskToBitmap(mask, [height, width], [top, left]);
  const part = new Uint8Array(inside.length);
  const stack = new Int32Array(inside.length);
  let depth = 0;
  const push = (p: number) => {
    if (!inside[p] || part[p]) return;
    part[p] = 1;
    stack[depth++] = p;
  };
  push((Math.floor(at[0]) - top) * width + Math.floor(at[1]) - left);
  while (depth > 0) {
    const p = stack[--depth];
    const x = p % width;
    if (x > 0) push(p - 1);
    if (x < width - 1) push(p + 1);
    if (p >= width) push(p - width);
    if (p < inside.length - width) push(p + width);
  }
  return maskFromBitmap(part, [height, width], [top, left]);
}
