import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { oddFolderStore, oddFolders } from '../support/odd-folders.js';
import { processRaces } from '../support/saving-processes.js';
import { damageTrials, killTrials, newerTrials, raceTrials, refusalTrials } from '../support/saving-trials.js';
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

  for (const kind of oddFolders)
    it(`is there when two windows save the same image at once in a folder ${kind}`, async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'micro-sam-odd-'));
      const open = await oddFolderStore(kind, folder);
      const { losses } = await raceTrials(15, 37, 2, (trial) => open(path.join(folder, String(trial))));
      await rm(folder, { recursive: true });
      assert.deepEqual(losses, []);
    });

  it('is there when two processes save the same images in one folder', async () => {
    const { losses } = await processRaces(15, 'folder');
    assert.deepEqual(losses, []);
  });

  it('is restored where a newer version has saved a snapshot, which stays for that version', async () => {
    const trials = await newerTrials();
    const newest = trials.findLast(({ kind }) => kind === 'snapshots');
    assert.match(newest?.notice ?? '', /^A newer version of this program saved work on this image/);
    for (const { kind, lost, notice, isKept } of trials) {
      assert.ok(lost <= (kind === 'snapshots' ? 0 : 1), `${lost} objects are lost with one of ${kind}`);
      if (lost > 0) assert.match(notice ?? '', /^A newer version of this program saved/);
      assert.ok(isKept, `one of ${kind} is gone`);
    }
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
