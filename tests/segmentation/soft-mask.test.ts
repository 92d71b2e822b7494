import assert from 'node:assert/strict';
import { maskToLogits } from '../../src/model/transforms.js';
import type { Size } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { rasterizeStroke } from '../../src/ndimage/rasterize.js';
import { EMPTY_MASK, fullMask } from '../../src/ndimage/rle.js';
import { softenEdge } from '../../src/segmentation/soft-mask.js';

const SIZE: Size = [256, 256];
const disk = (radius: number): Mask => rasterizeStroke([[128, 128]], radius, SIZE);

describe('soft mask prompts', () => {
  it('keep the sign of the mask, and are sure of what is far from its edge only', () => {
    const hard = maskToLogits(disk(40), SIZE);
    const soft = softenEdge(hard);
    const sure = Math.abs(hard[0]);
    assert.ok(soft.every((value, i) => Math.sign(value) === Math.sign(hard[i])));
    // Along the ray to the right: the value grows by the same step from the edge to 35% of the radius, then stays.
    for (let x = 128; x < 256; x++) {
      const expected = Math.min(1, Math.abs(168 - (x + 0.5)) / (0.35 * 40)) * Math.sign(168 - x - 0.5);
      const value = soft[128 * 256 + x] / sure;
      assert.ok(Math.abs(value - expected) < 0.08, `x = ${x}: ${value}, expected about ${expected}`);
    }
  });

  it('are numbers for a mask of everything or of nothing', () => {
    for (const mask of [fullMask(SIZE), EMPTY_MASK]) {
      const hard = maskToLogits(mask, SIZE);
      assert.deepEqual(softenEdge(hard), hard);
    }
  });
});
