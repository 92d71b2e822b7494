import assert from 'node:assert/strict';
import { processRaces } from '../support/saving-processes.js';
import { damageTrials, killTrials, raceTrials, refusalTrials } from '../support/saving-trials.js';
import { seriesKillTrials } from '../support/series-kills.js';

/** The long form is tests/bench/saving.bench.ts: `npm run bench -- saving`. */
describe('what is told to be saved', function () {
  this.timeout(60_000);

  it('is there after a kill at any operation of the store', async () => {
    const { losses } = await killTrials(120, 31);
    assert.deepEqual(losses, []);
  });

  it('is there after a kill at any moment of a series: while an image is left, opened, or its results are written', async () => {
    const { losses } = await seriesKillTrials(12, 34);
    assert.deepEqual(losses, []);
  });

  it('is there when two windows save the same image at once', async () => {
    const { losses } = await raceTrials(60, 32);
    assert.deepEqual(losses, []);
  });

  it('is there when three windows save the same image at once', async () => {
    const { losses } = await raceTrials(20, 35, 3);
    assert.deepEqual(losses, []);
  });

  it('is there when the store refuses now and then, before or after it has stored something, also a snapshot', async () => {
    const { losses } = await refusalTrials(15, 36);
    assert.deepEqual(losses, []);
  });

  it('is there when two processes save the same images in one folder', async () => {
    const { losses } = await processRaces(15, 'folder');
    assert.deepEqual(losses, []);
  });

  it('is restored but for one object when one byte is wrong anywhere, or a snapshot is missing', async () => {
    const { failed, least } = await damageTrials(60, 33);
    assert.equal(failed, 0, `restored ${least} of 90`);
  });

  it('is restored but for as many objects as there are wrong bytes', async () => {
    const { failed, least } = await damageTrials(30, 37, 4);
    assert.equal(failed, 0, `restored ${least} of 90`);
  });
});
