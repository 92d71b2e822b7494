import assert from 'node:assert/strict';
import { correctionPoints } from '../../src/evaluation/iterative-prompting.js';
import { dilateMask, promptFromObject, randomPixels } from '../../src/evaluation/prompts-from-ground-truth.js';
import type { Size } from '../../src/ndimage/array.js';
import { rasterizeStroke } from '../../src/ndimage/rasterize.js';
import { EMPTY_MASK, fullMask, maskContains, maskFromBitmap } from '../../src/ndimage/rle.js';
import { randomBitmap } from '../support/blobs.js';
import { seededRandom } from '../support/random.js';

const SIZE: Size = [80, 90];
const DISK = rasterizeStroke([[40, 50]], 12, SIZE);

/** All combinations of 1, 2, 4, 8, 16 positives with 0, 1, 2, 4, 8, 16 negatives, without and with box. */
const SETTINGS = [false, true].flatMap((box) =>
  [1, 2, 4, 8, 16].flatMap((positives) => [0, 1, 2, 4, 8, 16].map((negatives) => ({ positives, negatives, box }))),
);

describe('evaluation/prompts-from-ground-truth', () => {
  it('positives lie in the object, the first in its middle; negatives near it but at least five pixels away', () => {
    const random = seededRandom(1);
    const grown = dilateMask(DISK, 5, SIZE);
    for (const setting of SETTINGS) {
      const { points = [], box } = promptFromObject(DISK, SIZE, setting, random);
      const positives = points.filter((point) => point.positive);
      const negatives = points.filter((point) => !point.positive);
      assert.deepEqual([positives.length, negatives.length], [setting.positives, setting.negatives]);
      assert.deepEqual(box, setting.box ? DISK.box : undefined);
      assert.ok(Math.hypot(positives[0].at[0] - 40, positives[0].at[1] - 50) < 1.5);
      assert.equal(new Set(points.map(({ at }) => String(at))).size, points.length, 'no point twice');
      for (const { at } of positives) assert.ok(maskContains(DISK, ...at));
      for (const { at } of negatives) {
        assert.ok(!maskContains(grown, ...at));
        assert.ok(
          at[0] > DISK.box[0] - 6 && at[0] < DISK.box[2] + 6 && at[1] > DISK.box[1] - 6 && at[1] < DISK.box[3] + 6,
        );
      }
    }
  });

  it('an object that fills its surroundings gets negatives from the background, and one without background none', () => {
    const random = seededRandom(2);
    const setting = { positives: 1, negatives: 4, box: false };
    const bar = maskFromBitmap(new Uint8Array(80 * 90).fill(1, 0, 40 * 90), SIZE);
    const { points = [] } = promptFromObject(bar, SIZE, setting, random);
    for (const { at, positive } of points) assert.equal(maskContains(bar, ...at), positive);
    assert.equal(points.length, 5);
    assert.equal(promptFromObject(fullMask(SIZE), SIZE, setting, random).points?.length, 1);
  });

  it('a single pixel is an object', () => {
    const prompt = promptFromObject(
      rasterizeStroke([[3.5, 4.5]], 0.4, SIZE),
      SIZE,
      { positives: 4, negatives: 0, box: true },
      seededRandom(3),
    );
    assert.deepEqual(prompt.points, [{ at: [3.5, 4.5], positive: true }]);
  });

  it('random pixels are different pixels of the mask, all equally likely', () => {
    const random = seededRandom(4);
    const mask = maskFromBitmap(randomBitmap(random, 5, 6, 0.5), [5, 6]);
    const hits = new Map<string, number>();
    const rounds = 4000;
    for (let i = 0; i < rounds; i++) {
      const pixels = randomPixels(mask, 3, random);
      assert.equal(new Set(pixels.map(String)).size, 3);
      for (const [y, x] of pixels) {
        assert.ok(maskContains(mask, y, x));
        hits.set(`${y},${x}`, (hits.get(`${y},${x}`) ?? 0) + 1);
      }
    }
    const expected = (3 * rounds) / mask.area;
    assert.equal(hits.size, mask.area);
    for (const [pixel, count] of hits) assert.ok(Math.abs(count / expected - 1) < 0.2, `${pixel} came ${count} times`);
    assert.equal(randomPixels(mask, 1000, random).length, mask.area);
    assert.equal(randomPixels(EMPTY_MASK, 3, random).length, 0);
  });

  it('corrections come from what was missed and what is too much, else from near the object', () => {
    const random = seededRandom(5);
    const shifted = rasterizeStroke([[40, 58]], 12, SIZE);
    for (let i = 0; i < 50; i++) {
      const [add, remove] = correctionPoints(DISK, shifted, SIZE, random);
      assert.ok(add.positive && maskContains(DISK, ...add.at) && !maskContains(shifted, ...add.at));
      assert.ok(!remove.positive && maskContains(shifted, ...remove.at) && !maskContains(DISK, ...remove.at));
      const [inside, outside] = correctionPoints(DISK, DISK, SIZE, random);
      assert.ok(maskContains(DISK, ...inside.at) && !maskContains(DISK, ...outside.at));
      assert.ok(Math.hypot(outside.at[0] - 40, outside.at[1] - 50) < 22);
    }
  });
});
