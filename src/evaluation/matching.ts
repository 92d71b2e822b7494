import { SamError } from '../errors.js';
import { entryOf, itemAt } from '../items.js';
import type { LabelImage } from '../ndimage/array.js';
import { labelSizes } from '../ndimage/label.js';

/**
 * Which objects of two label images (2D or 3D, same shape) overlap, and how well. Sparse: only pairs that share a pixel
 * are kept, so thousands of objects are no trouble. Background is not an object.
 */
export interface Overlaps {
  /** Ids of the reference and of the prediction, ascending; pairs refer to positions in these lists. */
  readonly reference: readonly number[];
  readonly predicted: readonly number[];
  /** Pairs that share a pixel, best IoU first. */
  readonly pairs: readonly Overlap[];
}

export interface Overlap {
  readonly reference: number;
  readonly predicted: number;
  /** Shared pixels. */
  readonly intersection: number;
  readonly iou: number;
}

/** @throws SamError invalid_argument if the shapes differ */
export function overlapsOf(reference: LabelImage, predicted: LabelImage): Overlaps {
  if (String(reference.shape) !== String(predicted.shape))
    throw new SamError(
      'invalid_argument',
      `The label images differ in shape: reference [${reference.shape}], prediction [${predicted.shape}].`,
      { details: { got: [...predicted.shape], expected: [...reference.shape] } },
    );
  const sizesA = labelSizes(reference);
  const sizesB = labelSizes(predicted);
  const idsA = [...sizesA.keys()];
  const idsB = [...sizesB.keys()];
  const positionA = new Map(idsA.map((id, i) => [id, i]));
  const positionB = new Map(idsB.map((id, j) => [id, j]));
  const shared = new Map<number, number>(); // i * idsB.length + j → pixels
  const a = reference.data;
  const b = predicted.data;
  for (let p = 0; p < a.length; ) {
    const idA = a[p]!;
    const idB = b[p]!;
    const start = p;
    while (p < a.length && a[p] === idA && b[p] === idB) p++;
    if (idA === 0 || idB === 0) continue;
    const key = entryOf(positionA, idA) * idsB.length + entryOf(positionB, idB);
    shared.set(key, (shared.get(key) ?? 0) + p - start);
  }
  const pairs = [...shared].map(([key, intersection]): Overlap => {
    const i = Math.floor(key / idsB.length);
    const j = key % idsB.length;
    const union = entryOf(sizesA, itemAt(idsA, i)) + entryOf(sizesB, itemAt(idsB, j)) - intersection;
    return { reference: i, predicted: j, intersection, iou: intersection / union };
  });
  pairs.sort((p, q) => q.iou - p.iou || p.reference - q.reference || p.predicted - q.predicted);
  return { reference: idsA, predicted: idsB, pairs };
}

/**
 * The largest one-to-one matching of pairs with IoU >= threshold: what the Hungarian assignment of micro-sam's metric
 * counts, where the number of such pairs outweighs everything else. Good pairs are taken first, and moved
 * only where that frees a further pair.
 */
export function matchObjects({ reference, predicted, pairs }: Overlaps, threshold: number): Overlap[] {
  const edges: Overlap[][] = reference.map(() => []);
  for (const pair of pairs) if (pair.iou >= threshold) edges[pair.reference]?.push(pair);
  const takenBy: (Overlap | undefined)[] = predicted.map(() => undefined);
  const augment = (i: number, visited: Set<number>): boolean => {
    for (const edge of edges[i] ?? []) {
      if (visited.has(edge.predicted)) continue;
      visited.add(edge.predicted);
      const holder = takenBy[edge.predicted];
      if (!holder || augment(holder.reference, visited)) {
        takenBy[edge.predicted] = edge;
        return true;
      }
    }
    return false;
  };
  const best = edges.flatMap(([edge]) => edge ?? []).sort((p, q) => q.iou - p.iou);
  for (const { reference } of best) augment(reference, new Set());
  return takenBy.filter((pair) => pair !== undefined);
}
