import type { LabelImage } from '../../ndimage/array.js';
import { maskOutlines } from '../../ndimage/contour.js';
import { threeAxes } from '../../ndimage/label.js';
import type { Mask } from '../../ndimage/mask.js';
import type { Ring } from '../../ndimage/rasterize.js';
import { masksFromLabels } from '../../ndimage/rle.js';
import { type NamedBytes, zipFiles } from '../stores/zip.js';

/**
 * Objects as ImageJ regions of interest, in the zip that ROI Manager opens. An object of one piece without holes is a
 * traced ROI, any other a composite; corners are pixel corners, so ImageJ fills exactly the object's pixels. The name of
 * a region is the label, in a stack with the slice before it. Format: ij/io/RoiDecoder.java of ImageJ 1.
 */
export function labelsToRoiZip(labels: LabelImage): Promise<Uint8Array> {
  const [planes] = threeAxes(labels.shape);
  const isStack = labels.shape.length === 3;
  const files: NamedBytes[] = [];
  for (let plane = 0; plane < planes; plane++)
    for (const [id, mask] of masksFromLabels(labels, plane)) {
      const name = isStack ? `${String(plane + 1).padStart(4, '0')}-${id}` : String(id);
      files.push({ name: `${name}.roi`, bytes: encodeRoi(mask, { name, label: id, slice: isStack ? plane + 1 : 0 }) });
    }
  return zipFiles(files);
}

/** `slice` counts from 1; 0 means all. */
function encodeRoi(mask: Mask, { name, label, slice }: { name: string; label: number; slice: number }): Uint8Array {
  const outlines = maskOutlines(mask);
  const [top, left, bottom, right] = mask.box;
  // ImageJ keeps corners of a traced ROI as 16-bit numbers.
  const [first, ...more] = outlines;
  const isTraced = more.length === 0 && first?.holes.length === 0 && Math.max(bottom, right) <= 0x7fff;
  const traced = isTraced ? first.outer : undefined;
  const body = traced
    ? tracedCorners(traced, top, left)
    : compositePath(outlines.flatMap(({ outer, holes }) => [outer, ...holes]));
  const properties = `label: ${label}\n`;
  const secondHeader = HEADER + body.length;
  const bytes = new Uint8Array(secondHeader + HEADER + 2 * (name.length + properties.length));
  const view = new DataView(bytes.buffer);
  bytes.set([0x49, 0x6f, 0x75, 0x74]); // 'Iout'
  view.setInt16(4, VERSION);
  bytes[6] = traced ? TRACED : RECTANGLE;
  [top, left, bottom, right].forEach((value, i) => {
    view.setInt16(8 + 2 * i, value);
  });
  view.setUint16(16, traced?.length ?? 0);
  if (!traced) view.setInt32(36, body.length / 4);
  view.setInt32(56, slice);
  view.setInt32(60, secondHeader);
  bytes.set(body, HEADER);

  const nameAt = secondHeader + HEADER;
  const propertiesAt = nameAt + 2 * name.length;
  view.setInt32(secondHeader + 16, nameAt);
  view.setInt32(secondHeader + 20, name.length);
  view.setInt32(secondHeader + 40, propertiesAt);
  view.setInt32(secondHeader + 44, properties.length);
  for (let i = 0; i < name.length; i++) view.setUint16(nameAt + 2 * i, name.charCodeAt(i));
  for (let i = 0; i < properties.length; i++) view.setUint16(propertiesAt + 2 * i, properties.charCodeAt(i));
  return bytes;
}

const HEADER = 64;
const VERSION = 228;
const RECTANGLE = 1; // with a path, the sign of a composite
const TRACED = 8;

/** All x, then all y, relative to the bounding box. */
function tracedCorners(ring: Ring, top: number, left: number): Uint8Array {
  const bytes = new Uint8Array(ring.length * 4);
  const view = new DataView(bytes.buffer);
  ring.forEach(([y, x], i) => {
    view.setInt16(2 * i, x - left);
    view.setInt16(2 * (ring.length + i), y - top);
  });
  return bytes;
}

/** Path segments as floats: 0 x y moves, 1 x y draws, 4 closes. */
function compositePath(rings: readonly Ring[]): Uint8Array {
  const numbers = rings.flatMap((ring) => [...ring.flatMap(([y, x], i) => [i === 0 ? 0 : 1, x, y]), 4]);
  const bytes = new Uint8Array(numbers.length * 4);
  const view = new DataView(bytes.buffer);
  numbers.forEach((value, i) => {
    view.setFloat32(4 * i, value);
  });
  return bytes;
}
