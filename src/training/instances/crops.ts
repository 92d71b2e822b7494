import type { Random } from '../random.js';
import { CACHED, type CachedPart, type CanvasFeatures, mapParts, PARTS } from './feature-cache.js';

/** A part of a canvas: `cells` x `cells` of the embedding's 64 x 64, and what of the finer grids lies under them. */
const CROP_CELLS = 32;

const GRID = CACHED.emb.side;

/** Parts and their shapes for one batch. */
export function cropShapes(batch: number, cells = CROP_CELLS): Record<CachedPart, readonly number[]> {
  return mapParts((part) => {
    const side = (CACHED[part].side / GRID) * cells;
    return [batch, CACHED[part].channels, side, side];
  });
}

/** A crop, by the cell of its upper left corner, and which item of a batch it is. */
export interface CropPlace {
  readonly top: number;
  readonly left: number;
  readonly index: number;
  /** Its side. */
  readonly cells?: number;
}

/**
 * Cuts a crop and writes it as an item of a batch.
 *
 * @param batch one array per part, of the shape that `cropShapes` says
 */
export function cutCrop(
  features: CanvasFeatures,
  place: CropPlace,
  batch: Readonly<Record<CachedPart, Uint16Array>>,
): void {
  for (const part of PARTS) cutPart(part, features[part], place, batch[part]);
}

/** The same of one part, which may also be of numbers that are no halves. */
export function cutPart<T extends Uint16Array | Float32Array>(
  part: CachedPart,
  whole: T,
  place: CropPlace,
  batch: T,
): void {
  overRows(part, place, (inWhole, inBatch, length) => batch.set(whole.subarray(inWhole, inWhole + length), inBatch));
}

/** The other way: adds what an item of a batch holds to where it was cut from. */
export function addPart(part: CachedPart, whole: Float32Array, place: CropPlace, batch: Float32Array): void {
  overRows(part, place, (inWhole, inBatch, length) => {
    for (let x = 0; x < length; x++) whole[inWhole + x] += batch[inBatch + x];
  });
}

/** Each row of each channel of a crop: where it begins in the whole part and in the batch, and its length. */
function overRows(
  part: CachedPart,
  { top, left, index, cells = CROP_CELLS }: CropPlace,
  row: (inWhole: number, inBatch: number, length: number) => void,
): void {
  const { channels, side } = CACHED[part];
  const scale = side / GRID;
  const length = cells * scale;
  let inBatch = index * channels * length * length;
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < length; y++, inBatch += length)
      row((c * side + top * scale + y) * side + left * scale, inBatch, length);
}

/** A corner for a crop whose middle is annotated, if four attempts find one. */
export function drawCorner(
  { target }: Pick<CanvasFeatures, 'target'>,
  random: Random,
  cells = CROP_CELLS,
): [top: number, left: number] {
  const { side } = CACHED.target;
  const scale = side / GRID;
  for (let attempt = 1; ; attempt++) {
    const top = random.below(GRID - cells + 1);
    const left = random.below(GRID - cells + 1);
    const middle = (corner: number) => (corner + cells / 2) * scale;
    const known = target[3 * side * side + middle(top) * side + middle(left)] !== 0;
    if (known || attempt === 4) return [top, left];
  }
}
