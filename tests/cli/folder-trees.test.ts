import assert from 'node:assert/strict';
import { checkRandomTree } from '../support/folder-trees.js';

/** `npm run bench pairing` does 2,000. */
const TREES = Number(process.env.MICRO_SAM_TREES ?? 6);

describe('random folders', function () {
  this.timeout(600_000);

  it('every image has one result, its own; a second run does nothing; labels meet their images', async () => {
    for (let seed = 1; seed <= TREES; seed++) {
      const { faults } = await checkRandomTree(seed);
      assert.deepEqual(faults, [], `seed ${seed}`);
    }
  });
});
