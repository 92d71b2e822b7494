import assert from 'node:assert/strict';
import { COMMAND_LIST } from '../../src/session/commands/commands.js';
import {
  besideAutomatic,
  type HandStep,
  NOT_OF_THE_SEQUENCE,
  play,
  randomSequence,
  vocabulary,
} from '../support/fast-hand.js';
import { seededRandom } from '../support/random.js';

/** How often the long form is played: `npm run bench fast-hand`. */
const SEQUENCES = Number(process.env.FAST_HAND_SEQUENCES ?? 200);

describe('a hand faster than the model', function () {
  this.timeout(600_000);

  async function wrongOf(sequences: number, stepsOf: (random: () => number) => HandStep[]): Promise<number[]> {
    const wrong: number[] = [];
    for (let seed = 1; seed <= sequences; seed++) {
      const steps = stepsOf(seededRandom(seed));
      const slow = await play(steps, { fast: false, random: seededRandom(seed) });
      const fast = await play(steps, { fast: true, random: seededRandom(seed + 1_000_000) });
      if (slow.some((work, k) => work !== fast[k])) wrong.push(seed);
    }
    return wrong;
  }

  it('makes the same objects as a slow one, with all commands', async () => {
    const wrong = await wrongOf(SEQUENCES, (random) => randomSequence(random, 14));
    assert.deepEqual(wrong, [], `of ${SEQUENCES} sequences ${wrong.length} end in other objects`);
  });

  it('deals with automatic objects while the next run over them goes on', async () => {
    assert.deepEqual(await wrongOf(SEQUENCES / 5, (random) => besideAutomatic(random, 6)), []);
  });

  it('knows every command of the session', () => {
    const known = vocabulary(seededRandom(1), 1);
    const all = COMMAND_LIST.filter(({ id, scope }) => scope === 'session' && !NOT_OF_THE_SEQUENCE.has(id));
    assert.deepEqual(
      all.map(({ id }) => id).filter((id) => !(id in known)),
      [],
    );
  });
});
