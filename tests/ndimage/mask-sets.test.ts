import assert from 'node:assert/strict';
import {
  clipMask,
  cropMask,
  intersectionArea,
  intersectMasks,
  maskIou,
  subtractMasks,
  unionMasks,
} from '../../src/ndimage/mask-sets.js';
import { EMPTY_MASK, maskFromBitmap, maskToBitmap } from '../../src/ndimage/rle.js';
import { randomBitmap } from '../support/blobs.js';
import { randomInteger, seededRandom } from '../support/random.js';

describe('ndimage/mask-sets', () => {
  it('agrees with the same operations on pixels, for random masks at random offsets', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seededRandom(seed);
      const draw = () => {
        const height = randomInteger(random, 1, 9);
        const width = randomInteger(random, 1, 9);
        const offset = [randomInteger(random, -4, 8), randomInteger(random, -4, 8)] as const;
        return maskFromBitmap(randomBitmap(random, height, width, random()), [height, width], offset);
      };
      const a = draw();
      const b = draw();
      const pixels = (mask: typeof a) => maskToBitmap(mask, [24, 24], [-4, -4]);
      const p = pixels(a);
      const q = pixels(b);
      const expect = (rule: (inA: number, inB: number) => number) =>
        maskFromBitmap(
          p.map((value, i) => rule(value, q[i])),
          [24, 24],
          [-4, -4],
        );
      assert.deepEqual(
        unionMasks(a, b),
        expect((x, y) => x | y),
        `union, seed ${seed}`,
      );
      assert.deepEqual(
        intersectMasks(a, b),
        expect((x, y) => x & y),
        `intersection, seed ${seed}`,
      );
      assert.deepEqual(
        subtractMasks(a, b),
        expect((x, y) => x & ~y),
        `difference, seed ${seed}`,
      );
      const shared = expect((x, y) => x & y).area;
      const either = expect((x, y) => x | y).area;
      assert.equal(intersectionArea(a, b), shared, `seed ${seed}`);
      assert.equal(maskIou(a, b), either === 0 ? 0 : shared / either);
      const size = [6, 5] as const;
      assert.deepEqual(clipMask(a, size), maskFromBitmap(maskToBitmap(a, size), size), `clip, seed ${seed}`);
      assert.deepEqual(cropMask(a, [1, 2, 4, 7]), maskFromBitmap(maskToBitmap(a, [3, 5], [1, 2]), [3, 5], [1, 2]));
    }
  });

  it('the empty mask is neutral', () => {
    const mask = maskFromBitmap([1, 0, 1], [1, 3], [5, 5]);
    assert.deepEqual(unionMasks(mask, EMPTY_MASK), mask);
    assert.deepEqual(subtractMasks(mask, EMPTY_MASK), mask);
    assert.deepEqual(subtractMasks(EMPTY_MASK, mask), EMPTY_MASK);
    assert.equal(maskIou(EMPTY_MASK, EMPTY_MASK), 0);
  });
});
