import assert from 'node:assert/strict';
import { fromHalf, toHalf } from '../../src/ndimage/half.js';
import { seededRandom } from '../support/random.js';

/** The half of the definition (IEEE 754), one number at a time. */
function halfByDefinition(bits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

describe('half precision', () => {
  const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);

  it('decodes every half as defined, and encodes it back', () => {
    const values = fromHalf(all);
    const back = toHalf(values);
    for (const bits of all) {
      const expected = halfByDefinition(bits);
      assert.ok(Object.is(values[bits], expected), `${bits}: ${values[bits]}, expected ${expected}`);
      if (!Number.isNaN(expected)) assert.equal(back[bits], bits);
    }
  });

  it('rounds to the nearest half, ties to even', () => {
    const random = seededRandom(4);
    const halves = [...all].filter((bits) => bits < 0x7c00).map(halfByDefinition);
    const nearest = (value: number) => {
      let low = 0;
      let high = halves.length - 1;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (halves[middle] <= value) low = middle;
        else high = middle;
      }
      const [below, above] = [value - halves[low], halves[high] - value];
      return below < above || (below === above && low % 2 === 0) ? low : high;
    };
    const values = Float32Array.from({ length: 20_000 }, (_, i) => {
      if (i < 2000) return (halves[i * 15] + halves[i * 15 + 1]) / 2; // ties
      return 2 ** (random() * 40 - 26) * (1 + random());
    }).filter((value) => value < 65_504);
    for (const [i, bits] of toHalf(values).entries()) assert.equal(bits, nearest(values[i]), `${values[i]}`);
    assert.deepEqual([...toHalf(Float32Array.of(65_519.9, 65_520, 1e30, -1e30))], [0x7bff, 0x7c00, 0x7c00, 0xfc00]);
  });
});
