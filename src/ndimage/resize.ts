import type { Size, Tensor, TypedArray } from './array.js';

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
