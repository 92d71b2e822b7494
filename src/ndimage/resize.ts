import type { Size, Tensor, TypedArray } from './array.js';

/**
 * Resizing of [H, W] or [H, W, C] arrays with half-pixel centres, as torch.nn.functional.interpolate with
 * align_corners = false. (The encoder's input has rules of its own: model/resize.ts.)
 */
export interface ResizeOptions {
  /** Widen the filter when shrinking, so that every input pixel counts. */
  readonly antialias?: boolean;
}

interface Taps {
  readonly start: Int32Array;
  readonly count: Int32Array;
  /** `stride` weights per output index. */
  readonly weights: Float64Array;
  readonly stride: number;
}

export function resizeBilinear(
  image: Tensor,
  size: Size,
  { antialias = false }: ResizeOptions = {},
): Tensor<Float32Array> {
  const [height, width, channels = 1] = image.shape;
  const rows = bilinearTaps(height, size[0], antialias);
  const columns = bilinearTaps(width, size[1], antialias);
  const narrow = resample(image.data, height, width, channels, columns, size[1]);
  const data = resample(narrow, 1, height, size[1] * channels, rows, size[0]);
  return { data, shape: [size[0], size[1], ...image.shape.slice(2)] };
}

/** Nearest neighbour: output pixel i takes input pixel floor((i + 0.5) · in / out), so labels stay labels. */
export function resizeNearest<T extends TypedArray>(image: Tensor<T>, size: Size): Tensor<T> {
  const [height, width, channels = 1] = image.shape;
  const data = new (image.data.constructor as new (length: number) => T)(size[0] * size[1] * channels);
  const column = Int32Array.from({ length: size[1] }, (_, x) => Math.floor(((x + 0.5) * width) / size[1]));
  for (let y = 0, to = 0; y < size[0]; y++) {
    const row = Math.floor(((y + 0.5) * height) / size[0]) * width;
    for (let x = 0; x < size[1]; x++) {
      const from = (row + column[x]) * channels;
      for (let c = 0; c < channels; c++) data[to++] = image.data[from + c];
    }
  }
  return { data, shape: [size[0], size[1], ...image.shape.slice(2)] };
}

function bilinearTaps(input: number, output: number, antialias: boolean): Taps {
  const scale = input / output;
  const support = antialias ? Math.max(scale, 1) : 1;
  const stride = 2 * Math.ceil(support) + 1;
  const start = new Int32Array(output);
  const count = new Int32Array(output);
  const weights = new Float64Array(output * stride);
  for (let i = 0; i < output; i++) {
    // Without antialiasing positions outside the outermost centres are clamped; with it the window is cut.
    const centre = (i + 0.5) * scale - 0.5;
    const at = antialias ? centre : Math.min(Math.max(centre, 0), input - 1);
    const first = Math.max(0, Math.floor(at - support) + 1);
    const last = Math.min(input - 1, Math.ceil(at + support) - 1);
    start[i] = first;
    count[i] = last - first + 1;
    let sum = 0;
    for (let k = first; k <= last; k++) sum += weights[i * stride + k - first] = 1 - Math.abs(k - at) / support;
    for (let k = 0; k < count[i]; k++) weights[i * stride + k] /= sum;
  }
  return { start, count, weights, stride };
}

/** Resamples the middle axis of [outer, length, inner]. */
function resample(
  data: TypedArray,
  outer: number,
  length: number,
  inner: number,
  { start, count, weights, stride }: Taps,
  output: number,
): Float32Array {
  const out = new Float32Array(outer * output * inner);
  if (inner === 1) {
    for (let o = 0; o < outer; o++)
      for (let i = 0; i < output; i++) {
        const from = o * length + start[i];
        const first = i * stride;
        let sum = 0;
        for (let k = 0; k < count[i]; k++) sum = Math.fround(sum + weights[first + k] * data[from + k]);
        out[o * output + i] = sum;
      }
    return out;
  }
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < output; i++) {
      const to = (o * output + i) * inner;
      for (let k = 0; k < count[i]; k++) {
        const weight = weights[i * stride + k];
        const from = (o * length + start[i] + k) * inner;
        for (let c = 0; c < inner; c++) out[to + c] += weight * data[from + c];
      }
    }
  }
  return out;
}
