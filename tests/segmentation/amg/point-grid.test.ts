import assert from 'node:assert/strict';
import type { YX } from '../../../src/ndimage/array.js';
import { GRIDS, pointGrid } from '../../../src/segmentation/amg/point-grid.js';

describe('grid of points', () => {
  it('has its points at the centres of equal cells, row by row', () => {
    assert.deepEqual(pointGrid(2, [0, 10, 8, 30]), [
      [2, 15],
      [2, 25],
      [6, 15],
      [6, 25],
    ]);
  });

  it('and its further grids fill the gaps: four together are one of twice as many points a side', () => {
    const all: YX[] = [];
    for (let grid = 0; grid < GRIDS; grid++) all.push(...pointGrid(4, [0, 0, 64, 64], grid));
    assert.equal(new Set(all.map(String)).size, all.length, 'no point twice');
    assert.ok(all.every(([y, x]) => y > 0 && y < 64 && x > 0 && x < 64));
    const four = [0, 1, 2, 3].flatMap((grid) => pointGrid(4, [0, 0, 64, 64], grid));
    const expected: string[] = [];
    for (let y = 8; y < 64; y += 8) for (let x = 8; x < 64; x += 8) expected.push(`${y},${x}`);
    assert.deepEqual(four.map(String).sort(), expected.sort());
  });
});
