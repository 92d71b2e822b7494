import assert from 'node:assert/strict';
import { AdamW, clipGradients } from '../../src/training/adamw.js';
import { warmUpAndCosine } from '../../src/training/schedule.js';

describe('AdamW', () => {
  it('follows the published rule step by step', () => {
    const weights = new Map([['w', Float32Array.of(0.5, -1)]]);
    const optimizer = new AdamW(weights, { weightDecay: 0.1 });
    const reference = [0.5, -1];
    const [m, v] = [
      [0, 0],
      [0, 0],
    ];
    for (let t = 1; t <= 12; t++) {
      const gradient = [Math.sin(t), 0.01 * t];
      optimizer.step(new Map([['w', Float32Array.from(gradient)]]), 0.05);
      for (const i of [0, 1]) {
        m[i] = 0.9 * m[i] + 0.1 * gradient[i];
        v[i] = 0.999 * v[i] + 0.001 * gradient[i] ** 2;
        reference[i] -= 0.05 * 0.1 * reference[i];
        reference[i] -= (0.05 * (m[i] / (1 - 0.9 ** t))) / (Math.sqrt(v[i] / (1 - 0.999 ** t)) + 1e-8);
      }
    }
    const got = weights.get('w') as Float32Array;
    reference.forEach((value, i) => {
      assert.ok(Math.abs(got[i] - value) < 1e-5, `${got[i]}, expected ${value}`);
    });
  });

  it('takes the first step with the size of the learning rate, whatever the gradient', () => {
    const weights = new Map([['w', Float32Array.of(0, 0)]]);
    new AdamW(weights).step(new Map([['w', Float32Array.of(1e-3, -50)]]), 0.01);
    const [a, b] = weights.get('w') as Float32Array;
    assert.ok(Math.abs(a + 0.01) < 1e-6 && Math.abs(b - 0.01) < 1e-6);
  });
});

describe('gradient clipping', () => {
  it('scales all gradients by one factor, and only large ones', () => {
    const gradients = new Map([
      ['a', Float32Array.of(3)],
      ['b', Float32Array.of(0, 4)],
    ]);
    assert.equal(clipGradients(gradients, 10), 5);
    assert.deepEqual([...(gradients.get('b') ?? [])], [0, 4]);
    clipGradients(gradients, 1);
    assert.ok(Math.abs((gradients.get('a')?.[0] ?? 0) - 0.6) < 1e-6);
    assert.ok(Math.abs((gradients.get('b')?.[1] ?? 0) - 0.8) < 1e-6);
  });
});

describe('learning rate', () => {
  it('rises over 20 steps and falls to a hundredth', () => {
    assert.ok(warmUpAndCosine(0, 1000) < 0.06);
    assert.ok(warmUpAndCosine(20, 1000) > 0.99);
    assert.ok(Math.abs(warmUpAndCosine(500, 1000) - 0.505) < 1e-9);
    assert.ok(Math.abs(warmUpAndCosine(1000, 1000) - 0.01) < 1e-9);
  });
});
