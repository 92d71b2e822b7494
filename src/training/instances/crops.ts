import type { Random } from '../random.js';
import { CACHED, type CachedPart, type CanvasFeatures, mapParts, PARTS } from './feature-cache.js';

/** A part of a canvas: `cells` x `cells` of the embedding's 64 x 64, and what of the finer grids lies under them. */
export const CROP_CELLS = 32;

const GRID = CACHED.emb.side;

/** Parts and their shapes for one batch. */
export function cropShapes(batch: number, cells = CROP_CELLS): Record<CachedPart, readonly number[]> {
  return mapParts((part) => {
    const side = (CACHED[part].side / GRID) * cells;
    return [batch, CACHED[part].channels, side, side];
  });
}

/**
 * Cuts the crop with its upper left corner in cell (top, left) and writes it as item `index` of a batch.
 *
 * @param batch one array per part, of the shape that `cropShapes` says
 */
export function cutCrop(
  features: CanvasFeatures,
  top: number,
  left: number,
  batch: Readonly<Record<CachedPart, Uint16Array>>,
  index: number,
  cells = CROP_CELLS,
): void {
  for (const part of PARTS) {
    const { channels, side } = CACHED[part];
    const scale = side / GRID;
    const length = cells * scale;
    const source = features[part];
    const into = batch[part];
    let to = index * channels * length * length;
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < length; y++) {
        const from = (c * side + top * scale + y) * side + left * scale;
        into.set(source.subarray(from, from + length), to);
        to += length;
      }
  }
}

/** A corner for a crop whose middle is annotated, if four attempts find one. */
export function drawCorner(
  { target }: CanvasFeatures,
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
