import assert from 'node:assert/strict';
import { percentiles } from '../../src/ndimage/normalize.js';
import { seededRandom } from '../support/random.js';

/** numpy.percentile by sorting. */
function sortedPercentile(values: readonly number[], percent: number): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const rank = ((sorted.length - 1) * percent) / 100;
  const low = sorted[Math.floor(rank)];
  return low + (sorted[Math.ceil(rank)] - low) * (rank - Math.floor(rank));
}

describe('ndimage/normalize', () => {
  it('percentiles are those of the sorted values, for counted and selected types, in any order', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = seededRandom(seed);
      const length = 1 + Math.floor(random() * 300);
      const values = Array.from({ length }, () => Math.floor(random() ** 3 * 256));
      for (const data of [
        Uint8Array.from(values),
        Uint16Array.from(values),
        Int32Array.from(values),
        Float32Array.from(values),
      ])
        for (const percent of [100, 99, 50, 1, 0, 37.3])
          assert.ok(
            Math.abs(percentiles(data, [percent])[0] - sortedPercentile(values, percent)) < 1e-9,
            `seed ${seed}`,
          );
      const both = percentiles(Float64Array.from(values), [99, 1]);
      assert.ok(Math.abs(both[1] - sortedPercentile(values, 1)) < 1e-9, 'a second percentile after a first');
    }
  });

  it('NaN and infinities do not count, and nothing finite gives 0', () => {
    const data = Float32Array.of(Number.NaN, 3, Infinity, 1, -Infinity, 2);
    assert.deepEqual(percentiles(data, [0, 50, 100]), [1, 2, 3]);
    assert.deepEqual(percentiles(Float32Array.of(Number.NaN), [50]), [0]);
  });

  it('one channel of interleaved data', () => {
    const data = Uint16Array.of(1, 500, 2, 600, 3, 700);
    assert.deepEqual(percentiles(data, [50], 1, 2), [600]);
  });
});
