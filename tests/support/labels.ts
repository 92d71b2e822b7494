import type { LabelImage } from '../../src/ndimage/array.js';
import { tensor } from '../../src/ndimage/array.js';
import { randomInteger, seededRandom } from './random.js';

/**
 * Random labels that exercise writers: blobs that overlap, touch at corners, have holes, fall apart and cross planes;
 * ids anywhere in 1..highest, with gaps.
 */
export function randomLabels(
  random: () => number,
  shape: readonly number[],
  objects: number,
  highest: number,
): LabelImage {
  const [planes, height, width] = shape.length === 3 ? shape : [1, ...shape];
  const data = new Uint32Array(planes * height * width);
  for (let i = 0; i < objects; i++) {
    const id = randomInteger(random, 1, highest + 1);
    const center = [random() * planes, random() * height, random() * width];
    const radius = 1 + random() * Math.min(height, width) * 0.3;
    const hole = random() < 0.3 ? radius * 0.5 : -1;
    for (let z = 0; z < planes; z++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const distance = Math.sqrt(((z - center[0]) * 2) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2);
          if (distance <= radius && distance > hole) data[(z * height + y) * width + x] = id;
        }
  }
  // Single pixels here and there, of old and new objects.
  for (let i = 0; i < data.length * 0.01; i++)
    data[randomInteger(random, 0, data.length)] = randomInteger(random, 0, highest + 1);
  return tensor(data, shape);
}

/** A stack of small planes of noise, the same for the same number of planes. */
export function noiseVolume(planes: number): { data: Uint8Array; shape: number[]; axes: string; name: string } {
  const random = seededRandom(planes);
  const data = Uint8Array.from({ length: planes * 24 * 32 }, () => random() * 256);
  return { data, shape: [planes, 24, 32], axes: 'zyx', name: 'noise' };
}
