import assert from 'node:assert/strict';
import type { YXYX } from '../../src/ndimage/array.js';
import { boxIou, clipBox, extendBox, nonMaximumSuppression, roundHalfEven } from '../../src/ndimage/boxes.js';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { fullMask, translateMask } from '../../src/ndimage/rle.js';
import { randomInteger, seededRandom } from '../support/random.js';

function randomBox(random: () => number): YXYX {
  const y = randomInteger(random, 0, 20);
  const x = randomInteger(random, 0, 20);
  return [y, x, y + randomInteger(random, 1, 15), x + randomInteger(random, 1, 15)];
}

describe('ndimage/boxes', () => {
  it('the IoU of boxes is the IoU of their pixels', () => {
    const random = seededRandom(1);
    for (let i = 0; i < 300; i++) {
      const [a, b] = [randomBox(random), randomBox(random)];
      const filled = ([y0, x0, y1, x1]: YXYX) => translateMask(fullMask([y1 - y0, x1 - x0]), y0, x0);
      assert.equal(boxIou(a, b), maskIou(filled(a), filled(b)));
    }
  });

  it('suppression keeps a set that is free of overlaps and covers all others from above', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = seededRandom(seed);
      const boxes = Array.from({ length: 40 }, () => randomBox(random));
      const scores = boxes.map(() => random());
      const kept = nonMaximumSuppression(boxes, scores, 0.4);
      for (const i of kept) for (const j of kept) if (i !== j) assert.ok(boxIou(boxes[i], boxes[j]) <= 0.4);
      for (let i = 0; i < boxes.length; i++)
        if (!kept.includes(i))
          assert.ok(
            kept.some((k) => scores[k] >= scores[i] && boxIou(boxes[k], boxes[i]) > 0.4),
            `seed ${seed}`,
          );
      assert.deepEqual(
        kept,
        [...kept].sort((a, b) => scores[b] - scores[a]),
      );
    }
  });

  it('equal boxes with equal scores: the first stays, unless the threshold is 1', () => {
    const boxes: YXYX[] = [
      [0, 0, 4, 4],
      [0, 0, 4, 4],
    ];
    assert.deepEqual(nonMaximumSuppression(boxes, [1, 1], 0.99), [0]);
    assert.deepEqual(nonMaximumSuppression(boxes, [1, 1], 1), [0, 1]);
  });

  it('extends by pixels or by a fraction, per axis, and cuts at the image', () => {
    assert.deepEqual(extendBox([10, 20, 20, 60], 0, [100, 100]), [10, 20, 20, 60]);
    assert.deepEqual(extendBox([10, 20, 20, 60], 3, [100, 100]), [7, 17, 23, 63]);
    assert.deepEqual(extendBox([10, 20, 20, 60], 0.1, [100, 100]), [9, 16, 21, 64]);
    assert.deepEqual(extendBox([2, 20, 20, 60], 5, [22, 62]), [0, 15, 22, 62]);
    assert.deepEqual(extendBox([0.5, 1.5, 2.5, 3.6], 0, [9, 9]), [0, 2, 2, 4]);
  });

  it('clipping orders the corners', () => {
    assert.deepEqual(clipBox([8, 9, -2, 3], [6, 7]), [0, 3, 6, 7]);
  });

  it('halves round to even', () => {
    assert.deepEqual(
      [0.5, 1.5, 2.5, -0.5, -1.5, 2.4, 2.6].map(roundHalfEven).map((v) => v + 0),
      [0, 2, 2, 0, -2, 2, 3],
    );
  });
});
