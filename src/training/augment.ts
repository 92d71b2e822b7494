import { resizeImage } from '../model/resize.js';
import { type Size, type Tensor, type TypedArray, tensor } from '../ndimage/array.js';
import { resizeNearest } from '../ndimage/resize.js';
import type { LabelledImage } from './labelled-image.js';
import type { Random } from './random.js';

/** Changes that an annotated image may undergo and still be annotated rightly. */

/** One of the eight symmetries of the square. */
export function turned(sample: LabelledImage, random: Random): LabelledImage {
  const quarter = random.chance(0.5);
  const flipY = random.chance(0.5);
  const flipX = random.chance(0.5);
  const turn = <T extends TypedArray>(image: Tensor<T>) => rearrange(image, quarter, flipY, flipX);
  return { ...sample, image: turn(sample.image), labels: turn(sample.labels) };
}

function rearrange<T extends TypedArray>(image: Tensor<T>, swap: boolean, flipY: boolean, flipX: boolean): Tensor<T> {
  const [height, width, channels = 1] = image.shape;
  const [rows, columns] = swap ? [width, height] : [height, width];
  const data = new (image.data.constructor as new (length: number) => T)(image.data.length);
  for (let y = 0, to = 0; y < rows; y++) {
    const v = flipY ? rows - 1 - y : y;
    for (let x = 0; x < columns; x++) {
      const u = flipX ? columns - 1 - x : x;
      const from = (swap ? u * width + v : v * width + u) * channels;
      for (let c = 0; c < channels; c++) data[to++] = image.data[from + c];
    }
  }
  return tensor(data, [rows, columns, ...image.shape.slice(2)]);
}

export function scaled(sample: LabelledImage, size: Size): LabelledImage {
  return { ...sample, image: resizeImage(sample.image, size), labels: resizeNearest(sample.labels, size) };
}

/** At most `size` large: a random part of what is larger. */
export function cropped(sample: LabelledImage, [height, width]: Size, random: Random): LabelledImage {
  const [h, w] = sample.labels.shape;
  if (h <= height && w <= width) return sample;
  const size: Size = [Math.min(h, height), Math.min(w, width)];
  const [top, left] = [random.below(h - size[0] + 1), random.below(w - size[1] + 1)];
  const cut = <T extends TypedArray>(image: Tensor<T>) => part(image, top, left, size);
  return { ...sample, image: cut(sample.image), labels: cut(sample.labels) };
}

/** The part that begins at (top, left). */
export function part<T extends TypedArray>(
  image: Tensor<T>,
  top: number,
  left: number,
  [height, width]: Size,
): Tensor<T> {
  const stride = image.shape[1] * (image.shape[2] ?? 1);
  const length = width * (image.shape[2] ?? 1);
  const first = left * (image.shape[2] ?? 1);
  const data = new (image.data.constructor as new (length: number) => T)(height * length);
  for (let y = 0; y < height; y++) {
    const from = (top + y) * stride + first;
    data.set(image.data.subarray(from, from + length), y * length);
  }
  return tensor(data, [height, width, ...image.shape.slice(2)]);
}

/** Another exposure of the same scene: gamma, gain and offset, sometimes inverted, sometimes with noise. */
export function reexposed(sample: LabelledImage, random: Random): LabelledImage {
  const gamma = random.chance(0.6) ? random.logUniform(Math.exp(-0.5), Math.exp(0.5)) : 1;
  const linear = random.chance(0.5);
  const gain = linear ? random.uniform(0.7, 1.15) : 1;
  const offset = linear ? random.uniform(-0.08, 0.08) : 0;
  const inverted = random.chance(0.12);
  const noise = random.chance(0.3) ? random.uniform(0.005, 0.04) : 0;
  const table = Float32Array.from({ length: 256 }, (_, value) => {
    const level = Math.min(1, Math.max(0, gain * (value / 255) ** gamma + offset));
    return 255 * (inverted ? 1 - level : level);
  });
  const source = sample.image.data;
  const data = new Uint8ClampedArray(source.length);
  for (let i = 0; i < source.length; i += 3) {
    const shift = noise > 0 ? 255 * noise * random.normal() : 0;
    for (let c = i; c < i + 3; c++) data[c] = table[source[c]] + shift;
  }
  return { ...sample, image: tensor(new Uint8Array(data.buffer), sample.image.shape) };
}
