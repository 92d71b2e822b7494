import type { Tensor, YX } from './array.js';

/**
 * Local maxima of an [H, W] image, highest first, as skimage.feature.peak_local_max with `exclude_border=False`: pixels
 * that equal the maximum of the (2 d + 1)² window around them and exceed the minimum of the image; of maxima less than
 * `minDistance` apart (in y and x) the higher one, of equals the first, stays.
 */
export function localMaxima(image: Tensor, minDistance: number): YX[] {
  const [height, width] = image.shape;
  const { data } = image;
  let lowest = Infinity;
  for (let p = 0; p < data.length; p++) if (data[p] < lowest) lowest = data[p];
  const rowMaxima = slidingMaximum(data, height, width, 1, width, minDistance);
  const maxima = slidingMaximum(rowMaxima, width, height, width, 1, minDistance);
  const found: number[] = [];
  for (let p = 0; p < data.length; p++) if (data[p] === maxima[p] && data[p] > lowest) found.push(p);
  found.sort((a, b) => data[b] - data[a] || a - b);
  const kept: YX[] = [];
  for (const p of found) {
    const y = Math.floor(p / width);
    const x = p - y * width;
    const crowded = kept.some(([ky, kx]) => Math.max(Math.abs(ky - y), Math.abs(kx - x)) < minDistance);
    if (!crowded) kept.push([y, x]);
  }
  return kept;
}

/** Maximum over `reach` neighbours on both sides, along lines of `length` values `step` apart. */
function slidingMaximum(
  data: ArrayLike<number>,
  lines: number,
  length: number,
  step: number,
  lineStep: number,
  reach: number,
): Float64Array {
  const out = new Float64Array(data.length);
  for (let line = 0; line < lines; line++) {
    for (let i = 0; i < length; i++) {
      const first = Math.max(0, i - reach);
      const last = Math.min(length - 1, i + reach);
      let max = -Infinity;
      for (let k = first; k <= last; k++) max = Math.max(max, data[line * lineStep + k * step]);
      out[line * lineStep + i * step] = max;
    }
  }
  return out;
}
