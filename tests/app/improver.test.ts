import assert from 'node:assert/strict';
import { Improver } from '../../src/app/improver.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import type { ModelSpec } from '../../src/model/model-spec.js';
import { forgetModel, modelNames, resolveModel } from '../../src/model/registry.js';
import { tensor } from '../../src/ndimage/array.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { AnnotatedImage } from '../../src/training/annotated.js';
import type { ModelCard } from '../../src/training/model-card.js';
import {
  partsOfPreset,
  settingsOf,
  type TrainingHost,
  type TrainingJob,
  type TrainingRun,
} from '../../src/training/training-job.js';

function annotated(seed: number): AnnotatedImage {
  const { labels } = cellPhantom({ seed, size: [96, 128], cells: 10 });
  return { name: `image ${seed}`, image: tensor(new Uint8Array(96 * 128 * 3), [96, 128, 3]), labels };
}

/** Trains when it is told to. */
class FakeHost implements TrainingHost {
  readonly where = 'in a test';
  readonly nice: boolean;
  readonly slow: boolean;
  readonly parts = ['instances', 'mask_decoder'] as const;
  readonly jobs: TrainingJob[] = [];
  measured = 0;
  run: TrainingRun = {};
  end: (before: number, after: number) => void = () => undefined;
  fail: (error: Error) => void = () => undefined;

  constructor({ nice = true, slow = false } = {}) {
    this.nice = nice;
    this.slow = slow;
  }

  async measure() {
    this.measured++;
    return { pictures: 1, instances: 1, decoder: 1, late: 1, full: 1, lora: 0, score: 1 };
  }

  train(job: TrainingJob, run: TrainingRun = {}) {
    this.jobs.push(job);
    this.run = run;
    return new Promise<{ card: ModelCard; model: ModelSpec }>((resolve, reject) => {
      this.fail = reject;
      this.end = (before, accuracy) => {
        const part = { file: '', started: '', step: 1, steps: 1, before, accuracy };
        const card = { name: job.name, base: job.model.name, instances: part, seed: 1, date: '' };
        resolve({ card: { ...card, trainedOn: [], scoredOn: [] }, model: { ...job.model, name: job.name } });
      };
    });
  }
}

