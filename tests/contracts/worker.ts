import assert from 'node:assert/strict';
import { DEFAULT_MODEL } from '../../src/model/registry.js';
import type { DecodedMasks, Embedding } from '../../src/model/sam-tensors.js';
import { buildPrompts, maskToLogits } from '../../src/model/transforms.js';
import { tensor } from '../../src/ndimage/array.js';
import { maskFromBitmap } from '../../src/ndimage/rle.js';
import type { Progress } from '../../src/task.js';
import { PROTOCOL, type SamWorker } from '../../src/worker/sam-worker.js';
import { diskImage, realWorker } from '../support/real-worker.js';
import { TINY_INSTANCES, TINY_MODEL } from '../support/tiny-model.js';

/** The same results from the same arithmetic, computed once without any connection between. */
export interface Reference {
  readonly worker: SamWorker;
  /** Of the disk, by the real model. */
  readonly embedding: Embedding;
  /** Of the disk, by the tiny model, which every worker under test encodes with. */
  readonly tiny: Embedding;
}

let reference: Promise<Reference> | undefined;

export function referenceResults(): Promise<Reference> {
  reference ??= (async () => {
    const worker = await realWorker('reference');
    await worker.load(TINY_MODEL);
    const embedding = await worker.encode(DEFAULT_MODEL, diskImage());
    return { worker, embedding, tiny: await worker.encode(TINY_MODEL.name, diskImage()) };
  })();
  return reference;
}

export interface ContractOptions {
  /** Allowed difference of features and logits, where another build of ONNX Runtime computes. Default: none. */
  readonly tolerance?: number;
  /** For hosts that take long to start, in milliseconds. */
  readonly timeout?: number;
}

