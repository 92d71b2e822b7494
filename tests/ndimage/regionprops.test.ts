import assert from 'node:assert/strict';
import { convexHull, hullArea } from '../../src/ndimage/convex-hull.js';
import { ellipseRing } from '../../src/ndimage/ellipse.js';
import { rasterizePolygon } from '../../src/ndimage/rasterize.js';
import { maskProperties, type RegionOptions, volumeProperties } from '../../src/ndimage/regionprops.js';
import { fullMask, maskFromBitmap, masksFromLabels, translateMask } from '../../src/ndimage/rle.js';

/** Five ellipses, some overlapped, drawn the same way in Python for the table below. */
function ellipses() {
  let state = 7;
  const next = () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 2 ** 31;
  };
  const data = new Uint32Array(40 * 50);
  for (let id = 1; id <= 5; id++) {
    const [cy, cx, a, b, t] = [5 + next() * 30, 5 + next() * 40, 3 + next() * 9, 2 + next() * 5, next() * 3];
    for (let p = 0; p < data.length; p++) {
      const dy = Math.floor(p / 50) - cy;
      const dx = (p % 50) - cx;
      const u = dx * Math.cos(t) + dy * Math.sin(t);
      const v = -dx * Math.sin(t) + dy * Math.cos(t);
      if ((u / a) ** 2 + (v / b) ** 2 <= 1) data[p] = id;
    }
  }
  return { data, shape: [40, 50] };
}

/**
 * skimage.measure.regionprops 0.26: area, bbox, centroid, equivalent diameter, major and minor axis, eccentricity,
 * orientation, perimeter, solidity, mean intensity of (7 y + 13 x) mod 31.
 */
// biome-ignore format: a table
const SKIMAGE = [
  [1, 103, [18, 11, 29, 23], 22.961165, 16.902913, 11.451798, 11.841746, 11.064947, 0.356221, -1.098774, 35.556349, 0.944954, 15.087379],
  [2, 98, [0, 38, 18, 50], 7.428571, 43.77551, 11.170384, 20.788141, 6.209435, 0.954347, 0.596571, 44.834524, 0.875, 14.683673],
  [3, 206, [10, 25, 22, 48], 15.446602, 36.106796, 16.195288, 21.945568, 11.986596, 0.837657, 1.536713, 55.455844, 0.944954, 14.849515],
  [4, 86, [0, 15, 13, 31], 5.453488, 20.790698, 10.464158, 19.755649, 8.602445, 0.900217, 0.744447, 50.79899, 0.641791, 15.034884],
  [5, 90, [1, 22, 10, 35], 5.244444, 27.555556, 10.704745, 13.003215, 8.821682, 0.734671, 1.473211, 33.556349, 0.967742, 15.011111],
] as const;

/** The same with spacing (2, 0.5): area, major and minor axis, eccentricity, orientation. */
const SKIMAGE_SCALED = [
  [103, 22.462358, 5.833239, 0.965692, -0.015317],
  [98, 35.484316, 3.637737, 0.994731, 0.149019],
  [206, 24.011952, 10.955072, 0.88986, 0.025218],
  [86, 31.724293, 5.356995, 0.98564, 0.164133],
  [90, 17.749379, 6.462774, 0.931355, 0.032406],
];

const near = (got: number, expected: number, what: string, tolerance = 2e-6) =>
  assert.ok(Math.abs(got - expected) < tolerance, `${what}: got ${got}, expected ${expected}`);

const propertiesOf = (options: RegionOptions) =>
  new Map([...masksFromLabels(ellipses())].map(([id, mask]) => [id, maskProperties(mask, options)]));

