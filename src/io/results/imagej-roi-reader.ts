import { SamError } from '../../errors.js';
import { type LabelImage, sizeOf, type YX } from '../../ndimage/array.js';
import { threeAxes } from '../../ndimage/label.js';
import { ellipseRing, type Ring, rasterizePolygon } from '../../ndimage/rasterize.js';
import { paintMask } from '../../ndimage/rle.js';
import { listKeys } from '../stores/prefix.js';
import { zipStore } from '../stores/zip.js';

/**
 * ImageJ regions that enclose an area → labels: polygon, freehand, traced, rectangle, oval and composite (of straight
 * segments). Lines, points and angles are left out. Format: ij/io/RoiDecoder.java of ImageJ 1.
 */
export interface ImageJRoi {
  readonly name: string;
  /** From our own property `label`, if there is one. */
  readonly label?: number;
  /** Counts from 1; 0 means all. */
  readonly slice: number;
  /** Even-odd; empty for what has no area. */
  readonly rings: readonly Ring[];
}

/** The regions of a ROI Manager zip painted in order; regions without a label get the next free number. */
export async function roiZipToLabels(archive: Uint8Array, shape: readonly number[]): Promise<LabelImage> {
  const store = await zipStore(archive, 'The ROI archive');
  const rois: ImageJRoi[] = [];
  for (const key of await listKeys(store)) {
    const bytes = /\.roi$/i.test(key) ? await store.get(key) : undefined;
    if (bytes) rois.push(decodeRoi(bytes, key));
  }
  const [planes, height, width] = threeAxes(shape);
  const labels: LabelImage = { data: new Uint32Array(sizeOf(shape)), shape };
  let next = 1 + rois.reduce((highest, { label = 0 }) => Math.max(highest, label), 0);
  for (const { name, label, slice, rings } of rois) {
    if (rings.length === 0) continue;
    if (slice > planes)
      throw new SamError('invalid_image', `Region "${name}" is on slice ${slice} and the image has ${planes}.`);
    paintMask(labels, rasterizePolygon(rings, [height, width]), label ?? next++, { plane: Math.max(0, slice - 1) });
  }
  return labels;
}

/** @throws SamError `invalid_image` if it is no ROI file or cut off */
export function decodeRoi(bytes: Uint8Array, file = 'This file'): ImageJRoi {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    if (view.getUint32(0) !== MAGIC) throw new RangeError('it does not begin with "Iout"');
    const second = view.getInt32(60);
    const texts = second > 0 ? secondHeader(view, second) : { name: '', properties: '' };
    const label = Number(/^label: (\d+)$/m.exec(texts.properties)?.[1]);
    return {
      name: texts.name || file.replace(/\.roi$/i, ''),
      ...(label > 0 && { label }),
      slice: view.getInt32(56),
      rings: ringsOf(view),
    };
  } catch (cause) {
    throw new SamError('invalid_image', `${file} is not a readable ImageJ ROI: ${(cause as Error).message}.`, {
      cause,
    });
  }
}

const MAGIC = 0x496f7574;
const HEADER = 64;
const SUBPIXEL = 128;

function ringsOf(view: DataView): Ring[] {
  const [top, left] = [view.getInt16(8), view.getInt16(10)];
  const [bottom, right] = [view.getInt16(12), view.getInt16(14)];
  const pathLength = view.getInt32(36);
  switch (view.getUint8(6)) {
    case 0: // polygon
    case 7: // freehand
    case 8: // traced
      return [corners(view, top, left)];
    case 1:
      if (pathLength > 0) return path(view, pathLength);
      return [
        [
          [top, left],
          [top, right],
          [bottom, right],
          [bottom, left],
        ],
      ];
    case 2:
      return [ellipseRing([(top + bottom) / 2, (left + right) / 2], [(bottom - top) / 2, (right - left) / 2], 256)];
    default:
      return [];
  }
}

/** Corners follow the header as 16-bit offsets from the box, and again as floats if they have fractions. */
function corners(view: DataView, top: number, left: number): YX[] {
  const count = view.getUint16(16);
  const at = (i: number): YX => [top + view.getInt16(HEADER + 2 * (count + i)), left + view.getInt16(HEADER + 2 * i)];
  const fractional = HEADER + 4 * count;
  const exact = (i: number): YX => [view.getFloat32(fractional + 4 * (count + i)), view.getFloat32(fractional + 4 * i)];
  return Array.from({ length: count }, (_, i) => ((view.getUint16(50) & SUBPIXEL) !== 0 ? exact(i) : at(i)));
}

function path(view: DataView, length: number): YX[][] {
  const number = (i: number) => view.getFloat32(HEADER + 4 * i);
  const rings: YX[][] = [];
  for (let i = 0; i < length; ) {
    const kind = number(i);
    if (kind === 0) rings.push([]);
    if (kind === 4) i++;
    else if (kind === 0 || kind === 1) {
      const ring = rings.at(-1);
      if (ring === undefined) throw new RangeError('its path does not begin with a move');
      ring.push([number(i + 2), number(i + 1)]);
      i += 3;
    } else throw new RangeError('its path has curves');
  }
  return rings;
}

function secondHeader(view: DataView, at: number): { name: string; properties: string } {
  const text = (offset: number, length: number) => {
    const start = view.getInt32(at + offset);
    const count = start > 0 ? view.getInt32(at + length) : 0;
    if (start + 2 * count > view.byteLength) throw new RangeError('its texts are longer than the file');
    return Array.from({ length: count }, (_, i) => String.fromCharCode(view.getUint16(start + 2 * i))).join('');
  };
  return { name: text(16, 20), properties: text(40, 44) };
}
