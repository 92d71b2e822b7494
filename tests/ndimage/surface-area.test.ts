import assert from 'node:assert/strict';
import type { Mask } from '../../src/ndimage/mask.js';
import { EMPTY_MASK, fullMask, maskFromBitmap, maskToBitmap, translateMask } from '../../src/ndimage/rle.js';
import { surfaceArea } from '../../src/ndimage/surface-area.js';

type Scale = readonly [number, number, number];

/** A ball of a radius in physical units, sampled with voxels of any shape; plane → mask. */
function ball(radius: number, scale: Scale): Map<number, Mask> {
  const [sz, sy, sx] = scale;
  const [depth, height, width] = scale.map((s) => 2 * Math.ceil(radius / s) + 3);
  const masks = new Map<number, Mask>();
  for (let z = 0; z < depth; z++) {
    const bitmap = Uint8Array.from({ length: height * width }, (_, p) => {
      const [y, x] = [Math.floor(p / width), p % width];
      const [dz, dy, dx] = [(z - depth / 2 + 0.5) * sz, (y - height / 2 + 0.5) * sy, (x - width / 2 + 0.5) * sx];
      return Number(Math.hypot(dz, dy, dx) <= radius);
    });
    const mask = maskFromBitmap(bitmap, [height, width]);
    if (mask.area > 0) masks.set(z, mask);
  }
  return masks;
}

describe('surface of an object of a volume', () => {
  const scales: Scale[] = [
    [1, 1, 1],
    [2.5, 1, 1],
    [0.3, 0.12, 0.12],
    [1, 0.5, 0.8],
  ];
  for (const scale of scales) {
    it(`of a ball in voxels of ${scale.join(' x ')}`, () => {
      const radius = 20 * Math.max(scale[1], scale[2]);
      const exact = 4 * Math.PI * radius ** 2;
      const found = surfaceArea(ball(radius, scale), scale);
      assert.ok(Math.abs(found / exact - 1) < 0.03, `${found}, exact ${exact}`);
    });
  }

  it('of a cuboid, whose flat sides are the worst case', () => {
    const masks = new Map(Array.from({ length: 10 }, (_, z) => [z, fullMask([30, 40])]));
    const exact = 2 * (20 * 30 + 20 * 40 + 30 * 40);
    const found = surfaceArea(masks, [2, 1, 1]);
    assert.ok(Math.abs(found / exact - 1) < 0.13, `${found}, exact ${exact}`);
  });

  it('grows with the square of the unit, and counts what is inside of hollow objects', () => {
    const one = ball(8, [1, 1, 1]);
    assert.ok(Math.abs(surfaceArea(one, [3, 3, 3]) / surfaceArea(one) - 9) < 1e-9);
    const [whole, hole] = [ball(12, [1, 1, 1]), ball(6, [1, 1, 1])];
    const size = [27, 27] as const;
    const hollow = new Map(
      [...whole].map(([z, mask]) => {
        const inner = maskToBitmap(translateMask(hole.get(z - 6) ?? EMPTY_MASK, 6, 6), size);
        return [
          z,
          maskFromBitmap(
            maskToBitmap(mask, size).map((value, p) => value - inner[p]),
            size,
          ),
        ] as const;
      }),
    );
    const sum = surfaceArea(whole) + surfaceArea(hole);
    assert.ok(Math.abs(surfaceArea(hollow) / sum - 1) < 1e-9, `${surfaceArea(hollow)} of ${sum}`);
  });

  it('of nothing is 0', () => assert.equal(surfaceArea(new Map()), 0));
});
