import assert from 'node:assert/strict';
import { SamError } from '../../src/errors.js';
import type { Parameter } from '../../src/training/parameters.js';
import { Random } from '../../src/training/random.js';
import { type Objective, Trainer, weightsOf } from '../../src/training/trainer.js';

/** Finds a vector from noisy looks at it. */
class Fit implements Objective {
  readonly parameters: readonly Parameter[] = [{ name: 'x', shape: [3], start: { uniform: 1 } }];

  async batch(step: number, weights: ReadonlyMap<string, Float32Array>) {
    const x = weights.get('x') as Float32Array;
    const random = new Random(step);
    const gradient = x.map((value, i) => 2 * (value - i) + 0.1 * random.normal());
    return { loss: x.reduce((sum, value, i) => sum + (value - i) ** 2, 0), gradients: new Map([['x', gradient]]) };
  }
}

const OPTIONS = { steps: 200, learningRate: 0.1, clip: 5, seed: 4 };

async function advance(trainer: Trainer, to: number): Promise<number> {
  let loss = Number.NaN;
  while (trainer.step < to) loss = await trainer.advance();
  return loss;
}

describe('trainer', () => {
  it('makes the loss small', async () => {
    assert.ok((await advance(new Trainer(new Fit(), OPTIONS), 200)) < 0.01);
  });

  it('goes on from a checkpoint as if it had not been stopped', async () => {
    const whole = new Trainer(new Fit(), OPTIONS);
    await advance(whole, 60);
    const stopped = new Trainer(new Fit(), OPTIONS);
    await advance(stopped, 33);
    const resumed = new Trainer(new Fit(), OPTIONS);
    resumed.resume(stopped.checkpoint());
    assert.equal(resumed.step, 33);
    await advance(resumed, 60);
    assert.deepEqual(weightsOf(resumed.checkpoint()), weightsOf(whole.checkpoint()));
  });

  it('averages the weights, over few steps at first, and goes on with the average from a checkpoint', async () => {
    const options = { ...OPTIONS, average: 0.9 };
    const [whole, stopped, resumed] = [0, 1, 2].map(() => new Trainer(new Fit(), options));
    const expected = Float64Array.from(whole.weights.get('x') as Float32Array);
    for (let step = 1; step <= 200; step++) {
      await whole.advance();
      const decay = Math.min(0.9, (1 + step) / (10 + step));
      whole.weights.get('x')?.forEach((value, i) => {
        expected[i] = decay * expected[i] + (1 - decay) * value;
      });
    }
    const averaged = whole.averaged?.get('x') as Float32Array;
    for (const [i, value] of averaged.entries()) assert.ok(Math.abs(value - expected[i]) < 1e-5, `${value}`);
    assert.equal(whole.learned, whole.averaged);
    await advance(stopped, 33);
    resumed.resume(stopped.checkpoint());
    await advance(resumed, 200);
    assert.deepEqual(resumed.averaged, whole.averaged);
    assert.deepEqual(weightsOf(resumed.checkpoint()), whole.weights);
    assert.throws(() => resumed.resume(new Trainer(new Fit(), OPTIONS).checkpoint()), { code: 'signature_mismatch' });
  });

  it('starts from weights that it is given', () => {
    const start = new Map([['x', Float32Array.of(7, 8, 9)]]);
    assert.deepEqual(new Trainer(new Fit(), OPTIONS, start).weights, start);
  });

  it('refuses the checkpoint of another training', async () => {
    const other = new Trainer(new Fit(), { ...OPTIONS, seed: 5 });
    assert.throws(
      () => new Trainer(new Fit(), OPTIONS).resume(other.checkpoint()),
      (error) => error instanceof SamError && error.code === 'signature_mismatch',
    );
  });

  it('stops where it is told to', async () => {
    await assert.rejects(new Trainer(new Fit(), OPTIONS).advance({ signal: AbortSignal.abort() }), /abort/i);
  });
});
