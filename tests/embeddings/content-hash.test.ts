import assert from 'node:assert/strict';
import { contentHash } from '../../src/embeddings/content-hash.js';
import { seededRandom } from '../support/random.js';

describe('hash of an embedding', () => {
  it('is the same for the same numbers, and another when any of them changes a little', async () => {
    const random = seededRandom(1);
    const values = Float32Array.from({ length: 5000 }, () => random() - 0.5);
    const hashes = new Set([await contentHash(values)]);
    assert.equal(await contentHash(values.slice()), await contentHash(values));
    for (let i = 0; i < values.length; i += 7) {
      const changed = values.slice();
      changed[i] += 1e-6;
      hashes.add(await contentHash(changed));
    }
    assert.equal(hashes.size, 1 + Math.ceil(values.length / 7));
  });
});
