import { SamError } from '../errors.js';
import type { LabelImage, Tensor, TypedArray } from './array.js';
import { UnionFind } from './union-find.js';

/** Connected components and the bookkeeping of label ids, in 2D ([H, W]) and 3D ([Z, H, W]). */

/** 'faces': 4 neighbours in 2D, 6 in 3D; 'all': 8 and 26. */
export type Connectivity = 'faces' | 'all';

export interface Labelled {
  readonly labels: LabelImage;
  /** Ids are 1 … count. */
  readonly count: number;
}

/**
 * Neighbouring pixels of equal nonzero value get the same id; ids count up in raster order of the components' first
 * pixels, as in scikit-image. A binary image gives the usual components, a label image splits torn labels.
 */
export function labelComponents(image: Tensor, connectivity: Connectivity = 'faces'): Labelled {
  const [depth, height, width] = threeAxes(image.shape);
  const { data } = image;
  const labels = new Uint32Array(data.length);
  const sets = new UnionFind(1); // 0 is background
  const reach = connectivity === 'all' ? 1 : 0;
  for (let z = 0, p = 0; z < depth; z++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++, p++) {
        const value = data[p];
        if (value === 0) continue;
        let label = x > 0 && data[p - 1] === value ? labels[p - 1] : 0;
        // The neighbours already seen, beside the left one: rows above, and planes above.
        for (let dz = z > 0 ? -1 : 0; dz <= 0; dz++) {
          const lastRow = dz < 0 ? reach : -1;
          for (let dy = dz < 0 ? -reach : -1; dy <= lastRow; dy++) {
            if (y + dy < 0 || y + dy >= height) continue;
            const first = Math.max(x - reach, 0);
            const last = x + reach >= width ? width - 1 : x + reach;
            const row = p - x + (dz * height + dy) * width;
            for (let q = row + first; q <= row + last; q++) {
              if (data[q] !== value || labels[q] === label) continue;
              label = label === 0 ? labels[q] : sets.union(label, labels[q]);
            }
          }
        }
        labels[p] = label === 0 ? sets.add() : label;
      }
    }
  }
  const numbers = sets.numbered();
  let count = 0;
  for (let i = 0; i < numbers.length; i++) if (numbers[i] > count) count = numbers[i];
  for (let p = 0; p < labels.length; p++) if (labels[p] !== 0) labels[p] = numbers[labels[p]];
  return { labels: { data: labels, shape: image.shape }, count };
}

/** [Z, H, W] of a shape of two or three axes; Z is 1 for two. @throws SamError `invalid_argument` for another */
export function threeAxes(shape: readonly number[]): [depth: number, height: number, width: number] {
  if (shape.length === 2) return [1, shape[0], shape[1]];
  if (shape.length === 3) return [shape[0], shape[1], shape[2]];
  throw new SamError('invalid_argument', `Expected an array of 2 or 3 axes, got the shape [${shape}].`);
}

/** Pixels of each id, ids ascending, 0 left out. */
export function labelSizes(labels: Tensor<Uint32Array>): Map<number, number> {
  const sizes = new Map<number, number>();
  const { data } = labels;
  for (let p = 0; p < data.length; ) {
    const id = data[p];
    const start = p;
    while (p < data.length && data[p] === id) p++;
    if (id !== 0) sizes.set(id, (sizes.get(id) ?? 0) + p - start);
  }
  return new Map([...sizes].sort(([a], [b]) => a - b));
}

/** Ids become 1 … n in ascending order of the old ones; `ids[k]` is what k + 1 was called. */
export function relabelSequential(labels: LabelImage): { labels: LabelImage; ids: number[] } {
  const ids = [...labelSizes(labels).keys()];
  return { labels: mapLabels(labels, new Map(ids.map((id, k) => [id, k + 1]))), ids };
}

/** Labels of fewer than `minSize` pixels become background. */
export function removeSmall(labels: LabelImage, minSize: number): LabelImage {
  const kept = [...labelSizes(labels)].filter(([, size]) => size >= minSize);
  return mapLabels(labels, new Map(kept.map(([id]) => [id, id])));
}

/** Ids looked up in a table; those that are not in it become background. */
export function mapLabels(labels: LabelImage, table: ReadonlyMap<number, number>): LabelImage {
  const data = new Uint32Array(labels.data.length);
  let last = 0;
  let mapped = 0;
  for (let p = 0; p < data.length; p++) {
    const id = labels.data[p];
    if (id === 0) continue;
    if (id !== last) {
      last = id;
      mapped = table.get(id) ?? 0;
    }
    data[p] = mapped;
  }
  return { data, shape: labels.shape };
}

export function maxLabel(labels: Tensor<TypedArray>): number {
  let max = 0;
  const { data } = labels;
  for (let p = 0; p < data.length; p++) if (data[p] > max) max = data[p];
  return max;
}
