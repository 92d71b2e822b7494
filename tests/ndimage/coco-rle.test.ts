import assert from 'node:assert/strict';
import { encodeCounts, toCocoRle } from '../../src/ndimage/coco-rle.js';
import { maskFromBitmap } from '../../src/ndimage/rle.js';
import { randomBitmap } from '../support/blobs.js';
import { decodeCounts, fromCocoRle } from '../support/coco-reader.js';
import { seededRandom } from '../support/random.js';

describe('ndimage/coco-rle', () => {
  it('counts run down the columns, background first', () => {
    const mask = maskFromBitmap([1, 0, 0, 1, 1, 0], [2, 3]);
    assert.deepEqual(toCocoRle(mask, [2, 3]).counts, [0, 2, 1, 1, 2]);
  });

  it('gives masks back, through the string too', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = seededRandom(seed);
      const size = [1 + Math.floor(random() * 40), 1 + Math.floor(random() * 40)] as const;
      const mask = maskFromBitmap(randomBitmap(random, size[0], size[1], random() ** 3), size);
      const rle = toCocoRle(mask, size);
      assert.deepEqual(fromCocoRle(rle), mask, `seed ${seed}`);
      assert.deepEqual(decodeCounts(encodeCounts(rle.counts)), rle.counts, `seed ${seed}`);
    }
  });

  it('packs large counts, too', () => {
    assert.deepEqual(decodeCounts(encodeCounts([16777216, 5, 3, 100000, 1])), [16777216, 5, 3, 100000, 1]);
  });
});
