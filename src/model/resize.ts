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

/** @param image [H, W, C] */
export function resizeImage(image: Tensor<Uint8Array>, [height, width]: Size): Tensor<Uint8Array> {
  const [inHeight, inWidth, channels] = image.shape;
  const rows = width === inWidth ? image.data : resizeRows(image, width);
  const data = height === inHeight ? rows : resizeColumns(rows, inHeight, height, width * channels);
  return tensor(data, [height, width, channels]);
}

function resizeRows({ data, shape }: Tensor<Uint8Array>, width: number): Uint8Array {
  const [height, inWidth, channels] = shape;
  const kernel = triangleKernel(inWidth, width);
  const weights = fixedPoint(kernel);
  const { start, count, stride } = kernel;
  const out = new Uint8Array(height * width * channels);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += channels) {
      let from = (y * inWidth + start[x]) * channels;
      if (count[x] === 2) {
        const [left, right] = [weights[x * stride], weights[x * stride + 1]];
        for (let c = to; c < to + channels; c++, from++)
          out[c] = (data[from] * left + data[from + channels] * right + HALF) >> PRECISION;
        continue;
      }
      const taps = x * stride;
      for (let c = to; c < to + channels; c++, from++) {
        let sum = HALF;
        for (let k = 0; k < count[x]; k++) sum += data[from + k * channels] * weights[taps + k];
        out[c] = sum >> PRECISION;
      }
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
