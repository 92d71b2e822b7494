import assert from 'node:assert/strict';
import { Xxh128 } from '../../src/checkpoints/xxh128.js';

/** The linear congruential generator of C's standard, its third byte. */
function pseudoRandom(length: number): Uint8Array {
  let state = 1n;
  return Uint8Array.from({ length }, () => {
    state = (state * 1103515245n + 12345n) & 0x7fffffffn;
    return Number((state >> 16n) & 255n);
  });
}

/** Of the first so many bytes, as the package xxhash of PyPI (3.6) gives it. */
const KNOWN: readonly (readonly [length: number, hash: string])[] = [
  [241, '80610486edf872df5c56141c894cd97e'],
  [256, '242daf7771ae05e6cdb34974678d6687'],
  [1024, 'dcc4b2941cb5e5e40551dea22e104ea8'],
  [1025, '2e457d89ed1973d3dbe2ed3c377d9922'],
  [1088, '53ae9650f04ffa9598ce47a58d705d59'],
  [4096, 'db9050e2feb61a33869423345af97371'],
  [100_000, '074cd6f4fc8fa18ea17aee0fec64d284'],
];

describe('xxh128', () => {
  const bytes = pseudoRandom(100_000);

  for (const [length, hash] of KNOWN)
    it(`of ${length} bytes, whole and in pieces`, () => {
      for (const piece of [length, 1, 63, 64, 65, 1000]) {
        const hasher = new Xxh128();
        for (let at = 0; at < length; at += piece) hasher.update(bytes.subarray(at, Math.min(length, at + piece)));
        assert.equal(hasher.digest(), hash, `pieces of ${piece}`);
      }
    });

  it('says that it knows no short files', () => {
    assert.throws(() => new Xxh128().digest(), RangeError);
  });
});
