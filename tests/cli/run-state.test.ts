import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openRun } from '../../src/cli/train/run-state.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { resolveModel } from '../../src/model/registry.js';
import { presetSettings } from '../../src/training/settings.js';
import type { PartsTraining } from '../../src/training/train-parts.js';
import { fasterTimers } from '../support/faster-timers.js';

/** A training of one made-up image. */
function trainingOf({ cells = 3, seed = 1, model = 'msi_lm' } = {}): PartsTraining {
  const { image, labels } = cellPhantom({ seed: 5, size: [64, 64], cells });
  const rgb = { data: new Uint8Array(3 * labels.data.length), shape: [64, 64, 3] };
  rgb.data.forEach((_, i) => {
    rgb.data[i] = Number(image.data[Math.floor(i / 3)]) & 255;
  });
  const load = async () => ({ image: rgb, labels, partial: false });
  return {
    model: resolveModel(model),
    parts: new Set(['mask_decoder']),
    settings: (goesOn) => presetSettings('quick', goesOn, { seed }),
    training: [{ name: 'cells', kind: 'cells', load }],
    heldBack: [],
  };
}

describe('the state of a training', function () {
  this.timeout(60_000);
  let folder: string;
  beforeEach(() => {
    folder = path.join(mkdtempSync(path.join(os.tmpdir(), 'micro-sam-run-')), 'mine');
    mkdirSync(folder);
  });
  afterEach(() => rmSync(path.dirname(folder), { recursive: true, force: true }));

  const open = (of: PartsTraining, { made = false, restart = false } = {}) => openRun(folder, of, { made, restart });
  const keep = async (run: Awaited<ReturnType<typeof openRun>>) => run.store.set('canvases/0.f16', Uint8Array.of(1));
  const kept = async (run: Awaited<ReturnType<typeof openRun>>) =>
    (await run.store.get('canvases/0.f16')) !== undefined;

  it('is gone on with by the same training, whether it was stopped or finished', async () => {
    const first = await open(trainingOf());
    assert.equal(first.notice, undefined);
    await keep(first);
    await first.close();
    const second = await open(trainingOf());
    assert.match(String(second.notice), /goes on/);
    assert.ok(await kept(second));
    await second.finish();
    await second.close();
    const third = await open(trainingOf(), { made: true });
    assert.match(String(third.notice), /done before/);
    assert.ok(await kept(third));
    await third.close();
  });

  it('is not given up for another training unless that is asked for, and is never gone on with by it', async () => {
    const first = await open(trainingOf());
    await keep(first);
    await first.close();
    for (const [other, what] of [
      [trainingOf({ cells: 4 }), 'its images or their labels'],
      [trainingOf({ seed: 2 }), 'its settings'],
      [trainingOf({ model: 'vit_t' }), 'the model that it goes on from'],
    ] as const)
      await assert.rejects(open(other), (error: { code: string; message: string }) => {
        assert.equal(error.code, 'signature_mismatch');
        assert.ok(error.message.includes(`differs in ${what}.`), error.message);
        return true;
      });
    const same = await open(trainingOf());
    assert.ok(await kept(same), 'what was refused has changed nothing');
    await same.close();
    const anew = await open(trainingOf({ cells: 4 }), { restart: true });
    assert.equal(await kept(anew), false);
    await anew.close();
  });

  it('begins anew where a finished training was of something else, and says so', async () => {
    const first = await open(trainingOf());
    await keep(first);
    await first.finish();
    await first.close();
    const second = await open(trainingOf({ cells: 4, seed: 2 }), { made: true });
    assert.match(String(second.notice), /begins anew: it differs .* in its settings and its images or their labels/);
    assert.equal(await kept(second), false);
    await second.close();
    // Stopped now, it is the one that is not to be given up, though the earlier result is still there.
    await assert.rejects(open(trainingOf(), { made: true }), { code: 'signature_mismatch' });
  });

  it('that does not say what it is of counts for another training', async () => {
    mkdirSync(path.join(folder, 'run'));
    for (const text of [undefined, '{', '{"version":2,"identity":{}}']) {
      writeFileSync(path.join(folder, 'run', 'decoder-state.safetensors'), 'weights');
      if (text !== undefined) writeFileSync(path.join(folder, 'run', 'training.json'), text);
      await assert.rejects(open(trainingOf()), { code: 'signature_mismatch' });
      const run = await open(trainingOf(), { made: true });
      assert.match(String(run.notice), /begins anew/);
      assert.equal(await run.store.get('decoder-state.safetensors'), undefined);
      await run.close();
    }
  });

  describe('while a process works on it', () => {
    fasterTimers();

    it('is kept from another one', async () => {
      const first = await open(trainingOf());
      await assert.rejects(open(trainingOf()), { code: 'read_only' });
      await first.close();
      await (await open(trainingOf())).close();
    });
  });
});
