import assert from 'node:assert/strict';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import type { TaskOptions } from '../../src/task.js';
import { type Learning, learn, type TrainingRow } from '../../src/training/learn.js';
import type { Parameter, Weights } from '../../src/training/parameters.js';
import { Random } from '../../src/training/random.js';
import type { Objective } from '../../src/training/trainer.js';

/** Finds 1 from noisy looks at it. */
class Fit implements Objective {
  readonly parameters: readonly Parameter[] = [{ name: 'x', shape: [1], start: { constant: 0 } }];

  async batch(step: number, weights: Weights) {
    const [x] = weights.get('x') as Float32Array;
    const gradient = Float32Array.of(2 * (x - 1) + 0.1 * new Random(step).normal());
    return { loss: (x - 1) ** 2, gradients: new Map([['x', gradient]]) };
  }
}

const OPTIONS = { steps: 120, learningRate: 0.05, clip: 5, seed: 4 };
const closeness = async (weights: Weights) => 1 - Math.abs((weights.get('x') as Float32Array)[0] - 1);

function learning(store: Store, more: Partial<Learning> = {}): Learning {
  return {
    name: 'fit',
    objective: new Fit(),
    options: OPTIONS,
    store,
    scores: 6,
    patience: 6,
    score: closeness,
    ...more,
  };
}

describe('learning', () => {
  it('goes on where it was stopped, at whatever step, to the same result', async () => {
    const whole = await learn(learning(memoryStore()));
    assert.ok((whole.accuracy ?? 0) > 0.9, `${whole.accuracy}`);
    for (const at of [1, 19, 20, 26, 40, 119]) {
      const store = memoryStore();
      const stop = new AbortController();
      const onProgress: TaskOptions['onProgress'] = ({ done }) => done === at && stop.abort();
      await assert.rejects(learn(learning(store), { signal: stop.signal, onProgress }));
      assert.deepEqual(await learn(learning(store)), whole, `stopped at ${at}`);
    }
  });

  it('counts no score twice if it was stopped between the score and the checkpoint', async () => {
    const falling = async (weights: Weights) => -(weights.get('x') as Float32Array)[0];
    const whole = await learn(learning(memoryStore(), { score: falling, patience: 3 }));
    const store = memoryStore();
    let dead = false;
    const fragile: Store = {
      ...store,
      get: (key) => store.get(key),
      set: async (key, value) => {
        if (dead || (key.includes('state') && (await store.get('fit-best.safetensors')))) dead = true;
        if (dead) throw new Error('no more power');
        await store.set(key, value);
      },
    };
    await assert.rejects(learn(learning(fragile, { score: falling, patience: 3 })), /power/);
    assert.deepEqual(await learn(learning(store, { score: falling, patience: 3 })), whole);
  });

  it('keeps the weights that scored best and stops when the scores get no better', async () => {
    const rows: TrainingRow[] = [];
    const scores = [0.3, 0.5, 0.4, 0.49, 0.45];
    const score = async () => scores[rows.filter(({ accuracy }) => accuracy !== undefined).length] ?? 1;
    const options = { patience: 3, score, onStep: (row: TrainingRow) => void rows.push(row) };
    const { step, accuracy } = await learn(learning(memoryStore(), options));
    assert.deepEqual([step, accuracy], [40, 0.5]);
    assert.equal(rows.at(-1)?.step, 100);
  });

  it('takes the later of scores that are hardly apart, but none that is no better than what it began with', async () => {
    const rows: TrainingRow[] = [];
    const onStep = (row: TrainingRow) => void rows.push(row);
    const scored = async (scores: readonly number[], start?: Map<string, Float32Array>) => {
      let next = 0;
      const score = async () => scores[next++];
      return learn(learning(memoryStore(), { tolerance: 0.1, score, onStep, ...(start && { start }) }));
    };
    const { step, accuracy } = await scored([0.3, 0.5, 0.45, 0.41, 0.39, 0.35]);
    assert.deepEqual([step, accuracy], [80, 0.41], 'behind the highest, not the last that was taken');
    const start = new Map([['x', Float32Array.of(0)]]);
    assert.equal((await scored([0.5, 0.55, 0.5, 0.45, 0.52, 0.46, 0.5], start)).step, 80);
    assert.equal((await scored([0.5, 0.49, 0.5, 0.45, 0.48, 0.46, 0.5], start)).step, 0);
  });

  it('goes on as long as nothing is found yet, and takes the later of equal scores', async () => {
    const { step, accuracy } = await learn(learning(memoryStore(), { patience: 3, score: async () => 0 }));
    assert.deepEqual([step, accuracy], [120, 0]);
  });

  it('keeps what it began with if nothing is better', async () => {
    const start = new Map([['x', Float32Array.of(1)]]);
    const learned = await learn(learning(memoryStore(), { start }));
    assert.deepEqual([learned.step, learned.accuracy, learned.before], [0, 1, 1]);
    assert.deepEqual(learned.weights, start);
  });

  it('gives the last weights without scores', async () => {
    const { step, accuracy } = await learn(learning(memoryStore(), { score: undefined }));
    assert.deepEqual([step, accuracy], [120, undefined]);
  });

  it('keeps the best when it is enough, and scores what came after the last score', async () => {
    for (const at of [1, 11, 15]) {
      const enough = new AbortController();
      const steps: number[] = [];
      const hand = { enough: enough.signal, rest: () => void (steps.length >= at && enough.abort()) as undefined };
      const onProgress: TaskOptions['onProgress'] = ({ done }) => steps.push(done);
      const found = await learn(learning(memoryStore(), { hand }), { onProgress });
      assert.equal(steps.length, at);
      assert.equal(found.step, at, 'it was getting better');
      assert.ok((found.accuracy ?? 0) > 0);
    }
  });

  it('rests before a step for as long as it is told to', async () => {
    let goOn = () => {};
    let asked = 0;
    let steps = 0;
    const resting = new Promise<void>((resolve) => (goOn = resolve));
    const hand = { rest: () => (++asked === 5 ? resting : undefined) };
    const learned = learn(learning(memoryStore(), { hand }), { onProgress: () => void steps++ });
    await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; turn < 1000 && asked < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(steps, 4);
    goOn();
    assert.deepEqual(await learned, await learn(learning(memoryStore())));
  });
});
