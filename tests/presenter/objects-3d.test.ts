import assert from 'node:assert/strict';
import type { Mask } from '../../src/ndimage/mask.js';
import { maskFromBitmap } from '../../src/ndimage/rle.js';
import { drawSurface } from '../../src/presenter/objects-3d/draw.js';
import { surfaceOf } from '../../src/presenter/objects-3d/surface.js';

/** Objects seen from all sides, against balls whose outlines and hidden parts are known. */
describe('objects in 3D', () => {
  const SIZE = [60, 60] as const;

  function ball([cz, cy, cx]: readonly number[], radius: number): Map<number, Mask> {
    const masks = new Map<number, Mask>();
    for (let z = 0; z < 60; z++) {
      const bitmap = Uint8Array.from({ length: 3600 }, (_, i) =>
        Number(Math.hypot(z - cz, Math.floor(i / 60) - cy, (i % 60) - cx) <= radius),
      );
      if (bitmap.includes(1)) masks.set(z, maskFromBitmap(bitmap, SIZE));
    }
    return masks;
  }
  const seen = (picture: Uint8ClampedArray, side: number) => {
    const found: { v: number; u: number; rgb: number[] }[] = [];
    for (let at = 0; at < side * side; at++)
      if (picture[4 * at + 3] > 0)
        found.push({ v: Math.floor(at / side), u: at % side, rgb: [...picture.subarray(4 * at, 4 * at + 3)] });
    return found;
  };
  const volume = { size: SIZE, slices: 60, spacing: 1 };

  it('has points on the surface only, with normals that point outwards', () => {
    const { points, normals, objects, shape } = surfaceOf([ball([29.5, 29.5, 29.5], 20)], volume);
    assert.deepEqual(shape, [60, 60, 60]);
    assert.ok(Math.abs(objects.length - 4 * Math.PI * 20 ** 2) < 0.35 * 4 * Math.PI * 20 ** 2, `${objects.length}`);
    for (let i = 0; i < objects.length; i++) {
      const [x, y, z] = points.subarray(3 * i, 3 * i + 3);
      const [nx, ny, nz] = normals.subarray(3 * i, 3 * i + 3);
      const radius = Math.hypot(x, y, z);
      assert.ok(radius > 18 && radius <= 20.01, `a point at ${radius}`);
      assert.ok((x * nx + y * ny + z * nz) / radius > 0.9, 'outwards');
    }
  });

  it('shows a ball as a disc without holes from every side', () => {
    const surface = surfaceOf([ball([29.5, 29.5, 29.5], 20)], volume);
    const scale = 150 / Math.hypot(60, 60, 60);
    for (const [turn, tilt] of [
      [0, 0],
      [0.7, 0.4],
      [2.4, -1],
      [-1.3, 1.5],
    ]) {
      const found = seen(drawSurface(surface, ['#ff0000'], { turn, tilt, zoom: 1 }, 150), 150);
      const area = Math.PI * (20.5 * scale) ** 2;
      assert.ok(Math.abs(found.length - area) < 0.08 * area, `${found.length} pixels, expected about ${area}`);
      assert.ok(found.every(({ rgb: [r, g, b] }) => r > 80 && g === 0 && b === 0));
    }
  });

  it('hides what is behind, and shows it from the other side', () => {
    const surface = surfaceOf([ball([15, 30, 30], 8), ball([45, 30, 30], 8)], volume);
    const middle = (turn: number) => {
      const picture = drawSurface(surface, ['#ff0000', '#0000ff'], { turn, tilt: 0, zoom: 1 }, 200);
      return [...picture.subarray(4 * (100 * 200 + 100), 4 * (100 * 200 + 100) + 3)];
    };
    const [front, back] = [middle(0), middle(Math.PI)];
    assert.ok(front[0] > 80 && front[2] === 0, 'the first slices are in front');
    assert.ok(back[2] > 80 && back[0] === 0, 'turned round, the last ones');
  });

  it('keeps the proportions of thick slices, and stays small for a large volume', () => {
    const { shape } = surfaceOf([], { size: [2000, 1000], slices: 20, spacing: 25 });
    assert.deepEqual(shape, [40, 160, 80]);
  });
});
