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

/** How many are played here; the thorough form goes on from there. `npm run bench fast-hand` plays thousands. */
const FEW = 60;
const SEQUENCES = Number(process.env.FAST_HAND_SEQUENCES ?? 300);

describe('a hand faster than the model', function () {
  this.timeout(600_000);

  /** Those of the seeds whose sequences end in other objects. */
  async function wrongOf(
    first: number,
    last: number,
    stepsOf: (random: () => number) => HandStep[],
  ): Promise<number[]> {
    const wrong: number[] = [];
    for (let seed = first; seed <= last; seed++) {
      const steps = stepsOf(seededRandom(seed));
      const slow = await play(steps, { fast: false, random: seededRandom(seed) });
      const fast = await play(steps, { fast: true, random: seededRandom(seed + 1_000_000) });
      if (slow.some((work, k) => work !== fast[k])) wrong.push(seed);
    }
    return wrong;
  }

  it('makes the same objects as a slow one, with all commands', async () => {
    assert.deepEqual(await wrongOf(1, FEW, (random) => randomSequence(random, 14)), []);
  });

  it('makes the same objects as a slow one, in more sequences (thorough)', async () => {
    assert.deepEqual(await wrongOf(FEW + 1, SEQUENCES, (random) => randomSequence(random, 14)), []);
  });

  it('deals with automatic objects while the next run over them goes on', async () => {
    assert.deepEqual(await wrongOf(1, FEW / 5, (random) => besideAutomatic(random, 6)), []);
  });

  it('deals with automatic objects in more sequences (thorough)', async () => {
    assert.deepEqual(await wrongOf(FEW / 5 + 1, SEQUENCES / 5, (random) => besideAutomatic(random, 6)), []);
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
