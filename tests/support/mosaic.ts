import { type Tensor, tensor } from '../../src/ndimage/array.js';

/** The first channel of an image, repeated to a square and shifted, so that its seams are not where tiles meet. */
export function mosaic({ data, shape }: Tensor, side: number): Tensor<Uint16Array> {
  const [height, width, channels = 1] = shape;
  const pixels = new Uint16Array(side * side);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++)
      pixels[y * side + x] = data[(((y + 200) % height) * width + ((x + 300) % width)) * channels];
  return tensor(pixels, [side, side]);
}
