import assert from 'node:assert/strict';
import { gaussianFilter } from '../../src/ndimage/gaussian.js';
import { dilate, erode, fillHoles } from '../../src/ndimage/morphology.js';
import { localMaxima } from '../../src/ndimage/peaks.js';
import { resizeNearest } from '../../src/ndimage/resize.js';
import { labelsFromPicture, randomBitmap } from '../support/blobs.js';
import { randomInteger, seededRandom } from '../support/random.js';

describe('ndimage/gaussian', () => {
  it('agrees with the definition in two dimensions, mirrored borders included', () => {
    const random = seededRandom(4);
    const shape = [7, 9];
    const data = Float32Array.from({ length: 63 }, () => random());
    const sigma = 1.3;
    const radius = 4;
    const weight = (d: number) => Math.exp(-(d * d) / (2 * sigma * sigma));
    const mirror = (i: number, n: number) => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i);
    const result = gaussianFilter({ data, shape }, sigma);
    for (let y = 0; y < 7; y++)
      for (let x = 0; x < 9; x++) {
        let sum = 0;
        let total = 0;
        for (let dy = -radius; dy <= radius; dy++)
          for (let dx = -radius; dx <= radius; dx++) {
            sum += weight(dy) * weight(dx) * data[mirror(y + dy, 7) * 9 + mirror(x + dx, 9)];
            total += weight(dy) * weight(dx);
          }
        assert.ok(Math.abs(result.data[y * 9 + x] - sum / total) < 1e-6);
      }
  });

  it('keeps a constant, leaves axes of sigma 0 alone, and works along z', () => {
    const constant = gaussianFilter({ data: new Float32Array(60).fill(3), shape: [3, 4, 5] }, 2);
    for (const value of constant.data) assert.ok(Math.abs(value - 3) < 1e-5);
    const spike = new Float32Array(27);
    spike[13] = 1;
    const alongZ = gaussianFilter({ data: spike, shape: [3, 3, 3] }, [0.5, 0, 0]).data;
    assert.deepEqual(
      [...alongZ.keys()].filter((p) => alongZ[p] > 0),
      [4, 13, 22],
    );
  });
});

describe('ndimage/morphology', () => {
  const offsets = {
    faces: (dz: number, dy: number, dx: number) => Math.abs(dz) + Math.abs(dy) + Math.abs(dx) <= 1,
    all: () => true,
    z: (_: number, dy: number, dx: number) => dy === 0 && dx === 0,
  };

  it('dilation and erosion agree with the definition on random volumes', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = seededRandom(seed);
      const [depth, height, width] = [
        randomInteger(random, 1, 6),
        randomInteger(random, 1, 8),
        randomInteger(random, 1, 8),
      ];
      const data = randomBitmap(random, depth * height, width, random());
      const image = { data, shape: [depth, height, width] };
      for (const structure of ['faces', 'all', 'z'] as const) {
        const dilated = dilate(image, { structure }).data;
        const eroded = erode(image, { structure }).data;
        for (let p = 0; p < data.length; p++) {
          const [z, y, x] = [Math.floor(p / (height * width)), Math.floor(p / width) % height, p % width];
          let any = 0;
          let all = 1;
          for (let dz = -1; dz <= 1; dz++)
            for (let dy = -1; dy <= 1; dy++)
              for (let dx = -1; dx <= 1; dx++) {
                if (!offsets[structure](dz, dy, dx)) continue;
                const inside =
                  z + dz >= 0 && z + dz < depth && y + dy >= 0 && y + dy < height && x + dx >= 0 && x + dx < width;
                const value = inside ? data[p + (dz * height + dy) * width + dx] : 0;
                any |= value;
                all &= value;
              }
          assert.equal(dilated[p], any, `dilate ${structure}, seed ${seed}`);
          assert.equal(eroded[p], all, `erode ${structure}, seed ${seed}`);
        }
      }
    }
  });

  it('fills what is enclosed, not what leaks through a face or reaches the border, and only up to a size', () => {
    const image = labelsFromPicture('11111111', '1.1..111', '1111.1.1', '11111111');
    assert.deepEqual([...fillHoles(image).data].filter((v) => v === 0).length, 0);
    assert.deepEqual([...fillHoles(image, 1).data].filter((v) => v === 0).length, 3);
    const open = labelsFromPicture('1111', '1..1', '11.1');
    assert.deepEqual(fillHoles(open).data, Uint8Array.from(open.data));
  });
});

describe('ndimage/peaks', () => {
  it('finds separated maxima, highest first, and drops the lower of two that are close', () => {
    const data = new Float32Array(100);
    data[11] = 5; // (1, 1)
    data[13] = 4; // (1, 3): 2 from the first
    data[77] = 9; // (7, 7)
    assert.deepEqual(localMaxima({ data, shape: [10, 10] }, 3), [
      [7, 7],
      [1, 1],
    ]);
    assert.deepEqual(localMaxima({ data, shape: [10, 10] }, 1), [
      [7, 7],
      [1, 1],
      [1, 3],
    ]);
  });

  it('a constant image has none, a plateau one', () => {
    assert.deepEqual(localMaxima({ data: new Float32Array(25).fill(2), shape: [5, 5] }, 2), []);
    const plateau = new Float32Array(25);
    plateau.fill(1, 6, 9);
    assert.deepEqual(localMaxima({ data: plateau, shape: [5, 5] }, 3), [[1, 1]]);
  });
});

describe('ndimage/resize', () => {
  it('nearest keeps labels and type', () => {
    const labels = labelsFromPicture('12', '30');
    assert.deepEqual(resizeNearest(labels, [4, 4]), labelsFromPicture('1122', '1122', '3300', '3300'));
    assert.deepEqual(resizeNearest(labelsFromPicture('1122', '1122', '3300', '3300'), [2, 2]), labels);
  });
});
