import type { Tensor } from '../../ndimage/array.js';
import { threeAxes } from '../../ndimage/label.js';
import type { Mask } from '../../ndimage/mask.js';
import { rgbOf } from '../image/composite.js';

/** Objects laid over the pictures of sections, from their masks: no label volume is made. */
export interface SectionObject {
  /** '#rrggbb' */
  readonly color: string;
  /** By plane. */
  readonly masks: ReadonlyMap<number, Mask>;
}

export interface SectionCut {
  /** `row`: through a row of the image, pictures are [slices, columns, 3]; `column`: [rows, slices, 3]. */
  readonly along: 'row' | 'column';
  /** That row or column. */
  readonly at: number;
  /** Plane of the first slice. */
  readonly firstPlane: number;
  /** The columns (rows) of the picture as pixels of the image, ascending. */
  readonly places: readonly number[];
}

/** Paints into `picture`. */
export function paintSection(picture: Tensor<Uint8Array>, objects: Iterable<SectionObject>, cut: SectionCut): void {
  const { along, at, firstPlane, places } = cut;
  const [rows, columns] = threeAxes(picture.shape);
  const slices = along === 'row' ? rows : columns;
  for (const { color, masks } of objects) {
    const rgb = rgbOf(color);
    for (const [plane, mask] of masks) {
      const slice = plane - firstPlane;
      if (slice < 0 || slice >= slices) continue;
      for (const [begin, end] of along === 'row' ? inRow(mask, at) : inColumn(mask, at))
        for (let k = firstFrom(places, begin); k < places.length && places[k]! < end; k++) {
          const to = 3 * (along === 'row' ? slice * columns + k : k * columns + slice);
          for (const [c, part] of rgb.entries())
            picture.data[to + c] = picture.data[to + c]! * (1 - OPACITY) + part * 255 * OPACITY;
        }
    }
  }
}

/** Spans [x0, x1) of a mask in a row. */
function inRow({ box: [top, left, bottom, right], runs }: Mask, y: number): [number, number][] {
  if (y < top || y >= bottom) return [];
  const from = (y - top) * (right - left);
  const to = from + right - left;
  const spans: [number, number][] = [];
  let position = 0;
  for (const [i, run] of runs.entries()) {
    if (position >= to) break;
    const end = position + run;
    if (i % 2 === 1 && end > from) spans.push([left + Math.max(0, position - from), left + Math.min(to, end) - from]);
    position = end;
  }
  return spans;
}

/** Spans [y0, y1) of a mask in a column. */
function inColumn({ box: [top, left, , right], runs }: Mask, x: number): [number, number][] {
  if (x < left || x >= right) return [];
  const width = right - left;
  const spans: [number, number][] = [];
  let position = 0;
  for (const [i, run] of runs.entries()) {
    const first = Math.ceil((position - (x - left)) / width);
    position += run;
    const last = Math.floor((position - 1 - (x - left)) / width);
    if (i % 2 === 1 && last >= first) spans.push([top + first, top + last + 1]);
  }
  return spans;
}

/** Index of the first place at or after a pixel. */
function firstFrom(places: readonly number[], pixel: number): number {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle]! < pixel) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** As dense as the fill of objects in the image. */
const OPACITY = 0.45;
