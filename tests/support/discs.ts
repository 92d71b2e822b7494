import { tensor } from '../../src/ndimage/array.js';
import type { LabelledImage } from '../../src/training/labelled-image.js';

/** Discs of one radius on a grid, each as bright as its label: what moves one must move the other. */
export function discs(size: number, radius: number, spacing: number): LabelledImage {
  const labels = new Uint32Array(size * size);
  const image = new Uint8Array(size * size * 3);
  for (let y = 0, p = 0; y < size; y++)
    for (let x = 0; x < size; x++, p++) {
      const [row, column] = [Math.floor(y / spacing), Math.floor(x / spacing)];
      const [dy, dx] = [y - (row + 0.5) * spacing, x - (column + 0.5) * spacing];
      if (dy * dy + dx * dx > radius * radius) continue;
      labels[p] = 1 + row * Math.ceil(size / spacing) + column;
      image.fill(100 + (labels[p] % 100), 3 * p, 3 * p + 3);
    }
  return { image: tensor(image, [size, size, 3]), labels: tensor(labels, [size, size]), partial: false };
}
