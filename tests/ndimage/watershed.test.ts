import assert from 'node:assert/strict';
import { watershed } from '../../src/ndimage/watershed.js';
import { labelsFromPicture, randomBitmap } from '../support/blobs.js';
import { randomInteger, seededRandom } from '../support/random.js';

/** The same flooding with a sorted list of (level, age) instead of queues, on integer heights. */
function slow(heights: Uint32Array, seeds: Uint32Array, mask: Uint8Array, shape: readonly number[]): Uint32Array {
  const [depth, height, width] = shape;
  const labels = new Uint32Array(seeds.length);
  const queue: { p: number; level: number; age: number }[] = [];
  let age = 0;
  seeds.forEach((seed, p) => {
    if (seed === 0 || !mask[p]) return;
    labels[p] = seed;
    queue.push({ p, level: heights[p], age: age++ });
  });
  while (queue.length > 0) {
    queue.sort((a, b) => a.level - b.level || a.age - b.age);
    const { p, level } = queue.shift()!;
    const [z, y, x] = [Math.floor(p / (height * width)), Math.floor(p / width) % height, p % width];
    for (const [dz, dy, dx] of [
      [-1, 0, 0],
      [0, -1, 0],
      [0, 0, -1],
      [0, 0, 1],
      [0, 1, 0],
      [1, 0, 0],
    ]) {
      if (z + dz < 0 || z + dz >= depth || y + dy < 0 || y + dy >= height || x + dx < 0 || x + dx >= width) continue;
      const q = p + (dz * height + dy) * width + dx;
      if (labels[q] || !mask[q]) continue;
      labels[q] = labels[p];
      queue.push({ p: q, level: Math.max(level, heights[q]), age: age++ });
    }
  }
  return labels;
}

describe('ndimage/watershed', () => {
  it('agrees with flooding by a sorted list on random volumes', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = seededRandom(seed);
      const shape = [randomInteger(random, 1, 4), randomInteger(random, 1, 9), randomInteger(random, 1, 9)];
      const count = shape[0] * shape[1] * shape[2];
      const heights = Uint32Array.from({ length: count }, () => randomInteger(random, 0, 6));
      const seeds = Uint32Array.from({ length: count }, (_, p) => (random() < 0.08 ? p + 1 : 0));
      const mask = randomBitmap(random, count, 1, 0.8);
      const result = watershed({ data: heights, shape }, { data: seeds, shape }, { data: mask, shape });
      assert.deepEqual(result.data, slow(heights, seeds, mask, shape), `seed ${seed}`);
    }
  });

  it('the border runs along the ridge, and the rest of the mask stays empty', () => {
    const heights = Float32Array.from([0, 1, 5, 1, 0, 0]);
    const seeds = labelsFromPicture('1...2.');
    const mask = labelsFromPicture('111110');
    const { data } = watershed({ data: heights, shape: [1, 6] }, seeds, mask);
    assert.deepEqual([data[0], data[1], data[3], data[4], data[5]], [1, 1, 2, 2, 0]);
  });
});
