import type { Size } from './array.js';
import type { Mask } from './mask.js';
import { maskFromBitmap, maskToBitmap } from './rle.js';

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

/** @throws RangeError if the runs do not fill the image */
export function fromCocoRle({ size, counts }: CocoRle): Mask {
  const [height, width] = size;
  const bitmap = new Uint8Array(height * width);
  let position = 0;
  counts.forEach((count, i) => {
    const end = position + count;
    if (!(count >= 0) || end > bitmap.length) throw new RangeError(`Run ${i} of ${count} pixels leaves the image.`);
    if (i % 2 === 1) for (let k = position; k < end; k++) bitmap[(k % height) * width + Math.floor(k / height)] = 1;
    position = end;
  });
  if (position !== bitmap.length)
    throw new RangeError(`The runs cover ${position} pixels, expected ${height} x ${width} = ${bitmap.length}.`);
  return maskFromBitmap(bitmap, size);
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

/** @throws RangeError for a string that ends within a number or holds characters that are not part of the code */
export function decodeCounts(text: string): number[] {
  const counts: number[] = [];
  for (let at = 0; at < text.length; ) {
    let value = 0;
    let shift = 0;
    for (let more = true; more; shift += 5) {
      const code = text.charCodeAt(at++) - 48;
      if (!(code >= 0 && code < 64)) throw new RangeError(`Not a COCO run length string: character ${at}.`);
      value |= (code & 0x1f) << shift;
      more = (code & 0x20) !== 0;
      if (!more && code & 0x10) value |= -1 << (shift + 5);
    }
    counts.push(counts.length > 2 ? value + counts[counts.length - 2] : value);
  }
  return counts;
}