describe('ndimage/regionprops', () => {
  it('gives the values of scikit-image', () => {
    const image = {
      data: Float32Array.from({ length: 2000 }, (_, p) => (Math.floor(p / 50) * 7 + (p % 50) * 13) % 31),
      shape: [40, 50],
    };
    const properties = propertiesOf({ image });
    assert.equal(properties.size, 5);
    for (const [
      id,
      area,
      bbox,
      y,
      x,
      diameter,
      major,
      minor,
      eccentricity,
      orientation,
      perimeter,
      solidity,
      mean,
    ] of SKIMAGE) {
      const p = properties.get(id)!;
      assert.deepEqual([p.area, p.pixels, p.bbox], [area, area, bbox]);
      near(p.centroid[0], y, 'y');
      near(p.centroid[1], x, 'x');
      near(p.equivalentDiameter, diameter, 'diameter');
      near(p.majorAxisLength, major, 'major axis');
      near(p.minorAxisLength, minor, 'minor axis');
      near(p.eccentricity, eccentricity, 'eccentricity');
      near(p.orientation, orientation, 'orientation');
      near(p.perimeter, perimeter, 'perimeter');
      near(p.solidity, solidity, 'solidity');
      near(p.intensity[0].mean, mean, 'mean');
      assert.deepEqual([p.intensity[0].min, p.intensity[0].max], [0, 30]);
    }
  });

  it('and with pixels that are not square', () => {
    const properties = [...propertiesOf({ scale: [2, 0.5] }).values()];
    properties.forEach((p, i) => {
      const got = [p.area, p.majorAxisLength, p.minorAxisLength, p.eccentricity, p.orientation];
      for (const [k, value] of got.entries()) near(value, SKIMAGE_SCALED[i][k], `object ${i + 1}, value ${k}`);
      assert.ok(Number.isNaN(p.perimeter));
    });
  });

  it('an ellipse has its axes, in physical units too', () => {
    const ellipse = rasterizePolygon([ellipseRing([60, 20, 140, 180], 512)], [200, 200]);
    const p = maskProperties(ellipse, { scale: [0.5, 0.5] });
    near(p.majorAxisLength, 80, 'major', 0.2);
    near(p.minorAxisLength, 40, 'minor', 0.2);
    near(p.area, Math.PI * 20 * 40, 'area', 10);
    near(Math.abs(p.orientation), Math.PI / 2, 'lies along x', 0.01);
    assert.ok(p.solidity > 0.98 && p.solidity <= 1);
  });

  it('a single pixel and a line have no area to be divided by', () => {
    const pixel = maskProperties(translateMask(fullMask([1, 1]), 4, 9));
    assert.deepEqual(
      [pixel.area, pixel.centroid, pixel.majorAxisLength, pixel.eccentricity, pixel.solidity],
      [1, [4, 9], 0, 0, 1],
    );
    assert.equal(maskProperties(fullMask([1, 5])).eccentricity, 1);
  });

  it('intensities per channel, population deviation, NaN left out', () => {
    const image = { data: Float32Array.of(1, 10, 3, Number.NaN, 5, 30), shape: [1, 3, 2] };
    const [first, second] = maskProperties(fullMask([1, 3]), { image }).intensity;
    assert.deepEqual([first.mean, first.min, first.max], [3, 1, 5]);
    near(first.std, Math.sqrt(8 / 3), 'deviation');
    assert.deepEqual([second.mean, second.std], [20, 10]);
  });

  it('a volume counts voxels and averages over planes', () => {
    const p = volumeProperties(
      new Map([
        [3, fullMask([2, 2])],
        [4, translateMask(fullMask([2, 2]), 2, 2)],
      ]),
      [2, 0.5, 0.5],
    );
    assert.deepEqual([p.voxels, p.volume, p.bbox, p.centroid], [8, 4, [3, 0, 0, 5, 4, 4], [3.5, 1.5, 1.5]]);
    near(p.equivalentDiameter, Math.cbrt(24 / Math.PI), 'diameter');
  });
});

describe('ndimage/convex-hull', () => {
  it('keeps only the corners', () => {
    const hull = convexHull([
      [0, 0],
      [0, 2],
      [0, 4],
      [2, 2],
      [4, 4],
      [4, 0],
    ]);
    assert.equal(hull.length, 4);
  });

  it('covers a concave shape', () => {
    assert.equal(hullArea(maskFromBitmap([1, 0, 1, 1, 0, 1, 1, 1, 1], [3, 3])), 9);
    assert.equal(hullArea(fullMask([6, 7])), 42);
  });
});
