import { entryOf } from '../items.js';
import type { LabelImage, Size, YX } from './array.js';
import type { Mask } from './mask.js';

/**
 * Making, reading and combining masks without unpacking them. The common form inside is a list of spans, triples
 * (y, x0, x1) of foreground in row-major order; a span never crosses a row, a run of a mask may. Masks know no image
 * size, so a mask may reach outside of one (after `translateMask`): `clipMask` cuts it, painting clips by itself.
 */

export const EMPTY_MASK: Mask = { box: [0, 0, 0, 0], runs: new Uint32Array(0), area: 0 };

/**
 * @param spans triples (y, x0, x1), x1 exclusive, in row-major order and without overlap; empty ones are not allowed
 */
export function maskFromSpans(spans: ArrayLike<number>, length = spans.length): Mask {
  if (length === 0) return EMPTY_MASK;
  let left = spans[1];
  let right = spans[2];
  for (let i = 3; i < length; i += 3) {
    if (spans[i + 1] < left) left = spans[i + 1];
    if (spans[i + 2] > right) right = spans[i + 2];
  }
  const top = spans[0];
  const bottom = spans[length - 3] + 1;
  const width = right - left;
  const runs = new Uint32Array((length / 3) * 2 + 1);
  let count = 0;
  let position = 0; // pixels of the box described so far
  let area = 0;
  for (let i = 0; i < length; i += 3) {
    const row = (spans[i] - top) * width - left;
    const begin = row + spans[i + 1];
    const end = row + spans[i + 2];
    if (begin === position && count > 0) runs[count - 1] += end - begin;
    else {
      runs[count++] = begin - position;
      runs[count++] = end - begin;
    }
    position = end;
    area += end - begin;
  }
  const total = (bottom - top) * width;
  if (position < total) runs[count++] = total - position;
  return { box: [top, left, bottom, right], runs: runs.slice(0, count), area };
}

/** The foreground as triples (y, x0, x1) in row-major order. */
export function maskSpans(mask: Mask): Int32Array {
  const [top, left, , right] = mask.box;
  const { runs } = mask;
  const width = right - left;
  let count = 0;
  for (let i = 0, position = 0; i < runs.length; i++) {
    const end = position + runs[i];
    if (i % 2 === 1 && runs[i] > 0) count += Math.floor((end - 1) / width) - Math.floor(position / width) + 1;
    position = end;
  }
  const spans = new Int32Array(count * 3);
  let next = 0;
  for (let i = 0, position = 0; i < runs.length; i++) {
    const end = position + runs[i];
    if (i % 2 === 1) {
      while (position < end) {
        const row = Math.floor(position / width);
        const stop = Math.min(end, (row + 1) * width);
        spans[next++] = top + row;
        spans[next++] = left + position - row * width;
        spans[next++] = left + stop - row * width;
        position = stop;
      }
    }
    position = end;
  }
  return spans;
}

/**
 * Nonzero pixels as a mask.
 *
 * @param bitmap [height, width] row-major
 * @param offset where its pixel (0, 0) lies in the plane
 */
export function maskFromBitmap(bitmap: ArrayLike<number | boolean>, size: Size, offset: YX = [0, 0]): Mask {
  const [height, width] = size;
  const spans: number[] = [];
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0; x < width; x++) {
      if (!bitmap[row + x]) continue;
      const start = x++;
      while (x < width && bitmap[row + x]) x++;
      spans.push(y + offset[0], start + offset[1], x + offset[1]);
    }
  }
  return maskFromSpans(spans);
}

/** The mask as 0 / 1 pixels of a [height, width] frame whose pixel (0, 0) lies at `offset`; parts outside are cut. */
export function maskToBitmap(mask: Mask, size: Size, offset: YX = [0, 0]): Uint8Array {
  const [height, width] = size;
  const bitmap = new Uint8Array(height * width);
  const spans = maskSpans(mask);
  for (let i = 0; i < spans.length; i += 3) {
    const y = spans[i] - offset[0];
    if (y < 0 || y >= height) continue;
    const x0 = Math.max(spans[i + 1] - offset[1], 0);
    const x1 = Math.min(spans[i + 2] - offset[1], width);
    if (x0 < x1) bitmap.fill(1, y * width + x0, y * width + x1);
  }
  return bitmap;
}

/** The whole frame as a mask. */
export function fullMask([height, width]: Size): Mask {
  const area = height * width;
  return area === 0 ? EMPTY_MASK : { box: [0, 0, height, width], runs: Uint32Array.of(0, area), area };
}

export interface PaintOptions {
  /** Plane of a [Z, H, W] volume. */
  readonly plane?: number;
  /** Leave pixels that already hold a label. */
  readonly onlyBackground?: boolean;
}

