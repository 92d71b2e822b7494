import assert from 'node:assert/strict';
import { fullMask, translateMask } from '../../src/ndimage/rle.js';
import {
  agreeingFirst,
  comparableStability,
  gridFor,
  inStatedBox,
  likelyObjects,
  plainStability,
} from '../../src/segmentation/stated-size.js';

const square = (side: number, at = 0) => ({ mask: translateMask(fullMask([side, side]), at, at) });

describe('stated object size', () => {
  it('puts the point in a square of that side, cut at the frame', () => {
    const points = [{ at: [20, 4] as const, positive: true }];
    assert.deepEqual(inStatedBox({ points }, 12, [24, 100]), { points, box: [14, 0, 24, 10] });
  });

  it('lets the mask from the square decide which of the others comes first', () => {
    const [background, nucleus, piece] = [square(100), square(10), square(4)];
    assert.deepEqual(agreeingFirst([background, nucleus, piece], square(11)), [nucleus, background, piece]);
  });

  it('keeps the order of those that agree', () => {
    const [a, b, c] = [square(10), square(50), square(11)];
    assert.deepEqual(agreeingFirst([a, b, c], square(10)), [a, c, b]);
  });

  it('takes the mask from the square where none agrees', () => {
    const [background, piece] = [square(100), square(4)];
    const fromBox = square(10, 3);
    assert.deepEqual(agreeingFirst([background, piece], fromBox), [fromBox, background, piece]);
  });

  it('takes no mask for an object that is many times larger than those that were trained on, or far behind the surest', () => {
    const of = (side: number, predictedIou: number) => ({ ...square(side), predictedIou });
    const sidesOf = (...masks: ReturnType<typeof of>[]) =>
      likelyObjects(masks, { small: 6, largest: 20 }).map(({ mask }) => Math.sqrt(mask.area));
    assert.deepEqual(sidesOf(of(300, 0.9), of(54, 0.8), of(53, 0.75)), [53]); // a disk three times as wide has 53.2²
    assert.deepEqual(sidesOf(of(300, 0.9), of(12, 0.73), of(11, 0.71)), [12]);
    assert.deepEqual(sidesOf(of(12, 0.9), of(30, 0.8), of(4, 0.2)), [12, 30]);
    assert.deepEqual(sidesOf(of(0, 0.9), of(100, 0.8), of(300, 0.2)), []);
  });

  it('makes stability of disks with equally sharp edges comparable', () => {
    // Logits that fall by 2 per cell across the edge: the unstable ring reaches half a cell to both sides.
    const stability = (diameter: number) => ((diameter / 2 - 0.5) / (diameter / 2 + 0.5)) ** 2;
    assert.ok(stability(16) < stability(64) - 0.15, 'else there would be nothing to do');
    for (const diameter of [16, 20, 32, 48, 64, 200]) {
      const comparable = comparableStability(stability(diameter), diameter);
      assert.ok(Math.abs(comparable - stability(Math.max(64, diameter))) < 0.01, `${diameter}: ${comparable}`);
    }
  });

  it('asks the model for no more than what can count in the end', () => {
    for (const diameter of [8, 20, 64, 500])
      for (const floor of [0.6, 0.9, 0.95]) {
        const plain = plainStability(floor, diameter);
        assert.ok(comparableStability(plain, diameter) >= floor - 1e-12);
        if (plain > 0) assert.ok(comparableStability(plain - 0.01, diameter) < floor);
      }
  });

  it('asks at every object, but not more often than without the size', () => {
    for (const [diameter, points] of [
      [12, 16],
      [8, 24],
      [2, 32],
      [100, 16],
    ])
      assert.equal(gridFor([140, 160], diameter), points, `${diameter} px`);
  });
});
