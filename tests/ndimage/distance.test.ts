import assert from 'node:assert/strict';
import { distanceTransform, innermostPixel } from '../../src/ndimage/distance.js';
import { fullMask, maskFromBitmap } from '../../src/ndimage/rle.js';
import { randomBitmap } from '../support/blobs.js';
import { randomInteger, seededRandom } from '../support/random.js';

describe('ndimage/distance', () => {
  it('agrees with looking at every pair, in 2D and 3D, with pixels that are not square', () => {
    for (let seed = 1; seed <= 80; seed++) {
      const random = seededRandom(seed);
      const shape = [randomInteger(random, 1, 11), randomInteger(random, 1, 11)];
      if (seed % 2) shape.unshift(randomInteger(random, 1, 6));
      const sampling = shape.map(() => 0.3 + 2 * random());
      const data = randomBitmap(
        random,
        shape.reduce((a, b) => a * b),
        1,
        random(),
      );
      const result = distanceTransform({ data, shape }, sampling);
      const at = (p: number) => {
        const width = shape[shape.length - 1];
        const height = shape[shape.length - 2];
        const index = [Math.floor(p / (width * height)), Math.floor(p / width) % height, p % width];
        return index.slice(3 - shape.length).map((value, axis) => value * sampling[axis]);
      };
      const zeros = [...data.keys()].filter((p) => data[p] === 0).map(at);
      for (let p = 0; p < data.length; p++) {
        const here = at(p);
        const expected = Math.min(...zeros.map((zero) => Math.hypot(...zero.map((value, axis) => value - here[axis]))));
        if (expected === Infinity) assert.equal(result.data[p], Infinity);
        else
          assert.ok(Math.abs(result.data[p] - expected) < 1e-5, `seed ${seed} at ${p}: ${result.data[p]}, ${expected}`);
      }
    }
  });

  it('the innermost pixel of a rectangle is its middle, the image border counting as outside', () => {
    assert.deepEqual(innermostPixel(fullMask([7, 5])), [2, 2]);
    assert.deepEqual(innermostPixel(fullMask([5, 5])), [2, 2]);
  });

  it('the innermost pixel lies in the object even where the centroid does not', () => {
    const crescent = maskFromBitmap([1, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1, 1], [4, 3], [10, 20]);
    assert.deepEqual(innermostPixel(crescent), [10, 20]);
  });
});
