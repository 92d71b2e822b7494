import assert from 'node:assert/strict';
import { pictureWalk } from '../support/picture-walk.js';
import { seededRandom } from '../support/random.js';

/** The long form is a figure of the benches. */
describe('the picture and the state', function () {
  this.timeout(120_000);

  for (const ours of [true, false])
    it(`are the same after any work, and nobody talks afterwards: ${ours ? 'our viewer' : 'Kaibu'}`, async () => {
      const walks = Array.from({ length: Number(process.env.WALKS ?? 6) }, (_, k) =>
        pictureWalk({ ours, steps: 40, random: seededRandom(100 + k) }),
      );
      for (const [k, { mismatches, idle }] of (await Promise.all(walks)).entries()) {
        assert.deepEqual(mismatches, [], `seed ${100 + k}`);
        assert.deepEqual(idle, [], `seed ${100 + k}`);
      }
    });
});
