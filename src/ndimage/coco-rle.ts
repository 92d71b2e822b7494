import type { Size } from './array.js';
import type { Mask } from './mask.js';
import { maskToBitmap } from './rle.js';

/**
 * COCO's run lengths: over the whole image, column by column, background first, optionally packed into the printable
 * string that pycocotools reads and writes.
 */
export interface CocoRle {
  readonly size: Size;
  readonly counts: readonly number[];
}

export function toCocoRle(mask: Mask, [height, width]: Size): CocoRle {
  const bitmap = maskToBitmap(mask, [height, width]);
  const counts: number[] = [];
  let value = 0;
  let run = 0;
  for (let x = 0; x < width; x++) {
    for (let p = x; p < bitmap.length; p += width) {
      if (bitmap[p] !== value) {
        counts.push(run);
        value = bitmap[p];
        run = 0;
      }
      run++;
    }
  }
  counts.push(run);
  return { size: [height, width], counts };
}

/** Each count as a difference to the one two before, in groups of five bits from '0' upwards. */
export function encodeCounts(counts: readonly number[]): string {
  let text = '';
  counts.forEach((count, i) => {
    let rest = i > 2 ? count - counts[i - 2] : count;
    for (let more = true; more; ) {
      const bits = rest & 0x1f;
      rest >>= 5;
      more = bits & 0x10 ? rest !== -1 : rest !== 0;
      text += String.fromCharCode((more ? bits | 0x20 : bits) + 48);
    }
  });
  return text;
}
