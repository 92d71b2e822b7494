import assert from 'node:assert/strict';
import { modelFields } from '../../src/embeddings/signature.js';
import { memoryBytes } from '../../src/io/bytes.js';
import type { Store } from '../../src/io/store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import { keepFiles } from '../../src/model/keep-files.js';
import { keepModel } from '../../src/model/keep-model.js';
import { declarationOfKept, keptModels, readKept, removeKept } from '../../src/model/kept-models.js';
import { loadModelFile } from '../../src/model/model-file.js';
import { type ModelFile, sameFiles } from '../../src/model/model-spec.js';
import { forgetModel, registerModel, resolveModel } from '../../src/model/registry.js';
import { tensor } from '../../src/ndimage/array.js';
import { createLocalWorker } from '../../src/worker/local.js';
import { mobileSamState } from '../support/mobile-sam-checkpoint.js';
import { sharedRuntime } from '../support/real-worker.js';
import { floatTensor, type Saved, torchZip } from '../support/torch-writer.js';
import { randomUnetrWeights } from '../support/unetr-weights.js';

describe('models kept in a store', function () {
  this.timeout(600_000);
  const checkpoint = memoryBytes(torchZip(mobileSamState()), 'my_cells.pt');
  const decoder = memoryBytes(
    torchZip(
      new Map(
        [...randomUnetrWeights(false)].map(([name, { dims, data }]): [string, Saved] => [
          name,
          floatTensor(dims, data),
        ]),
      ),
    ),
    'my_cells_decoder.pt',
  );
  after(() => forgetModel('my_cells'));

  it('are listed, read, run, replaced and removed', async () => {
    const store = memoryStore();
    const told: number[] = [];
    const kept = await keepModel(store, decoder, {
      others: [checkpoint], // in any order
      onProgress: ({ done, total }) => told.push(done / total),
    });
    assert.deepEqual([kept.name, kept.type, kept.instances], ['my_cells', 'vit_t', 'instances.onnx']);
    assert.ok(told.length > 3 && told.every((part, i) => part <= 1 && part >= (told[i - 1] ?? 0)), String(told));
    assert.deepEqual(
      (await keptModels(store)).map(({ name }) => name),
      ['my_cells'],
    );
    const spec = registerModel(declarationOfKept(kept));
    const fetchBytes = (url: string) => readKept(store, url);
    const worker = createLocalWorker(await sharedRuntime(), { fetchBytes, store });
    await worker.load(spec);
    const image = tensor(new Uint8Array(64 * 64 * 3), [64, 64, 3]);
    const embedding = await worker.encode('my_cells', image);
    assert.equal(embedding.features.data.length, 256 * 64 * 64);
    assert.equal((await listKeys(store, 'models/')).length, 0, 'no second copy in the cache of downloads');

    const again = await keepModel(store, checkpoint);
    assert.deepEqual((await keptModels(store)).length, 1);
    assert.ok((await listKeys(store, 'files/')).every((key) => key.startsWith(`files/${again.version}/`)));
    assert.equal(sameFiles(registerModel(declarationOfKept(again)), spec), false);
    assert.equal(again.encoderDigest, kept.encoderDigest, 'embeddings of the same encoder stay good');
    await assert.rejects(loadModelFile(spec.encoder as ModelFile, { fetchBytes }), {
      code: 'model_unavailable',
      message: /deleted or replaced/,
    });
    await removeKept(store, 'my_cells');
    assert.deepEqual(await listKeys(store), []);
  });

  it('leave nothing behind when they are cancelled, or there is no space', async () => {
    const store = memoryStore();
    const stop = new AbortController();
    const onProgress = ({ done }: { done: number }) => done > 0 && stop.abort();
    await assert.rejects(keepModel(store, checkpoint, { signal: stop.signal, onProgress }), { name: 'AbortError' });
    assert.deepEqual(await listKeys(store), []);
    let space = 2;
    const full: Store = {
      ...store,
      async set(key, value) {
        if (--space < 0) throw new Error('no space left');
        await store.set(key, value);
      },
    };
    await assert.rejects(keepModel(full, checkpoint), /no space left/);
    assert.deepEqual(await listKeys(store), []);
  });

  it('do not take the name of a model of another kind, and clear away what was cut off before', async () => {
    const store = memoryStore();
    const [old, young] = [Date.now() - 7_200_000, Date.now()].map((time) => `files/${time.toString(36)}-x/a/0`);
    for (const key of [old, young]) await store.set(key, new Uint8Array(1));
    const named = { ...checkpoint, name: 'vit_t.pt' };
    assert.equal((await keepModel(store, named, { taken: ['vit_t'] })).name, 'vit_t_imported');
    const keys = await listKeys(store, 'files/');
    assert.deepEqual([keys.includes(old), keys.includes(young)], [false, true]);
    await assert.rejects(keepModel(store, checkpoint, { others: [named] }), {
      code: 'invalid_argument',
      message: /two models; import one at a time/,
    });
  });

  it('of a newer program stay, with their files, and are no models here', async () => {
    const store = memoryStore();
    const bytes = Uint8Array.of(1, 2, 3);
    const keep = (name: string) =>
      keepFiles(store, {}, async (write) => {
        await write({ name: 'decoder.onnx', size: bytes.length, pieces: [bytes] }, {});
        return { name, description: '', decoder: 'decoder.onnx', sizes: { 'decoder.onnx': 3 } };
      });
    const card = async (name: string) => JSON.parse(new TextDecoder().decode(await store.get(`cards/${name}`)));
    await keep('mine');
    assert.equal((await card('mine')).format, 1);
    const { format, ...first } = await card('mine');
    await store.set('cards/mine', new TextEncoder().encode(JSON.stringify(first)));
    assert.deepEqual(await keptModels(store), [first], 'the first cards did not say their format');

    const newer = { format: 2, name: 'theirs', files: 'elsewhere' };
    await store.set('cards/theirs', new TextEncoder().encode(JSON.stringify(newer)));
    const file = `files/${(Date.now() - 7_200_000).toString(36)}-x/decoder.onnx/0`;
    await store.set(file, bytes);
    assert.deepEqual(
      (await keptModels(store)).map(({ name }) => name),
      ['mine'],
    );
    const before = (await listKeys(store)).sort();
    await assert.rejects(keep('theirs'), { code: 'unsupported', message: /another name/ });
    await removeKept(store, 'theirs');
    assert.deepEqual((await listKeys(store)).sort(), before);
    assert.deepEqual(await card('theirs'), newer);
  });

  it('hold of a model that was trained here only what was trained; the rest is that of the model before', async () => {
    const store = memoryStore();
    const base = resolveModel('msi_lm');
    const bytes = Uint8Array.of(8, 1, 2, 3);
    const kept = await keepFiles(store, {}, async (write) => {
      await write({ name: 'decoder.onnx', size: bytes.length, pieces: [bytes] }, {});
      return { name: 'mine', description: 'mine', decoder: 'decoder.onnx', base, sizes: { 'decoder.onnx': 4 } };
    });
    assert.deepEqual(
      (await keptModels(store)).map(({ name }) => name),
      ['mine'],
    );
    const spec = registerModel(declarationOfKept(kept));
    forgetModel('mine');
    assert.deepEqual(await readKept(store, spec.decoder.url), bytes);
    assert.deepEqual(spec.instances, base.instances);
    assert.deepEqual(spec.encoderDelta, base.encoderDelta);
    assert.deepEqual(spec.defaults, base.defaults);
    assert.deepEqual(modelFields(spec), modelFields(base), 'embeddings of the encoder stay good');
    assert.deepEqual(spec.decoderLayout, base.decoderLayout);
    await removeKept(store, 'mine');
    assert.deepEqual(await listKeys(store), []);
  });
});
