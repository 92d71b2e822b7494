import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { WebSocket } from 'ws';
import type { PageSettings } from '../../src/app/page-settings.js';
import { trainingByServer } from '../../src/app/training-hosts.js';
import { scriptClient } from '../../src/cli/serve/script-client.js';
import { findModel, MODEL_CARD } from '../../src/cli/train/trained-models.js';
import { processTraining, trainingHere } from '../../src/cli/train/training-process.js';
import { modelFields } from '../../src/embeddings/signature.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { toRpcArray } from '../../src/io/rpc-array.js';
import { forgetModel, resolveModel } from '../../src/model/registry.js';
import type { TrainingRecord } from '../../src/service/training.js';
import { annotatedData } from '../../src/training/annotated.js';
import type { TrainingJob, TrainingNews } from '../../src/training/training-job.js';
import type { SocketLike } from '../../src/worker/channel.js';
import { createNodeWorker } from '../../src/worker/hosts/node-worker.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { buildOnce, startServer } from '../support/start-server.js';

/** In this process, as in scripts of Node, and in one of its own, as the server has it. */
describe('train_sam over RPC (real model)', function () {
  this.timeout(600_000);
  let data: string;
  let worker: SamWorker;
  const dataHome = process.env.XDG_DATA_HOME;
  const SHORT = { preset: 'quick', n_iterations: 2, n_prompt_iterations: 1, n_canvases: 1 };
  const script = (training = processTraining('dist/cli/micro-sam.js')) => scriptClient(worker, training);
  const { image, labels } = cellPhantom({ seed: 4, size: [120, 160], cells: 12 });

  before(async () => {
    await buildOnce();
    data = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-train-sam-'));
    process.env.XDG_DATA_HOME = data;
    worker = await createNodeWorker();
  });
  after(async () => {
    process.env.XDG_DATA_HOME = dataHome;
    if (dataHome === undefined) delete process.env.XDG_DATA_HOME;
    await worker.close();
    for (const name of ['mine', 'msi_lm-mine']) forgetModel(name);
    rmSync(data, { recursive: true, force: true });
  });

  it('makes of arrays a model that is in the list at once, and tells how far it is (thorough)', async () => {
    const sam = script(trainingHere());
    const told: TrainingRecord[] = [];
    const records: TrainingRecord[] = [];
    const training = await sam.train_sam('mine', [toRpcArray(image)], [toRpcArray(labels)], {
      ...SHORT,
      task: 'a',
      stream: true,
      progress: (news: TrainingRecord) => void told.push(structuredClone(news)),
    });
    for await (const record of training) records.push(record);
    assert.ok(records.some(({ phase, state }) => phase === 'instances' && state === 'running'));
    const record = records.at(-1)!;
    assert.equal(record.state, 'done');
    assert.equal(record.task, 'a');
    assert.ok(record.data.trained >= 5 && record.data.held_back > 0);
    assert.deepEqual(
      record.scores.map(({ part }) => part),
      ['instances', 'decoder'],
    );
    for (const { before, after } of record.scores) assert.ok((before as number) > 0 && after >= (before as number));
    assert.ok(told.length > 0 && told.every(({ task }) => task === 'a'));
    assert.ok(told.some(({ phase }) => phase === 'decoder'));
    assert.ok((await sam.get_model_names()).includes('mine'));
    const model = findModel('mine');
    assert.deepEqual(modelFields(model), modelFields(findModel('msi_lm')), 'embeddings of the encoder stay good');
    const card = JSON.parse(readFileSync(path.join(data, 'micro-sam', 'trained', 'mine', MODEL_CARD), 'utf8'));
    assert.equal(card.scoredOn.length, 1);
    await sam.open_image(toRpcArray(image));
    await sam.load_model('mine');
    await sam.add_point_prompts([[60, 80]]);
    assert.equal((await sam.get_state()).layers.current_object.count, 1, 'it segments');
    await assert.rejects(sam.train_sam('mine', [toRpcArray(image)], [toRpcArray(labels)], SHORT), {
      message: /^invalid_argument: There is a model mine already/,
    });
    await sam.close();
  });

  it('learns from what is committed in the session, pauses, and keeps the best when it is cancelled (thorough)', async () => {
    const sam = script();
    await assert.rejects(sam.train_sam(), { message: /^invalid_argument: There are 0 annotated objects/ });
    await sam.open_image(toRpcArray(image), { name: 'cells' });
    await sam.set_committed_objects(toRpcArray(labels));
    const begun = await sam.train_sam({ ...SHORT, n_iterations: 100_000, wait: false });
    assert.equal(begun.state, 'running');
    const { task } = begun;
    const until = async (what: string, wanted: (record: TrainingRecord) => boolean) => {
      for (const end = Date.now() + 300_000; Date.now() < end; await new Promise((r) => setTimeout(r, 100))) {
        const record = await sam.get_training(task);
        if (wanted(record)) return record;
        assert.equal(record.error, undefined);
      }
      throw new Error(`Not within 5 minutes: ${what}`);
    };
    await until('a step', ({ phase, done }) => phase === 'instances' && done >= 2);
    await sam.pause_training(task);
    assert.equal((await sam.get_training(task)).state, 'resting');
    await sam.pause_training(task, false);
    const { done } = await sam.get_training(task);
    const later = await until('another step', (record) => record.done > done + 1);
    assert.ok((later.seconds_left ?? 1) > 0);
    await sam.cancel(task);
    const record = await until('the end', ({ state }) => state === 'done');
    assert.equal(record.name, 'msi_lm-mine');
    assert.deepEqual(
      record.scores.map(({ part }) => part),
      ['instances'],
      'the rest had not begun',
    );
    assert.ok((await sam.get_model_names()).includes('msi_lm-mine'));
    await sam.close();
  });

  it('says what is wrong, and leaves nothing behind when its caller is gone', async () => {
    const sam = script();
    await assert.rejects(sam.train_sam('x', [toRpcArray(image)]), { message: /images and labels belong together/ });
    const other = cellPhantom({ seed: 1, size: [50, 60], cells: 5 }).labels;
    await assert.rejects(sam.train_sam('x', [toRpcArray(image)], [toRpcArray(other)]), { message: /the image has/ });
    await assert.rejects(sam.train_sam('../x'), { message: /^invalid_argument: / });
    await assert.rejects(sam.get_training('nobody'), { message: /^not_found: / });
    const parts = ['instances', 'mask_decoder', 'late', 'full'];
    await assert.rejects(sam.train_sam({ parts }), { message: /^invalid_argument: .*exclude each other/ });
    const training = sam.train_sam('gone', [toRpcArray(image)], [toRpcArray(labels)], SHORT);
    training.catch(() => undefined);
    const features = () => readdirSync(os.tmpdir()).filter((name) => name.startsWith('micro-sam-training-'));
    const before = features();
    for (const end = Date.now() + 60_000; features().length === before.length && Date.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 20));
    await sam.close();
    await assert.rejects(training, { message: /^cancelled: / });
    for (const end = Date.now() + 60_000; features().length > before.length && Date.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(features().length <= before.length, 'its folder is gone');
    assert.ok(!existsSync(path.join(data, 'micro-sam', 'trained', 'gone')));
  });

  it('is what the server does for its pages, in a process that ends with the page (thorough)', async () => {
    const server = await startServer(['--no-worker', '--port', '0']);
    try {
      const settings = await fetch(`${server.origin}/settings.json`, {
        headers: { authorization: `Bearer ${server.token}` },
      });
      const { training }: PageSettings = await settings.json();
      const openSocket = (url: string) =>
        new WebSocket(url, { origin: server.origin }) as unknown as SocketLike & { send(text: string): void };
      const open = (token = training?.token ?? '') =>
        trainingByServer({ url: training?.url ?? '', token }, { origin: server.origin, openSocket });
      const rgb = Uint8Array.from(
        { length: image.data.length * 3 },
        (_, i) => Number(image.data[Math.floor(i / 3)]) >> 8,
      );
      const { report, ...data } = annotatedData(
        [{ name: 'cells', image: { data: rgb, shape: [...image.shape, 3] }, labels }],
        { partial: true },
      );
      assert.ok(report.heldBack > 0);
      const job: TrainingJob = {
        name: 'of-the-page',
        model: resolveModel('msi_lm'),
        preset: 'quick',
        parts: ['mask_decoder'],
        steps: { canvases: 1, decoder: 1 },
        data,
      };
      await assert.rejects(open('wrong').train(job), { code: /no_worker|worker_lost/ });
      for (const name of ['../x', 'msi_lm', '../x', '.'])
        await assert.rejects(open().train({ ...job, name }), { code: 'invalid_argument' });
      const news: TrainingNews[] = [];
      const { model, card } = await open().train(job, { onNews: (each) => news.push(each) });
      assert.deepEqual(
        news.map(({ phase }) => phase).filter((phase, i, all) => phase !== all[i - 1]),
        ['pictures', 'decoder'],
      );
      assert.ok((card.decoder?.accuracy ?? 0) > 0);
      assert.ok(model.decoder.url.startsWith(server.origin), model.decoder.url);
      assert.equal((await fetch(model.decoder.url)).status, 200, 'the page can read it');
      const gone = new AbortController();
      const cut = open().train({ ...job, name: 'cut' }, { signal: gone.signal });
      setTimeout(() => gone.abort(), 300);
      await assert.rejects(cut, { code: 'cancelled' });
      assert.equal(server.child.exitCode, null, 'the server goes on');
    } finally {
      await server.stop();
    }
  });
});
