import assert from 'node:assert/strict';
import { assign } from '../../src/ndimage/assignment.js';
import { randomInteger, seededRandom } from '../support/random.js';

/** Least cost of assigning every row (rows <= columns) by trying all. */
function bruteForce(cost: readonly number[], rows: number, columns: number, row = 0, used = 0): number {
  if (row === rows) return 0;
  let best = Infinity;
  for (let j = 0; j < columns; j++)
    if (!(used & (1 << j)))
      best = Math.min(best, cost[row * columns + j] + bruteForce(cost, rows, columns, row + 1, used | (1 << j)));
  return best;
}

describe('ndimage/assignment', () => {
  it('is a matching of least cost, for all shapes and negative costs', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = seededRandom(seed);
      const rows = randomInteger(random, 0, 7);
      const columns = randomInteger(random, 0, 7);
      const cost = Array.from({ length: rows * columns }, () =>
        seed % 2 ? randomInteger(random, -5, 6) : random() - 0.5,
      );
      const columnOf = assign(cost, rows, columns);
      const pairs = [...columnOf].flatMap((j, i) => (j < 0 ? [] : [[i, j]]));
      assert.equal(pairs.length, Math.min(rows, columns), `seed ${seed}`);
      assert.equal(new Set(pairs.map(([, j]) => j)).size, pairs.length, `seed ${seed}`);
      const total = pairs.reduce((sum, [i, j]) => sum + cost[i * columns + j], 0);
      const flipped = Array.from(
        { length: rows * columns },
        (_, k) => cost[(k % rows) * columns + Math.floor(k / rows)],
      );
      const best = rows <= columns ? bruteForce(cost, rows, columns) : bruteForce(flipped, columns, rows);
      assert.ok(Math.abs(total - best) < 1e-9, `seed ${seed}: ${total}, best ${best}`);
    }
  });

  it('finds a planted permutation among 300', () => {
    const random = seededRandom(7);
    const order = [...Array(300).keys()].sort(() => random() - 0.5);
    const cost = Float64Array.from({ length: 90000 }, (_, k) =>
      order[Math.floor(k / 300)] === k % 300 ? 0 : 0.1 + random(),
    );
    assert.deepEqual([...assign(cost, 300, 300)], order);
  });
});
