import type { Tensor } from '../ndimage/array.js';
import type { InstanceMaps } from './sam-tensors.js';

/** An image with left and right exchanged, [H, W, C]. */
export function mirroredImage({ data, shape }: Tensor<Uint8Array>): Tensor<Uint8Array> {
  const [height, width, channels] = shape;
  const out = new Uint8Array(data.length);
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < width; x++, to += channels) {
      const from = (y * width + width - 1 - x) * channels;
      for (let c = 0; c < channels; c++) out[to + c] = data[from + c];
    }
  return { data: out, shape };
}

/** Maps of a mirrored image as those of the image itself; of a vector (y, x), the fourth and fifth map, x changes its sign. */
export function mirroredMaps({ maps, ...rest }: InstanceMaps): InstanceMaps {
  const [channels, height, width] = maps.shape;
  const data = new Float32Array(maps.data.length);
  for (let c = 0; c < channels; c++) {
    const sign = c === 4 ? -1 : 1;
    for (let y = 0; y < height; y++) {
      const row = (c * height + y) * width;
      for (let x = 0; x < width; x++) data[row + x] = sign * maps.data[row + width - 1 - x];
    }
  }
  return { ...rest, maps: { data, shape: maps.shape } };
}
