import assert from 'node:assert/strict';
import { play, randomSequence } from '../support/fast-hand.js';
import { seededRandom } from '../support/random.js';

/** How often the long form is played: `npm run bench fast-hand`. */
const SEQUENCES = Number(process.env.FAST_HAND_SEQUENCES ?? 250);

describe('a hand faster than the model', function () {
  this.timeout(600_000);

  it('makes the same objects as a slow one', async () => {
    const wrong: number[] = [];
    for (let seed = 1; seed <= SEQUENCES; seed++) {
      const steps = randomSequence(seededRandom(seed), 14);
      const slow = await play(steps, { fast: false, random: seededRandom(seed) });
      const fast = await play(steps, { fast: true, random: seededRandom(seed + 1_000_000) });
      if (slow.some((work, k) => work !== fast[k])) wrong.push(seed);
    }
    assert.deepEqual(wrong, [], `of ${SEQUENCES} sequences ${wrong.length} end in other objects`);
  });
});
