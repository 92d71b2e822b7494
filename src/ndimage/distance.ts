import type { Tensor, YX } from './array.js';
import { threeAxes } from './label.js';
import type { Mask } from './mask.js';
import { maskToBitmap } from './rle.js';

/**
 * Exact Euclidean distance transform in 2D and 3D, one axis after the other: along x by two sweeps, along y and z as the
 * lower envelope of parabolas (Felzenszwalb and Huttenlocher, Theory of Computing 2012). Linear in the pixels.
 */

/**
 * For every nonzero pixel the distance from its centre to the centre of the nearest zero pixel, as
 * scipy.ndimage.distance_transform_edt. The world beyond the image is not zero: without any zero pixel all is Infinity.
 *
 * @param sampling pixel size per axis, in the order of `image.shape`
 */
export function distanceTransform(image: Tensor, sampling?: readonly number[]): Tensor<Float32Array> {
  const squared = squaredDistances(image, sampling);
  return { data: Float32Array.from(squared, Math.sqrt), shape: image.shape };
}

function squaredDistances(image: Tensor, sampling: readonly number[] = [1, 1, 1]): Float64Array {
  const [depth, height, width] = threeAxes(image.shape);
  const [sz, sy, sx] = sampling.length === 2 ? [1, ...sampling] : sampling;
  const { data } = image;
  const squared = new Float64Array(data.length);
  for (let row = 0; row < data.length; row += width) {
    let away = Infinity;
    for (let p = row; p < row + width; p++) {
      away = data[p] === 0 ? 0 : away + sx;
      squared[p] = away;
    }
    away = Infinity;
    for (let p = row + width - 1; p >= row; p--) {
      away = data[p] === 0 ? 0 : away + sx;
      const nearest = Math.min(squared[p], away);
      squared[p] = nearest * nearest;
    }
  }
  const plane = height * width;
  const scratch = new Scratch(Math.max(height, depth));
  if (height > 1)
    for (let z = 0; z < depth; z++)
      for (let x = 0; x < width; x++) lowerEnvelope(squared, z * plane + x, width, height, sy, scratch);
  if (depth > 1) for (let p = 0; p < plane; p++) lowerEnvelope(squared, p, plane, depth, sz, scratch);
  return squared;
}

class Scratch {
  readonly values: Float64Array;
  readonly apex: Int32Array;
  readonly from: Float64Array;
  constructor(length: number) {
    this.values = new Float64Array(length);
    this.apex = new Int32Array(length);
    this.from = new Float64Array(length + 1);
  }
}

/** Replaces f(i) along one line by min over j of f(j) + (spacing (i - j))². */
function lowerEnvelope(
  f: Float64Array,
  offset: number,
  stride: number,
  length: number,
  spacing: number,
  { values, apex, from }: Scratch,
): void {
  const unit = spacing * spacing;
  let top = -1;
  for (let q = 0; q < length; q++) {
    const value = f[offset + q * stride];
    values[q] = value;
    if (value === Infinity) continue;
    let start = -Infinity;
    while (top >= 0) {
      const v = apex[top];
      start = (value - values[v] + unit * (q * q - v * v)) / (2 * unit * (q - v));
      if (start > from[top]) break;
      top--;
    }
    top++;
    apex[top] = q;
    from[top] = top === 0 ? -Infinity : start;
  }
  if (top < 0) return;
  for (let q = 0, k = 0; q < length; q++) {
    while (k < top && from[k + 1] < q) k++;
    const away = q - apex[k];
    f[offset + q * stride] = values[apex[k]] + unit * away * away;
  }
}

/**
 * The pixel of the mask that is farthest from its outside (first in row-major order), the world beyond the image being
 * outside too: the point prompt that is least ambiguous.
 */
export function innermostPixel(mask: Mask): YX {
  const [top, left, bottom, right] = mask.box;
  const height = bottom - top + 2;
  const width = right - left + 2;
  const bitmap = maskToBitmap(mask, [height, width], [top - 1, left - 1]);
  const squared = squaredDistances({ data: bitmap, shape: [height, width] });
  let best = 0;
  for (let p = 1; p < squared.length; p++) if (squared[p] > squared[best]) best = p;
  const y = Math.floor(best / width);
  return [y + top - 1, best - y * width + left - 1];
}
