import assert from 'node:assert/strict';
import type { Mask } from '../../src/ndimage/mask.js';
import { unionMasks } from '../../src/ndimage/mask-sets.js';
import { rasterizePolygon, rasterizeStroke } from '../../src/ndimage/rasterize.js';
import { fillMaskHoles, growMask, shrinkMask, smoothMask } from '../../src/ndimage/reshape-mask.js';
import { fullMask, maskContains, maskFromBitmap, masksEqual, maskToBitmap } from '../../src/ndimage/rle.js';
import { splitByLine, splitBySeeds } from '../../src/ndimage/split-masks.js';

const SIZE = [60, 80] as const;
const disc = (y: number, x: number, radius: number): Mask => rasterizeStroke([[y, x]], radius, SIZE);

/** By looking at every pixel. */
function grownSlowly(mask: Mask, pixels: number): Mask {
  const before = maskToBitmap(mask, SIZE);
  const inside = [...before.keys()].filter((p) => before[p]);
  const after = before.map((_, p) => {
    const [y, x] = [Math.floor(p / 80), p % 80];
    return Number(inside.some((q) => Math.hypot(Math.floor(q / 80) - y, (q % 80) - x) <= pixels));
  });
  return maskFromBitmap(after, SIZE);
}

describe('masks reshaped', () => {
  it('grow by what lies within so many pixels, up to the edge of the image', () => {
    for (const pixels of [1, 2.5, 4])
      assert.ok(masksEqual(growMask(disc(5, 40, 6), pixels, SIZE), grownSlowly(disc(5, 40, 6), pixels)), `${pixels}`);
  });

  it('shrink by as much, but not from the edge of the image', () => {
    const square = rasterizePolygon(
      [
        [
          [0, 10],
          [0, 30],
          [20, 30],
          [20, 10],
        ],
      ],
      SIZE,
    );
    assert.deepEqual(shrinkMask(square, 3, SIZE).box, [0, 13, 17, 27]);
    assert.equal(shrinkMask(square, 30, SIZE).area, 0);
    assert.ok(masksEqual(shrinkMask(fullMask(SIZE), 5, SIZE), fullMask(SIZE)));
  });

  it('lose their holes, but no bay', () => {
    const bitmap = maskToBitmap(disc(30, 40, 12), SIZE);
    bitmap[30 * 80 + 40] = 0;
    for (let x = 45; x < 80; x++) bitmap[33 * 80 + x] = 0;
    const filled = fillMaskHoles(maskFromBitmap(bitmap, SIZE), SIZE);
    assert.equal(maskContains(filled, 30, 40), true);
    assert.equal(maskContains(filled, 33, 46), false);
  });

  it('lose a spike of one pixel and keep their size', () => {
    const round = disc(30, 40, 12);
    const spiked = unionMasks(
      round,
      rasterizeStroke(
        [
          [30, 40],
          [30, 60],
        ],
        0.5,
        SIZE,
      ),
    );
    const smooth = smoothMask(spiked, SIZE);
    assert.equal(maskContains(smooth, 30, 58), false);
    assert.ok(Math.abs(smooth.area - round.area) < 0.05 * round.area);
  });
});

describe('an object cut', () => {
  const two = unionMasks(disc(30, 30, 10), disc(30, 46, 8));

  it('along a line has two parts that are the whole', () => {
    const parts = splitByLine(
      new Map([[0, two]]),
      [
        [10, 39],
        [50, 39],
      ],
      SIZE,
    );
    assert.ok(parts);
    const [left, right] = parts.map((masks) => masks.get(0) as Mask);
    assert.equal(parts.length, 2);
    assert.equal(left.area + right.area, two.area);
    assert.ok(masksEqual(unionMasks(left, right), two));
    assert.ok(left.area > right.area, 'the larger one first');
    assert.ok(left.box[3] <= 41 && right.box[1] >= 38);
  });

  it('by a line that ends inside is not cut', () => {
    assert.equal(
      splitByLine(
        new Map([[0, two]]),
        [
          [10, 39],
          [30, 39],
        ],
        SIZE,
      ),
      undefined,
    );
    assert.equal(
      splitByLine(
        new Map([[0, two]]),
        [
          [1, 1],
          [1, 70],
        ],
        SIZE,
      ),
      undefined,
    );
  });

  it('in a volume is cut in every slice', () => {
    const volume = new Map([2, 3, 5].map((plane) => [plane, two]));
    const parts =
      splitByLine(
        volume,
        [
          [10, 39],
          [50, 39],
        ],
        SIZE,
      ) ?? [];
    for (const masks of parts.slice(0, 2)) assert.ok(masks.size > 0);
    let area = 0;
    for (const masks of parts) for (const mask of masks.values()) area += mask.area;
    assert.equal(area, 3 * two.area);
  });

  it('between two places is cut at its neck, wherever in the parts they lie', () => {
    const inLarge = [
      [30, 24],
      [36, 33],
    ] as const;
    const inSmall = [
      [30, 48],
      [26, 50],
    ] as const;
    for (const a of inLarge)
      for (const b of inSmall) {
        const parts = splitBySeeds(new Map([[0, two]]), [
          { plane: 0, at: a },
          { plane: 0, at: b },
        ]);
        const [large, small] = (parts ?? []).map((masks) => masks.get(0) as Mask);
        assert.equal(large.area + small.area, two.area);
        assert.ok(Math.abs(large.box[3] - 39.5) <= 2, `the neck is at 39.2, the cut at ${large.box[3]}`);
      }
  });

  it('between two places of one round part is cut halfway', () => {
    const [left, right] = splitBySeeds(new Map([[0, disc(30, 40, 12)]]), [
      { plane: 0, at: [30, 33] },
      { plane: 0, at: [30, 47] },
    ]) as ReadonlyMap<number, Mask>[];
    assert.ok(Math.abs((left.get(0)?.area ?? 0) - (right.get(0)?.area ?? 0)) < 60);
  });

  it('is not cut from outside of it', () => {
    const places = [
      { plane: 0, at: [30, 30] },
      { plane: 0, at: [1, 1] },
    ] as const;
    assert.equal(splitBySeeds(new Map([[0, two]]), places), undefined);
    assert.equal(splitBySeeds(new Map([[0, two]]), [places[0], places[0]]), undefined);
  });
});
