import type { Tensor } from '../../ndimage/array.js';
import { gaussianFilter } from '../../ndimage/gaussian.js';
import type { BoxMaps } from './pixel-maps.js';
import { foregroundMask, type PixelMaps } from './post-process.js';

/**
 * Where pixels of an object meet that walk against a field of vectors: the rule for large and long objects, of which the
 * distance to one centre says little. As the development branches of micro-sam have it (flow post-processing of directed
 * distances, and of geodesic ones): the walkers' ends are counted and smoothed, and where they are dense is a seed.
 */
export interface Field {
  /** [H, W] each. */
  readonly y: Tensor<Float32Array>;
  readonly x: Tensor<Float32Array>;
}

export interface Walk {
  readonly steps: number;
  /** Length of a step in pixels where the field is 1. */
  readonly step: number;
}

/**
 * Every pixel of the mask walks, by the midpoint rule. Where a step would leave the mask it stays.
 *
 * @param mask nonzero where there are objects, [H, W]
 * @returns for each pixel of the mask, in raster order, the pixel where it ends
 */
export function walk({ y: fieldY, x: fieldX }: Field, mask: Tensor<Uint8Array>, { steps, step }: Walk): Int32Array {
  const [height, width] = mask.shape;
  const [dy, dx, inside] = [fieldY.data, fieldX.data, mask.data];
  const [lastY, lastX] = [height - 1, width - 1];
  let count = 0;
  for (let p = 0; p < inside.length; p++) if (inside[p]) count++;
  const ends = new Int32Array(count);
  for (let p = 0, walker = 0; p < inside.length; p++) {
    if (!inside[p]) continue;
    let y = Math.floor(p / width);
    let x = p % width;
    for (let s = 0; s < steps; s++) {
      const middleY = Math.min(Math.max(y - 0.5 * step * between(dy, y, x, height, width), 0), lastY);
      const middleX = Math.min(Math.max(x - 0.5 * step * between(dx, y, x, height, width), 0), lastX);
      const nextY = y - step * between(dy, middleY, middleX, height, width);
      const nextX = x - step * between(dx, middleY, middleX, height, width);
      if (nextY < 0 || nextX < 0 || nextY > lastY || nextX > lastX) break;
      if (!inside[Math.round(nextY) * width + Math.round(nextX)]) break;
      y = nextY;
      x = nextX;
    }
    ends[walker++] = Math.round(y) * width + Math.round(x);
  }
  return ends;
}

/** The value between pixels, bilinear; (y, x) inside. */
function between(data: Float32Array, y: number, x: number, height: number, width: number): number {
  const row = Math.floor(y);
  const column = Math.floor(x);
  const corner = row * width + column;
  const right = x < width - 1 ? 1 : 0;
  const below = y < height - 1 ? width : 0;
  const a = x - column;
  const top = data[corner] + (data[corner + right] - data[corner]) * a;
  const bottom = data[corner + below] + (data[corner + below + right] - data[corner + below]) * a;
  return top + (bottom - top) * (y - row);
}

/** How many walkers end in each pixel, smoothed; [H, W]. */
export function density(ends: Int32Array, shape: readonly number[], sigma: number): Tensor<Float32Array> {
  const data = new Float32Array(shape[0] * shape[1]);
  for (let i = 0; i < ends.length; i++) data[ends[i]]++;
  return gaussianFilter({ data, shape }, sigma);
}

/** As for geodesic fields in micro-sam's branch of that name: 200 steps of a quarter pixel, sigma 2, density above 2. */
const STEPS = 200;
const STEP = 0.25;
const SIGMA = 2;
const DENSE = 2;

/** How far beyond its pixels a mask of seeds depends on the maps. */
export const FLOW_REACH = STEPS * STEP + 3 * SIGMA;

/**
 * The field that walkers go against: the decoder's own vectors, or, of a decoder that gives none, the direction in which
 * the distance to the centre rises, as long as that distance.
 */
function fieldOf({ centre, vector }: PixelMaps & Pick<BoxMaps, 'vector'>): Field {
  if (vector) return vector;
  const [height, width] = centre.shape;
  const { data } = centre;
  const [y, x] = [new Float32Array(data.length), new Float32Array(data.length)];
  for (let row = 0, p = 0; row < height; row++) {
    const above = row > 0 ? width : 0;
    const below = row + 1 < height ? width : 0;
    for (let column = 0; column < width; column++, p++) {
      const dy = data[p + below] - data[p - above];
      const dx = data[column + 1 < width ? p + 1 : p] - data[column > 0 ? p - 1 : p];
      const length = Math.hypot(dy, dx);
      if (length === 0) continue;
      y[p] = (dy / length) * data[p];
      x[p] = (dx / length) * data[p];
    }
  }
  return { y: { data: y, shape: centre.shape }, x: { data: x, shape: centre.shape } };
}

/** Walking takes a while, and only the threshold of the foreground changes its ends. */
const known = new WeakMap<PixelMaps, { readonly threshold: number; readonly dense: Tensor<Uint8Array> }>();

/** Nonzero where walkers over the foreground are dense: the seeds. */
export function flowSeeds(maps: BoxMaps, threshold: number): Tensor<Uint8Array> {
  const before = known.get(maps);
  if (before?.threshold === threshold) return before.dense;
  const mask = foregroundMask(maps, threshold);
  const ends = walk(fieldOf(maps), mask, { steps: STEPS, step: STEP });
  const { data } = density(ends, mask.shape, SIGMA);
  const dense = { data: mask.data.map((inside, p) => (inside && data[p] > DENSE ? 1 : 0)), shape: mask.shape };
  known.set(maps, { threshold, dense });
  return dense;
}

/** What seeds are flooded by: low where there is foreground and the field is strong, as in micro-sam's branch. */
export function flowHeights(maps: BoxMaps): Tensor<Float32Array> {
  const { y, x } = fieldOf(maps);
  const length = Float32Array.from(y.data, (value, p) => Math.hypot(value, x.data[p]));
  const longest = length.reduce((a, b) => Math.max(a, b), 1e-7);
  const { data } = maps.foreground;
  const heights = data.map((value, p) => 0.75 * (1 - value) + (0.25 * (longest - length[p])) / longest);
  return { data: heights, shape: maps.foreground.shape };
}