/** What every `SamWorker` does, whatever lies between; `make` gives a new one that the suite closes. */
export function workerContract(
  name: string,
  make: () => Promise<SamWorker>,
  { tolerance = 0, timeout }: ContractOptions = {},
): void {
  const model = TINY_MODEL.name;
  const same = (got: Float32Array, wanted: Float32Array, what: string) => {
    assert.equal(got.length, wanted.length, what);
    let worst = 0;
    for (let i = 0; i < got.length; i++) worst = Math.max(worst, Math.abs(got[i] - wanted[i]));
    assert.ok(worst <= tolerance, `${what} differ by ${worst}`);
  };
  const sameMasks = (got: DecodedMasks, wanted: DecodedMasks) => {
    assert.deepEqual([got.tokens, got.rows], [wanted.tokens, wanted.rows]);
    same(got.iou, wanted.iou, 'scores');
    same(got.logits, wanted.logits, 'logits');
  };

  describe(`${name} is a SamWorker`, function () {
    if (timeout !== undefined) this.timeout(timeout);
    let worker: SamWorker;
    let expected: Reference;
    before(async () => {
      expected = await referenceResults();
      worker = await make();
    });
    after(() => worker?.close());

    it('says what it is', async () => {
      const info = await worker.info();
      assert.equal(info.protocol, PROTOCOL);
      assert.match(info.runtime, /^onnxruntime-(node|web) \d/);
      assert.match(info.provider, /^(cpu|wasm|webgpu|cuda)/);
    });

    it('loads a model once, with progress, and lists it', async () => {
      const steps: Progress[] = [];
      await worker.load(TINY_MODEL, { onProgress: (step) => steps.push(step) });
      const before = steps.length;
      await worker.load(TINY_MODEL, { onProgress: (step) => steps.push(step) });
      assert.equal(steps.length, before, 'loading again loads nothing');
      assert.ok((await worker.info()).loaded.includes(model));
      for (const { done, total } of steps) assert.ok(done <= total);
    });

    it('encodes to exactly what the bare runtime gives, the 4 MB unchanged', async () => {
      const steps: Progress[] = [];
      const embedding = await worker.encode(model, diskImage(), { onProgress: (step) => steps.push(step) });
      assert.deepEqual(embedding.features.shape, [1, 256, 64, 64]);
      assert.deepEqual(
        [embedding.inputSize, embedding.originalSize],
        [
          [1024, 1024],
          [256, 256],
        ],
      );
      assert.ok(embedding.features.data instanceof Float32Array);
      same(embedding.features.data, expected.tiny.features.data, 'features');
      assert.notEqual(embedding.id, '');
      assert.ok(steps.length >= 1 && steps.at(-1)?.done === steps.at(-1)?.total);
    });

    it('decodes points, boxes and masks to exactly what the bare runtime gives', async () => {
      const { embedding } = expected;
      const bitmap = diskImage().data.filter((_, i) => i % 3 === 0);
      const prompts = [
        { points: [{ at: [128, 128] as const, positive: true }] },
        { points: [{ at: [120, 130] as const, positive: true }], box: [105, 104, 150, 151] as const },
        {
          box: [108, 108, 149, 149] as const,
          maskLogits: maskToLogits(maskFromBitmap(bitmap, [256, 256]), [256, 256]),
        },
      ];
      for (const prompt of prompts) {
        const batch = buildPrompts([prompt], embedding);
        const got = await worker.decode(model, embedding, batch);
        const wanted = await expected.worker.decode(model, embedding, batch);
        sameMasks(got, wanted);
        assert.equal(got.logits.length, 4 * 256 * 256);
      }
    });

    it('decodes embeddings it never saw, and ones it made', async () => {
      const foreign = { ...expected.embedding, id: `foreign ${Math.random()}` };
      const prompts = buildPrompts([{ box: [108, 108, 149, 149] }], foreign);
      const wanted = await expected.worker.decode(model, foreign, prompts);
      for (let i = 0; i < 2; i++) sameMasks(await worker.decode(model, foreign, prompts), wanted);
      const own = await worker.encode(model, diskImage());
      sameMasks(await worker.decode(model, own, prompts), await expected.worker.decode(model, expected.tiny, prompts));
    });

    it('leaves prompts below the floor out of the logits and keeps their scores', async () => {
      const prompts = buildPrompts(
        [{ points: [{ at: [128, 128], positive: true }] }, { points: [{ at: [5, 5], positive: true }] }],
        expected.embedding,
      );
      const all = await worker.decode(model, expected.embedding, prompts);
      const best = [0, 1].map((b) => Math.max(...all.iou.subarray(b * 4 + 1, b * 4 + 4)));
      const floor = (best[0] + best[1]) / 2;
      const some = await worker.decode(model, expected.embedding, prompts, { iouFloor: floor });
      assert.deepEqual([...some.rows], [best[0] > best[1] ? 0 : 1]);
      same(some.iou, all.iou, 'scores');
    });

    it('gives candidates with boxes, stability and logits of the disk', async () => {
      const points = Array.from({ length: 10 }, (_, i) => ({ at: [118 + 2 * i, 128] as const, positive: true }));
      const prompts = buildPrompts(
        points.map((point) => ({ points: [point] })),
        expected.embedding,
      );
      const steps: Progress[] = [];
      const found = await worker.decodeCandidates(model, expected.embedding, prompts, {
        iouFloor: 0.8,
        stabilityFloor: 0.9,
        onProgress: (step) => steps.push(step),
      });
      assert.equal(found.bestIou.length, 10);
      assert.ok(found.count > 0 && found.prompt.length === found.count && found.boxes.length === found.count * 4);
      assert.ok(found.iou.every((iou) => iou >= 0.8) && found.stability.every((s) => s >= 0.9 && s <= 1));
      // The disk covers 108..148 of 256 pixels, which are cells of the low-resolution grid here.
      assert.ok(
        [...found.boxes].some((_, i, b) => i % 4 === 0 && Math.abs(b[i] - 108) < 3 && Math.abs(b[i + 2] - 149) < 3),
      );
      assert.equal(steps.at(-1)?.done, 10);
    });

    it('gives the maps of an instance decoder, with early features of embeddings it made and of others', async () => {
      const { name } = TINY_INSTANCES;
      await Promise.all([worker.load(TINY_INSTANCES), expected.worker.load(TINY_INSTANCES)]);
      const image = diskImage(200, 30, [60, 80]);
      const wanted = await expected.worker.encode(name, image, { early: true });
      const maps = await expected.worker.instanceMaps(name, wanted, image);
      assert.deepEqual([maps.maps.shape, maps.cell], [[3, 64, 64], 16]);
      const own = await worker.encode(name, image, { early: true });
      assert.deepEqual(Object.keys(own.early ?? {}), ['s0']);
      for (const embedding of [own, { ...wanted, id: `foreign ${Math.random()}` }]) {
        const got = await worker.instanceMaps(name, embedding, image);
        assert.deepEqual([got.maps.shape, got.cell], [maps.maps.shape, maps.cell]);
        same(got.maps.data, maps.maps.data, 'maps');
      }
      const plain = await worker.encode(name, image);
      assert.equal(plain.early, undefined);
      await assert.rejects(worker.instanceMaps(name, plain, image), { code: 'no_embedding' });
      await assert.rejects(worker.instanceMaps(model, expected.tiny, image), { code: 'unsupported' });
    });

    it('names an unknown model', async () => {
      await assert.rejects(worker.encode('vit_nonsense', diskImage()), (error: Error & { code?: string }) => {
        assert.equal(error.name, 'SamError');
        assert.equal(error.code, 'model_unavailable');
        assert.match(error.message, /vit_nonsense.*vit_t/);
        return true;
      });
    });

    it('refuses images and prompts that do not fit, and goes on', async () => {
      const image = tensor(new Uint8Array(12), [2, 2, 3]);
      await assert.rejects(worker.encode(model, { ...image, shape: [2, 3, 3] }), { code: 'invalid_image' });
      await assert.rejects(
        worker.decode(model, expected.embedding, {
          coords: new Float32Array(3),
          labels: new Float32Array(2),
          batch: 1,
          points: 2,
        }),
        { code: 'invalid_prompt' },
      );
      assert.equal((await worker.info()).protocol, PROTOCOL);
    });

    it('cancels before and during the work', async () => {
      const dead = AbortSignal.abort();
      await assert.rejects(worker.encode(model, diskImage(), { signal: dead }), { code: 'cancelled' });
      const controller = new AbortController();
      const points = Array.from({ length: 400 }, (_, i) => ({ at: [i % 256, 128] as const, positive: true }));
      const prompts = buildPrompts(
        points.map((point) => ({ points: [point] })),
        expected.embedding,
      );
      const work = worker.decodeCandidates(model, expected.embedding, prompts, {
        iouFloor: 0,
        stabilityFloor: 0,
        signal: controller.signal,
        onProgress: () => controller.abort(),
      });
      await assert.rejects(work, { code: 'cancelled' });
      const next = buildPrompts([{ box: [1, 1, 9, 9] }], expected.embedding);
      assert.equal((await worker.decode(model, expected.embedding, next)).rows.length, 1);
    });

    it('serves requests that are made at the same time', async () => {
      const { embedding, tiny } = expected;
      const prompts = buildPrompts([{ points: [{ at: [128, 128], positive: true }] }], embedding);
      const [first, second, encoded] = await Promise.all([
        worker.decode(model, embedding, prompts),
        worker.decode(model, embedding, prompts),
        worker.encode(model, diskImage()),
      ]);
      assert.deepEqual(first, second);
      same(encoded.features.data, tiny.features.data, 'features');
    });
  });
}
