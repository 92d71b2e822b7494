import assert from 'node:assert/strict';
import { fullMask, translateMask } from '../../src/ndimage/rle.js';
import { agreeingFirst, inStatedBox } from '../../src/segmentation/stated-size.js';

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
});
