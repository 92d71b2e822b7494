import type { Tensor, YX } from './array.js';
import { threeAxes } from './label.js';
import type { Mask } from './mask.js';
import { maskContains, maskSpans, maskToBitmap } from './rle.js';

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
  const data = new Float32Array(squared.length);
  for (let p = 0; p < data.length; p++) data[p] = Math.sqrt(squared[p]);
  return { data, shape: image.shape };
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
  if (height > 1) alongAxis(squared, height, width, sy);
  if (depth > 1) alongAxis(squared, depth, height * width, sz);
  return squared;
}

/** Neighbouring lines handled together, so that strided reads use whole cache lines. */
const LINES = 16;

/** Replaces f(i) along every line of an axis by the minimum over j of f(j) + (spacing (i - j))². */
function alongAxis(f: Float64Array, length: number, stride: number, spacing: number): void {
  const values = new Float64Array(LINES * length);
  const lowest = new Float64Array(LINES * length);
  const apex = new Int32Array(length);
  const from = new Float64Array(length + 1);
  for (let block = 0; block < f.length; block += length * stride) {
    for (let first = 0; first < stride; first += LINES) {
      const lines = Math.min(LINES, stride - first);
      for (let i = 0; i < length; i++) {
        const row = block + i * stride + first;
        for (let k = 0; k < lines; k++) values[k * length + i] = f[row + k];
      }
      for (let k = 0; k < lines; k++) {
        const [begin, end] = [k * length, (k + 1) * length];
        lowerEnvelope(values.subarray(begin, end), spacing, apex, from, lowest.subarray(begin, end));
      }
      for (let i = 0; i < length; i++) {
        const row = block + i * stride + first;
        for (let k = 0; k < lines; k++) f[row + k] = lowest[k * length + i];
      }
    }
  }
}

/** One line: the parabolas that are lowest somewhere, and where each takes over from the one before. */
function lowerEnvelope(
  values: Float64Array,
  spacing: number,
  apex: Int32Array,
  from: Float64Array,
  lowest: Float64Array,
): void {
  const unit = spacing * spacing;
  let top = -1;
  for (let q = 0; q < values.length; q++) {
    const value = values[q];
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
  if (top < 0) {
    lowest.fill(Infinity);
    return;
  }
  for (let q = 0, k = 0; q < values.length; q++) {
    while (k < top && from[k + 1] < q) k++;
    const away = q - apex[k];
    lowest[q] = values[apex[k]] + unit * away * away;
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

/** From the pixel at (y, x) to the nearest one on the other side of the mask's edge; Infinity of an empty mask. */
export function distanceToEdge(mask: Mask, at: YX): number {
  const [y, x] = [Math.floor(at[0]), Math.floor(at[1])];
  if (maskContains(mask, at[0], at[1])) {
    const [top, left, bottom, right] = mask.box;
    const shape: [number, number] = [bottom - top + 2, right - left + 2];
    const data = maskToBitmap(mask, shape, [top - 1, left - 1]);
    return distanceTransform({ data, shape }).data[(y - top + 1) * shape[1] + x - left + 1];
  }
  const spans = maskSpans(mask);
  let nearest = Infinity;
  for (let i = 0; i < spans.length; i += 3) {
    const dx = Math.max(spans[i + 1] - x, 0, x - (spans[i + 2] - 1));
    nearest = Math.min(nearest, Math.hypot(spans[i] - y, dx));
  }
  return nearest;
}
