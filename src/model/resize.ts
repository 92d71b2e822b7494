import { type Size, type Tensor, tensor } from '../ndimage/array.js';

/**
 * Bilinear resizing of 8-bit images, antialiased when shrinking: the same bytes as Pillow's
 * `Image.resize(size, BILINEAR)`, which segment-anything's `ResizeLongestSide` uses. Pillow (src/libImaging/Resample.c)
 * works in two passes, first along rows, with weights rounded to 22 fractional bits and each pass rounded to 8 bits. (For pictures some
 * three times as tall as wide the newest Pillow takes columns first, which moves a few bytes by one.)
 */

/** For each output index: first input index, number of taps, and `stride` weights. */
export interface Kernel {
  readonly start: Int32Array;
  readonly count: Int32Array;
  readonly stride: number;
  readonly weights: Float64Array;
}

/** Triangle filter of width 1 input pixel when enlarging, 1 output pixel when shrinking; weights sum to 1. */
export function triangleKernel(input: number, output: number): Kernel {
  const scale = input / output;
  const support = Math.max(scale, 1);
  const stride = Math.ceil(support) * 2 + 1;
  const start = new Int32Array(output);
  const count = new Int32Array(output);
  const weights = new Float64Array(output * stride);
  for (let i = 0; i < output; i++) {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const last = Math.min(input, Math.trunc(center + support + 0.5));
    let total = 0;
    for (let k = 0; k < last - first; k++) {
      const weight = Math.max(0, 1 - Math.abs((k + first - center + 0.5) * (1 / support)));
      weights[i * stride + k] = weight;
      total += weight;
    }
    for (let k = 0; k < last - first; k++) weights[i * stride + k] *= 1 / total;
    start[i] = first;
    count[i] = last - first;
  }
  return { start, count, stride, weights };
}

const PRECISION = 22;
/** For rounding. */
const HALF = 1 << (PRECISION - 1);

function fixedPoint(kernel: Kernel): Int32Array {
  return Int32Array.from(kernel.weights, (weight) => Math.trunc(0.5 + weight * (1 << PRECISION)));
}

/** @param image [H, W, 3] */
export function resizeRgb(image: Tensor<Uint8Array>, [height, width]: Size): Tensor<Uint8Array> {
  const [inHeight, inWidth] = image.shape;
  const rows = width === inWidth ? image.data : resizeRows(image.data, inHeight, inWidth, width);
  const data = height === inHeight ? rows : resizeColumns(rows, inHeight, height, width * 3);
  return tensor(data, [height, width, 3]);
}

function resizeRows(data: Uint8Array, height: number, inWidth: number, width: number): Uint8Array {
  const kernel = triangleKernel(inWidth, width);
  const weights = fixedPoint(kernel);
  const { start, count, stride } = kernel;
  const out = new Uint8Array(height * width * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      let from = (y * inWidth + start[x]) * 3;
      if (count[x] === 2) {
        const [left, right] = [weights[x * stride], weights[x * stride + 1]];
        for (let c = to; c < to + 3; c++, from++)
          out[c] = (data[from] * left + data[from + 3] * right + HALF) >> PRECISION;
        continue;
      }
      let r = HALF;
      let g = HALF;
      let b = HALF;
      for (let k = x * stride, end = k + count[x]; k < end; k++, from += 3) {
        const weight = weights[k];
        r += data[from] * weight;
        g += data[from + 1] * weight;
        b += data[from + 2] * weight;
      }
      out[to] = r >> PRECISION;
      out[to + 1] = g >> PRECISION;
      out[to + 2] = b >> PRECISION;
    }
  }
  return out;
}

function resizeColumns(data: Uint8Array, inHeight: number, height: number, rowLength: number): Uint8Array {
  const kernel = triangleKernel(inHeight, height);
  const weights = fixedPoint(kernel);
  const out = new Uint8Array(height * rowLength);
  const sums = new Int32Array(rowLength);
  for (let y = 0; y < height; y++) {
    const weight = weights.subarray(y * kernel.stride, y * kernel.stride + kernel.count[y]);
    const from = kernel.start[y] * rowLength;
    const to = y * rowLength;
    if (weight.length === 2) {
      // When enlarging, nearly all: two passes less.
      const [above, below] = weight;
      for (let i = from, j = to; j < to + rowLength; i++, j++)
        out[j] = (data[i] * above + data[i + rowLength] * below + HALF) >> PRECISION;
      continue;
    }
    sums.fill(HALF);
    for (let k = 0; k < weight.length; k++) {
      const w = weight[k];
      const row = from + k * rowLength;
      for (let i = 0; i < rowLength; i++) sums[i] += data[row + i] * w;
    }
    for (let i = 0; i < rowLength; i++) out[to + i] = sums[i] >> PRECISION;
  }
  return out;
}
