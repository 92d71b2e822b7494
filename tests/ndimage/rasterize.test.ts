import assert from 'node:assert/strict';
import type { YX } from '../../src/ndimage/array.js';
import { ellipseRing } from '../../src/ndimage/ellipse.js';
import { intersectionArea } from '../../src/ndimage/mask-sets.js';
import { rasterizePolygon, rasterizeStroke } from '../../src/ndimage/rasterize.js';
import { maskContains } from '../../src/ndimage/rle.js';
import { seededRandom } from '../support/random.js';

/** Even-odd by counting the crossings of a ray, the slow way. */
function inside(y: number, x: number, rings: readonly (readonly YX[])[]): boolean {
  let odd = false;
  for (const ring of rings)
    for (let i = 0; i < ring.length; i++) {
      const [y0, x0] = ring[i];
      const [y1, x1] = ring[(i + 1) % ring.length];
      if (y0 <= y !== y1 <= y && x < x0 + ((y - y0) * (x1 - x0)) / (y1 - y0)) odd = !odd;
    }
  return odd;
}

describe('ndimage/rasterize', () => {
  it('random polygons with fractional, crossing and outlying edges agree with a ray test at pixel centres', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = seededRandom(seed);
      const rings = Array.from({ length: 1 + Math.floor(random() * 2) }, () =>
        Array.from({ length: 3 + Math.floor(random() * 7) }, (): YX => [random() * 26 - 3, random() * 36 - 3]),
      );
      const mask = rasterizePolygon(rings, [20, 30]);
      for (let y = 0; y < 20; y++)
        for (let x = 0; x < 30; x++)
          assert.equal(maskContains(mask, y, x), inside(y + 0.5, x + 0.5, rings), `seed ${seed} at ${y}, ${x}`);
    }
  });

  it('polygons that share an edge share no pixel and leave none out', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = seededRandom(seed);
      const centre: YX = [2 + Math.floor(random() * 14) / 2, 2 + Math.floor(random() * 14) / 2];
      const corners: YX[] = [
        [0, 0],
        [0, 12],
        [12, 12],
        [12, 0],
      ];
      const parts = corners.map((corner, i) => rasterizePolygon([[corner, corners[(i + 1) % 4], centre]], [12, 12]));
      assert.equal(
        parts.reduce((sum, part) => sum + part.area, 0),
        144,
        `seed ${seed}`,
      );
      for (let i = 0; i < 4; i++) for (let j = 0; j < i; j++) assert.equal(intersectionArea(parts[i], parts[j]), 0);
    }
  });

  it('degenerate rings are empty', () => {
    assert.equal(rasterizePolygon([[]], [5, 5]).area, 0);
    assert.equal(
      rasterizePolygon(
        [
          [
            [1, 1],
            [3, 3],
          ],
        ],
        [5, 5],
      ).area,
      0,
    );
    assert.equal(
      rasterizePolygon(
        [
          [
            [1, 0],
            [1, 5],
            [1, 2],
          ],
        ],
        [5, 5],
      ).area,
      0,
    );
  });

  it('an ellipse has its area', () => {
    const mask = rasterizePolygon([ellipseRing([20, 20, 80, 100], 256)], [100, 120]);
    assert.ok(Math.abs(mask.area / (Math.PI * 30 * 40) - 1) < 0.005, `area ${mask.area}`);
  });

  it('a stroke paints all pixel centres within the radius of the path, and no other', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = seededRandom(seed);
      const path = Array.from(
        { length: 1 + Math.floor(random() * 4) },
        (): YX => [random() * 30 - 5, random() * 30 - 5],
      );
      const radius = 0.5 + random() * 5;
      const mask = rasterizeStroke(path, radius, [20, 20]);
      for (let y = 0; y < 20; y++)
        for (let x = 0; x < 20; x++) {
          let nearest = Infinity;
          path.forEach(([y1, x1], i) => {
            const [y0, x0] = path[Math.max(0, i - 1)];
            const squared = (y1 - y0) ** 2 + (x1 - x0) ** 2;
            const raw = squared === 0 ? 0 : ((y + 0.5 - y0) * (y1 - y0) + (x + 0.5 - x0) * (x1 - x0)) / squared;
            const t = Math.min(1, Math.max(0, raw));
            nearest = Math.min(nearest, Math.hypot(y + 0.5 - y0 - t * (y1 - y0), x + 0.5 - x0 - t * (x1 - x0)));
          });
          if (Math.abs(nearest - radius) > 1e-9)
            assert.equal(maskContains(mask, y, x), nearest < radius, `seed ${seed} at ${y}, ${x}`);
        }
    }
  });
});
