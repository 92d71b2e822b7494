import { play, randomSequence } from '../support/fast-hand.js';
import { pictureWalk } from '../support/picture-walk.js';
import { seededRandom } from '../support/random.js';
import { atMost, type Figure, reported } from './figure.js';

/**
 * Work faster than the model. Random sequences of clicks, boxes and keys, with changes of plane and image, are played slowly
 * and fast, in made-up time, with an encoder and a decoder that take up to 2 s; those that end in other objects are counted.
 * Random walks through everything that makes prompts and objects come and go compare what the viewer draws with the state.
 */
const SEQUENCES = Number(process.env.FAST_HAND_SEQUENCES ?? 10_000);
const PICTURE_STEPS = Number(process.env.PICTURE_STEPS ?? 10_000);
const STEPS_PER_WALK = 50;

export default async (): Promise<Figure[]> => {
  let wrong = 0;
  for (let seed = 1; seed <= SEQUENCES; seed++) {
    const steps = randomSequence(seededRandom(seed), 14);
    const slow = await play(steps, { fast: false, random: seededRandom(seed) });
    const fast = await play(steps, { fast: true, random: seededRandom(seed + 1_000_000) });
    if (slow.some((work, k) => work !== fast[k])) wrong++;
  }
  const walks = await Promise.all(
    Array.from({ length: Math.ceil(PICTURE_STEPS / STEPS_PER_WALK) }, (_, k) =>
      pictureWalk({ ours: k % 2 === 0, steps: STEPS_PER_WALK, random: seededRandom(k + 1) }),
    ),
  );
  const sum = (count: (walk: (typeof walks)[number]) => number) => walks.reduce((all, walk) => all + count(walk), 0);
  return [
    reported('fast_hand_sequences', SEQUENCES, ''),
    atMost('fast_hand_mismatches', wrong, 'sequences', 0),
    reported(
      'picture_steps',
      sum(({ steps }) => steps),
      '',
    ),
    atMost(
      'picture_mismatches',
      sum(({ mismatches }) => mismatches.length),
      'steps',
      0,
    ),
    atMost(
      'idle_messages',
      sum(({ idle }) => idle.length),
      'messages',
      0,
    ),
  ];
};