function improver(host: FakeHost, images: AnnotatedImage[] = [annotated(1), annotated(2)]) {
  const session = new AnnotationSession();
  const used: string[] = [];
  const made = new Improver({
    session,
    model: () => resolveModel(used.at(-1) ?? 'msi_lm'),
    window: () => undefined,
    host: () => host,
    annotated: async () => images,
    use: async (model) => void used.push(model),
    onChanged: () => undefined,
  });
  return { made, used, session };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const settled = async () => {
  for (let i = 0; i < 20; i++) await turn();
};

describe("a model made better on one's own objects (app)", () => {
  afterEach(() => {
    for (const name of modelNames()) if (name.includes('-mine')) forgetModel(name);
  });

  it('says what it will use, measures once, and tells more for longer trainings', async () => {
    const host = new FakeHost();
    const { made } = improver(host);
    const prospect = await made.prospect(true);
    assert.equal(prospect.report.images, 2);
    assert.ok(prospect.report.heldBack > 0);
    const { quick, better, best } = await prospect.seconds({});
    assert.ok(quick < better && better < best);
    await (await made.prospect(false)).seconds({});
    assert.equal(host.measured, 1);
    await assert.rejects(improver(host, []).made.prospect(true), { code: 'invalid_argument' });
  });

  it('is brief where arithmetic is slow, and leaves an instance decoder that is there as it is then', async () => {
    const host = new FakeHost({ slow: true });
    const { made } = improver(host);
    const prospect = await made.prospect(true);
    assert.ok(prospect.clicksAlone);
    const { quick, better } = await prospect.seconds({});
    assert.ok(quick < better / 4, `${quick} of ${better}`);
    void made.start('quick', true);
    await settled();
    const [job] = host.jobs;
    assert.deepEqual(job.parts, ['mask_decoder']);
    const { canvases, decoder, scores } = settingsOf(job, true);
    assert.deepEqual([canvases, decoder.steps, scores], [6, 16, 2]);
    made.close();
    assert.ok(!(await improver(new FakeHost()).made.prospect(true)).clicksAlone);
    assert.deepEqual(partsOfPreset('better', host, job.model), ['instances', 'mask_decoder']);
    assert.deepEqual(partsOfPreset('quick', host, {}), ['instances', 'mask_decoder'], 'there is none yet');
  });

  it('offers what is better; taking it and going back are one step each', async () => {
    const host = new FakeHost();
    const { made, used } = improver(host);
    void made.start('quick', true);
    await settled();
    assert.equal(made.panel(false).training?.state, 'running');
    await assert.rejects(made.start('quick', true), { code: 'invalid_argument' });
    host.end(0.4, 0.5);
    await settled();
    const { offer, training } = made.panel(false);
    assert.equal(training, undefined);
    assert.deepEqual([offer?.name, offer?.better], ['msi_lm-mine', true]);
    assert.ok(modelNames().includes('msi_lm-mine'));
    assert.deepEqual(used, [], 'nothing changes by itself');
    await made.take();
    assert.deepEqual(used, ['msi_lm-mine']);
    await made.goBack();
    assert.deepEqual(used, ['msi_lm-mine', 'msi_lm']);
    await made.take();
    made.dismiss();
    void made.start('quick', true);
    await settled();
    assert.equal(host.jobs[1].name, 'msi_lm-mine-2', 'the one before stays');
    assert.equal(host.jobs[1].model.name, 'msi_lm-mine', 'it goes on from the model in use');
    host.end(0.5, 0.5);
    await settled();
    assert.equal(made.panel(false).offer?.better, false);
  });

  it('pauses, keeps the best, and tells what went wrong', async () => {
    const host = new FakeHost();
    const { made } = improver(host);
    void made.start('quick', true);
    await settled();
    made.wish('rest');
    assert.ok(host.run.controls?.isResting);
    assert.equal(made.panel(false).training?.state, 'resting');
    made.wish('enough');
    assert.ok(host.run.controls?.enough.aborted && !host.run.controls.isResting);
    assert.equal(made.panel(false).training?.state, 'stopping');
    host.fail(new Error('no memory'));
    await settled();
    assert.equal(made.panel(false).failure, 'no memory');
    assert.equal(made.panel(false).training, undefined);
  });

  it('rests while anything is computed for the hand, unless it gives way by itself', async () => {
    for (const nice of [false, true]) {
      const host = new FakeHost({ nice });
      const { made, session } = improver(host);
      void made.start('quick', true);
      await settled();
      let end = () => {};
      const working = session.task('segment', 'Segment', () => new Promise<void>((resolve) => (end = resolve)));
      await settled();
      assert.equal(host.run.controls?.isResting, !nice);
      end();
      await working;
      await settled();
      assert.equal(host.run.controls?.isResting, false);
      made.close();
    }
  });

  it('begins by itself in a series when there is more to learn from, and not while something is offered', async () => {
    const host = new FakeHost();
    const { made } = improver(host);
    made.consider(3, 40);
    await settled();
    assert.equal(host.jobs.length, 0, 'only if asked to');
    made.setAutomatic(true);
    made.consider(1, 40);
    made.consider(2, 9);
    await settled();
    assert.equal(host.jobs.length, 0, 'too little');
    made.consider(2, 20);
    await settled();
    assert.equal(host.jobs.length, 1);
    assert.equal(host.jobs[0].preset, 'quick');
    made.consider(4, 100);
    host.end(0.1, 0.2);
    await settled();
    made.consider(4, 100);
    await settled();
    assert.equal(host.jobs.length, 1);
    made.dismiss();
    made.consider(4, 29);
    await settled();
    assert.equal(host.jobs.length, 1, 'little is new');
    made.consider(4, 30);
    await settled();
    assert.equal(host.jobs.length, 2);
    assert.ok(made.panel(true).automatic);
    assert.equal(made.panel(false).automatic, undefined);
    made.close();
  });
});
