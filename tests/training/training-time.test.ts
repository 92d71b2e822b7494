import assert from 'node:assert/strict';
import { presetSettings } from '../../src/training/settings.js';
import { amountOf, secondsFor, TrainingClock } from '../../src/training/training-time.js';

const SPEED = { pictures: 2, instances: 0.5, decoder: 3, late: 5, full: 16, lora: 0, score: 2 };

describe('how long a training takes', () => {
  it('is what there is to do times what each takes', () => {
    const settings = presetSettings('quick', true);
    const images = { training: 1, heldBack: 1 };
    const amount = amountOf(settings, new Set(['instances', 'mask_decoder']), images);
    assert.deepEqual(amount, { pictures: 12, instances: 150, decoder: 60, late: 0, full: 0, lora: 0, score: 8 });
    assert.equal(secondsFor(amount, SPEED), 24 + 75 + 180 + 16);
    assert.equal(amountOf(settings, new Set(['mask_decoder']), images).instances, 0);
  });

  it('is told from what was measured before the first steps, and is nothing at the end', () => {
    const amount = { pictures: 2, instances: 8, decoder: 4, late: 0, full: 0, lora: 0, score: 0 };
    const clock = new TrainingClock(amount, SPEED);
    clock.begin();
    const first = clock.advance('pictures', 1);
    assert.ok(first !== undefined && first >= 4 + 12 && first < 4 + 12 + 2, `${first}`);
    assert.equal(new TrainingClock(amount).advance('pictures', 1), undefined, 'nobody can tell');
    let left: number | undefined;
    for (const [phase, total] of [
      ['pictures', 2],
      ['instances', 8],
      ['decoder', 4],
    ] as const)
      for (let done = 1; done <= total; done++) {
        clock.begin();
        left = clock.advance(phase, done);
      }
    assert.equal(left, 0);
  });
});
