import { type LabelImage, sizeOf } from '../../src/ndimage/array.js';
import type { CocoRle } from '../../src/ndimage/coco-rle.js';
import { threeAxes } from '../../src/ndimage/label.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { maskFromBitmap, paintMask } from '../../src/ndimage/rle.js';

/** The inverse of what the program writes as COCO. */

interface CocoFile {
  readonly images: readonly { readonly id: number; readonly plane?: number }[];
  readonly annotations: readonly {
    readonly label: number;
    readonly image_id: number;
    readonly segmentation: { readonly counts: string };
  }[];
}

export function cocoToLabels(text: string, shape: readonly number[]): LabelImage {
  const { images, annotations }: CocoFile = JSON.parse(text);
  const [, height, width] = threeAxes(shape);
  const labels: LabelImage = { data: new Uint32Array(sizeOf(shape)), shape };
  const planeOf = new Map(images.map(({ id, plane = 0 }) => [id, plane]));
  for (const { label, image_id, segmentation } of annotations) {
    const mask = fromCocoRle({ size: [height, width], counts: decodeCounts(segmentation.counts) });
    paintMask(labels, mask, label, { plane: planeOf.get(image_id) as number });
  }
  return labels;
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
