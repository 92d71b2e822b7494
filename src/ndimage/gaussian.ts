import type { Tensor } from './array.js';
import { threeAxes } from './label.js';

/**
 * Separable Gaussian in 2D and 3D. Kernel radius ceil(3 sigma), normalised to 1, borders mirrored without repeating the
 * edge pixel (… 2 1 | 0 1 2 …), in single precision with both sides of the kernel added first: the definition behind
 * micro-sam's smoothing (bioimage-cpp 0.10), and its order of operations, by which maxima of equal height are told apart.
 *
 * @param sigma in pixels, one for all axes or one per axis; 0 leaves an axis alone
 */
export function gaussianFilter(image: Tensor, sigma: number | readonly number[]): Tensor<Float32Array> {
  const [depth, height, width] = threeAxes(image.shape);
  const sigmas = typeof sigma === 'number' ? [sigma, sigma, sigma] : sigma.length === 2 ? [0, ...sigma] : sigma;
  let data = Float32Array.from(image.data);
  const axes = [
    { length: depth, stride: height * width, sigma: sigmas[0] },
    { length: height, stride: width, sigma: sigmas[1] },
    { length: width, stride: 1, sigma: sigmas[2] },
  ];
  for (const axis of axes) if (axis.sigma > 0 && axis.length > 1) data = alongAxis(data, axis);
  return { data, shape: image.shape };
}

function gaussianKernel(sigma: number): Float64Array {
  const radius = Math.ceil(3 * sigma);
  const kernel = Float64Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)),
  );
  const sum = kernel.reduce((a, b) => a + b, 0);
  return kernel.map((weight) => weight / sum);
}

function alongAxis(
  data: Float32Array,
  axis: { length: number; stride: number; sigma: number },
): Float32Array<ArrayBuffer> {
  const { length, stride } = axis;
  const kernel = Float32Array.from(gaussianKernel(axis.sigma));
  const radius = (kernel.length - 1) / 2;
  const source = new Int32Array(length + 2 * radius); // where each padded position is read from
  for (let i = 0; i < source.length; i++) source[i] = mirror(i - radius, length);
  const out = new Float32Array(data.length);
  const block = length * stride;
  if (stride > 1) {
    for (let start = 0; start < data.length; start += block) alongRows(data, out, start, kernel, source, axis);
    return out;
  }
  const line = new Float32Array(source.length);
  const sums = new Float32Array(length);
  for (let start = 0; start < data.length; start += block) {
    for (let i = 0; i < line.length; i++) line[i] = data[start + source[i]];
    const middle = kernel[radius];
    for (let i = 0; i < length; i++) sums[i] = middle * line[i + radius];
    for (let k = 1; k <= radius; k++) {
      const weight = kernel[radius + k];
      for (let i = 0, before = radius - k, after = radius + k; i < length; i++, before++, after++)
        sums[i] = Math.fround(sums[i] + Math.fround(line[before] + line[after]) * weight);
    }
    out.set(sums, start);
  }
  return out;
}

/** The same sums, a row of `stride` numbers at a time, in the order in which they lie in memory. */
function alongRows(
  data: Float32Array,
  out: Float32Array,
  start: number,
  kernel: Float32Array,
  source: Int32Array,
  { length, stride }: { length: number; stride: number },
): void {
  const radius = (kernel.length - 1) / 2;
  const row = (i: number) => start + source[i + radius] * stride;
  for (let i = 0; i < length; i++) {
    const to = start + i * stride;
    const middle = row(i);
    for (let x = 0; x < stride; x++) out[to + x] = kernel[radius] * data[middle + x];
    for (let k = 1; k <= radius; k++) {
      const [before, after, weight] = [row(i - k), row(i + k), kernel[radius + k]];
      for (let x = 0; x < stride; x++)
        out[to + x] = Math.fround(out[to + x] + Math.fround(data[before + x] + data[after + x]) * weight);
    }
  }
}

function mirror(index: number, length: number): number {
  const period = 2 * (length - 1);
  const folded = ((index % period) + period) % period;
  return folded < length ? folded : period - folded;
}
