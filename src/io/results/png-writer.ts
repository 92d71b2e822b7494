import { encode } from 'fast-png';
import { SamError } from '../../errors.js';
import type { LabelImage } from '../../ndimage/array.js';
import { maxLabel } from '../../ndimage/label.js';
import { metresPer, type PixelSize } from '../pixel-size.js';

/**
 * Label images → 16-bit grey PNG, the label being the grey value. A PNG holds one plane and 65,535 labels; more of
 * either is refused rather than folded into something that looks right.
 *
 * @param labels [H, W]
 */
export function encodeLabelPng(labels: LabelImage, { pixelSize }: { pixelSize?: PixelSize } = {}): Uint8Array {
  const [height, width, ...more] = labels.shape;
  if (height === undefined || width === undefined || more.length > 0)
    throw new SamError('unsupported', `A PNG holds one plane and the labels have the shape [${labels.shape}].`);
  const highest = maxLabel(labels);
  if (highest > 0xffff)
    throw new SamError(
      'unsupported',
      `A 16-bit PNG holds labels up to 65,535 and the highest here is ${highest}. Export a TIFF or OME-Zarr instead, or renumber the objects.`,
      { details: { highest } },
    );
  const png = encode({ width, height, data: Uint16Array.from(labels.data), depth: 16, channels: 1 });
  return pixelSize ? withPixelSize(png, pixelSize) : png;
}

const SIGNATURE_AND_HEADER = 8 + 25;

/** Adds a pHYs chunk (whole pixels per metre, all that PNG knows) behind the header. */
function withPixelSize(png: Uint8Array, { y, x, unit }: PixelSize): Uint8Array {
  const metres = metresPer(unit);
  if (metres === undefined) return png;
  const perMetre = { x: Math.round(1 / (x * metres)), y: Math.round(1 / (y * metres)) };
  if (!Object.values(perMetre).every((value) => value >= 1 && value <= 0x7fffffff)) return png;
  const chunk = new Uint8Array(4 + 4 + 9 + 4);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, 9);
  chunk.set([0x70, 0x48, 0x59, 0x73], 4); // 'pHYs'
  view.setUint32(8, perMetre.x);
  view.setUint32(12, perMetre.y);
  chunk[16] = 1; // the unit is the metre
  view.setUint32(17, crc32(chunk.subarray(4, 17)));
  const out = new Uint8Array(png.length + chunk.length);
  out.set(png.subarray(0, SIGNATURE_AND_HEADER));
  out.set(chunk, SIGNATURE_AND_HEADER);
  out.set(png.subarray(SIGNATURE_AND_HEADER), SIGNATURE_AND_HEADER + chunk.length);
  return out;
}

/** PNG specification, annex D. Bit by bit: it is used on 13 bytes. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