/** Writes `id` (0 erases) under the mask; parts outside the image are cut. */
export function paintMask(
  labels: LabelImage,
  mask: Mask,
  id: number,
  { plane = 0, onlyBackground = false }: PaintOptions = {},
): void {
  const [height, width] = labels.shape.slice(-2);
  const { data } = labels;
  const spans = maskSpans(mask);
  for (let i = 0; i < spans.length; i += 3) {
    const y = spans[i];
    if (y < 0 || y >= height) continue;
    const row = (plane * height + y) * width;
    const begin = row + Math.max(spans[i + 1], 0);
    const end = row + Math.min(spans[i + 2], width);
    if (!onlyBackground) {
      if (begin < end) data.fill(id, begin, end);
    } else for (let p = begin; p < end; p++) if (data[p] === 0) data[p] = id;
  }
}

/** The pixels of one label of an [H, W] image, or of one plane of a [Z, H, W] volume. */
export function maskFromLabels(labels: LabelImage, id: number, plane = 0): Mask {
  const [height, width] = labels.shape.slice(-2);
  const { data } = labels;
  const spans: number[] = [];
  const end = (plane + 1) * height * width;
  for (let p = data.indexOf(id, plane * height * width); p >= 0 && p < end; p = data.indexOf(id, p)) {
    const y = Math.floor(p / width);
    const stop = (y + 1) * width;
    const start = p;
    while (p < stop && data[p] === id) p++;
    spans.push(y - plane * height, start - y * width, p - y * width);
  }
  return maskFromSpans(spans);
}

/** All labels of an [H, W] image, or of one plane of a [Z, H, W] volume, in one pass; ids ascending, 0 left out. */
export function masksFromLabels(labels: LabelImage, plane = 0): Map<number, Mask> {
  const [height, width] = labels.shape.slice(-2);
  const { data } = labels;
  const index = new Map<number, number>(); // id → number of the object in order of appearance
  let spans = new Int32Array(1 << 14); // quadruples: object, y, x0, x1
  let used = 0;
  let lastId = 0;
  let lastObject = -1;
  for (let y = 0; y < height; y++) {
    const row = (plane * height + y) * width;
    for (let x = 0; x < width; ) {
      const id = data[row + x];
      if (id === 0) {
        x++;
        continue;
      }
      const start = x++;
      while (x < width && data[row + x] === id) x++;
      if (id !== lastId) {
        lastId = id;
        lastObject = index.get(id) ?? index.size;
        if (lastObject === index.size) index.set(id, lastObject);
      }
      if (used + 4 > spans.length) {
        const grown = new Int32Array(spans.length * 2);
        grown.set(spans);
        spans = grown;
      }
      spans[used++] = lastObject;
      spans[used++] = y;
      spans[used++] = start;
      spans[used++] = x;
    }
  }
  // Counting sort by object keeps each object's spans in row-major order.
  const begin = new Int32Array(index.size + 1);
  for (let i = 0; i < used; i += 4) begin[spans[i] + 1] += 3;
  for (let k = 0; k < index.size; k++) begin[k + 1] += begin[k];
  const next = begin.slice();
  const sorted = new Int32Array((used / 4) * 3);
  for (let i = 0; i < used; i += 4) {
    const at = next[spans[i]];
    sorted[at] = spans[i + 1];
    sorted[at + 1] = spans[i + 2];
    sorted[at + 2] = spans[i + 3];
    next[spans[i]] = at + 3;
  }
  const ids = [...index.keys()].sort((a, b) => a - b);
  return new Map(
    ids.map((id) => {
      const object = entryOf(index, id);
      return [id, maskFromSpans(sorted.subarray(begin[object], begin[object + 1]))];
    }),
  );
}

/** Whether the pixel (y, x) belongs to the mask; fractional positions mean the pixel they lie in. */
export function maskContains(mask: Mask, y: number, x: number): boolean {
  const [top, left, bottom, right] = mask.box;
  if (!(y >= top && y < bottom && x >= left && x < right)) return false;
  let remaining = (Math.floor(y) - top) * (right - left) + Math.floor(x) - left;
  for (let i = 0; i < mask.runs.length; i++) {
    if (remaining < mask.runs[i]) return i % 2 === 1;
    remaining -= mask.runs[i];
  }
  return false;
}

/** Mean position of the pixel centres (y, x) of a mask that is not empty. */
export function maskCentroid(mask: Mask): YX {
  const spans = maskSpans(mask);
  let y = 0;
  let x = 0;
  for (let i = 0; i < spans.length; i += 3) {
    const length = spans[i + 2] - spans[i + 1];
    y += (spans[i] + 0.5) * length;
    x += ((spans[i + 1] + spans[i + 2]) / 2) * length;
  }
  return [y / mask.area, x / mask.area];
}

/** The mask moved by whole pixels. */
export function translateMask(mask: Mask, dy: number, dx: number): Mask {
  if (mask.area === 0) return EMPTY_MASK;
  const [top, left, bottom, right] = mask.box;
  return { ...mask, box: [top + dy, left + dx, bottom + dy, right + dx] };
}

export function masksEqual(a: Mask, b: Mask): boolean {
  return (
    a.area === b.area &&
    a.box.every((value, i) => value === b.box[i]) &&
    a.runs.length === b.runs.length &&
    a.runs.every((value, i) => value === b.runs[i])
  );
}
