import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { createMaskDecoder, type MaskDecoder } from '../../src/model/mask-decoder.js';
import type { ModelSpec } from '../../src/model/model-spec.js';
import { forgetModel, registerModel } from '../../src/model/registry.js';
import type { Embedding, SamPrompts } from '../../src/model/sam-tensors.js';
import { encoderTensor, maskToLogits, postprocessMask } from '../../src/model/transforms.js';
import { type Tensor, tensor, type YX } from '../../src/ndimage/array.js';
import { fromHalf } from '../../src/ndimage/half.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { maskFromBitmap, maskToBitmap } from '../../src/ndimage/rle.js';
import { writeModel } from '../../src/onnx/write.js';
import { segmentFromBox, segmentFromMask, segmentFromPoints } from '../../src/segmentation/from-prompts.js';
import { type PortLike, portChannel } from '../../src/worker/channel.js';
import { remoteWorker } from '../../src/worker/remote.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { serveWorker } from '../../src/worker/served.js';
import { type FamilyModel, familyModels, officialDecoder } from '../support/declared-models.js';
import { realWorker, sharedRuntime } from '../support/real-worker.js';

const LOW = 256 * 256;
/** Not square, so that stretching shows. */
const [HEIGHT, WIDTH] = [200, 320];
const CENTRE: YX = [120, 90];
const RADIUS = 34;

const inDisk = (y: number, x: number) => Math.hypot(y - CENTRE[0], x - CENTRE[1]) <= RADIUS;

function picture(): Tensor<Uint8Array> {
  const data = new Uint8Array(HEIGHT * WIDTH * 3);
  for (let i = 0; i < data.length; i++)
    data[i] = inDisk(Math.floor(i / 3 / WIDTH), Math.floor(i / 3) % WIDTH) ? 220 : 20 + (i % 3);
  return tensor(data, [HEIGHT, WIDTH, 3]);
}

function disk(): Mask {
  const bitmap = Uint8Array.from({ length: HEIGHT * WIDTH }, (_, i) =>
    Number(inDisk(Math.floor(i / WIDTH), i % WIDTH)),
  );
  return maskFromBitmap(bitmap, [HEIGHT, WIDTH]);
}

function overlap(mask: Mask): number {
  const [got, wanted] = [mask, disk()].map((each) => maskToBitmap(each, [HEIGHT, WIDTH]));
  let [both, either] = [0, 0];
  for (let i = 0; i < got.length; i++) {
    both += got[i] & wanted[i];
    either += got[i] | wanted[i];
  }
  return both / either;
}

/** [x, y, label] each. */
function prompt(...points: readonly (readonly [number, number, number])[]): SamPrompts {
  return {
    coords: Float32Array.from(points.flatMap((each) => each.slice(0, 2))),
    labels: Float32Array.from(points.map(([, , label]) => label)),
    batch: 1,
    points: points.length,
  };
}

describe('models of other families, by declaration (thorough)', function () {
  this.timeout(300_000);
  const [point, negative, padding] = [[300, 420, 1] as const, [700, 80, 0] as const, [0, 0, -1] as const];
  const corners = [
    [180, 260, 2],
    [420, 610, 3],
  ] as const;
  const specs = new Map<string, ModelSpec>();
  let folder: string;
  let worker: SamWorker;
  let official: MaskDecoder;

  function declare({ declaration, encoder, decoder }: FamilyModel): ModelSpec {
    const files = {
      encoder: path.join(folder, `${declaration.name}-e.onnx`),
      decoder: path.join(folder, `${declaration.name}-d.onnx`),
    };
    writeFileSync(files.encoder, encoder);
    writeFileSync(files.decoder, decoder);
    const spec = registerModel({ ...declaration, ...files });
    specs.set(declaration.name, spec);
    return spec;
  }

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-families-'));
    worker = await realWorker('families');
    // By its own arithmetic: the fast form leaves out the padding of a mask alone, which exports of all families have.
    official = await createMaskDecoder(await sharedRuntime(), writeModel(officialDecoder()), { rewrite: 'batched' });
    for (const model of familyModels()) declare(model);
  });

  after(async () => {
    await worker?.close();
    await official?.dispose();
    for (const name of specs.keys()) forgetModel(name);
    rmSync(folder, { recursive: true });
  });

  for (const family of familyModels()) {
    const { name } = family.declaration;

    describe(name, () => {
      let embedding: Embedding;
      before(async () => {
        await worker.load(specs.get(name) as ModelSpec);
        embedding = await worker.encode(name, picture());
      });

      /** What is given for one prompt, and for another by the official signature. */
      async function same(asked: SamPrompts, meant: SamPrompts = asked): Promise<void> {
        const [got, all] = [await worker.decode(name, embedding, asked), await official.decode(embedding, meant)];
        assert.deepEqual([...got.tokens], [...family.tokens]);
        assert.deepEqual([...got.rows], [0]);
        const shift = (embedding.levels ?? []).reduce((sum, { data }, n) => {
          const values = fromHalf(data);
          return sum + (10 ** n * values.reduce((a, b) => a + b, 0)) / values.length;
        }, 0);
        family.tokens.forEach((token, m) => {
          assert.ok(Math.abs(got.iou[m] - all.iou[token] - shift) < 1e-3, `score ${got.iou[m]} of ${all.iou[token]}`);
          let worst = 0;
          for (let i = 0; i < LOW; i++) {
            const wanted = all.logits[token * LOW + i];
            const clipped =
              name.endsWith('-sam2') && !name.includes('transformers') ? Math.min(32, Math.max(-32, wanted)) : wanted;
            worst = Math.max(worst, Math.abs(got.logits[m * LOW + i] - clipped));
          }
          assert.ok(worst < 5e-3, `mask ${token} differs by ${worst}`);
        });
      }

      it('is shown the image as it wants it, in the frame of 1024', () => {
        const { encoderInput } = specs.get(name) as ModelSpec;
        const [rows, columns] = family.stretched
          ? [family.side, family.side]
          : [(family.side * HEIGHT) / WIDTH, family.side];
        assert.deepEqual(encoderTensor(picture(), encoderInput).dims, [1, 3, family.side, family.side]);
        assert.deepEqual(encoderTensor(picture(), encoderInput).inputSize, [rows, columns]);
        assert.deepEqual([...embedding.inputSize], family.stretched ? [1024, 1024] : [640, 1024]);
        assert.deepEqual(
          embedding.levels?.map(({ shape }) => shape.slice(1)),
          name.includes('sam2')
            ? [
                [32, 256, 256],
                [64, 128, 128],
              ]
            : undefined,
        );
      });

      it('gives for points, boxes and both what the official signature gives', async () => {
        await same(prompt(point, padding));
        await same(prompt(point, negative, padding));
        // samexporter's SAM 2 pads boxes, too.
        const pads = name === 'family-sam2' ? [padding] : [];
        await same(prompt(...corners), prompt(...corners, ...pads));
        await same(prompt(point, ...corners), prompt(point, ...corners, ...pads));
      });

      it('takes a mask, or where its graph takes none, the box around it', async () => {
        const maskInput = new Float32Array(LOW).fill(-7);
        for (let y = 40; y < 90; y++) maskInput.fill(7, y * 256 + 60, y * 256 + 120);
        const around = [
          [240, 160, 2],
          [480, 360, 3],
        ] as const;
        if (name === 'family-sam2') {
          await same({ ...prompt(point, padding), maskInput });
          await same({ ...prompt(padding), maskInput }, { ...prompt(padding, padding), maskInput });
        } else {
          await same({ ...prompt(point, padding), maskInput }, prompt(point, padding));
          await same({ ...prompt(padding), maskInput }, prompt(...around));
          await same({ ...prompt(negative, padding), maskInput }, prompt(negative, ...around));
          const { note } = await worker.info();
          assert.match(note ?? '', new RegExp(`${name}: The decoder takes no mask prompts`));
        }
      });

      it('is searched by a grid of points', async () => {
        const { coords, labels } = prompt(point, padding, negative, padding);
        const asked = { coords, labels: labels.map((label) => Math.abs(label) * label), batch: 2, points: 2 };
        const { bestIou } = await worker.decodeCandidates(name, embedding, asked, { iouFloor: -9, stabilityFloor: 0 });
        assert.equal(bestIou.length, 2);
      });
    });
  }

  it('keep their levels on the way to another process, and send them once', async () => {
    const { port1, port2 } = new MessageChannel();
    void serveWorker(portChannel(port1 as PortLike), worker);
    const client = await remoteWorker(portChannel(port2 as PortLike));
    try {
      const own = await client.encode('family-sam2', picture());
      assert.equal(own.levels?.length, 2);
      const asked = prompt(point, padding);
      const wanted = await worker.decode('family-sam2', own, asked);
      for (const embedding of [own, { ...own, id: 'of somebody else' }])
        for (let i = 0; i < 2; i++) {
          const { logits } = await client.decode('family-sam2', embedding, asked);
          assert.deepEqual(logits, wanted.logits);
        }
      const { levels: _, ...without } = { ...own, id: 'without levels' };
      await assert.rejects(client.decode('family-sam2', without, asked), {
        code: 'no_embedding',
        message: /2 finer levels/,
      });
    } finally {
      await client.close();
      port1.close();
    }
  });

  it('have them kept beside the embeddings on the disk', async () => {
    const model = specs.get('family-sam2') as ModelSpec;
    const source = openNdarray({ ...picture(), axes: 'yxc' });
    const store = memoryStore();
    let encoded = 0;
    const counting: SamWorker = {
      ...worker,
      load: (...args) => worker.load(...args),
      encode: (...args) => {
        encoded++;
        return worker.encode(...args);
      },
    };
    const first = await openEmbeddings({ source, worker: counting, model, store });
    const { features, levels } = await first.embedding({ plane: 0 });
    await first.finish();
    const again = await openEmbeddings({ source, worker: counting, model, store });
    const stored = await again.embedding({ plane: 0 });
    assert.equal(encoded, 1);
    assert.deepEqual([stored.features, stored.levels, stored.inputSize], [features, levels, [1024, 1024]]);
    await store.delete('levels/zarr.json');
    const damaged = await openEmbeddings({ source, worker: counting, model, store });
    assert.deepEqual((await damaged.embedding({ plane: 0 })).levels, levels);
    assert.equal(encoded, 2);
  });

  it('outline a disk by a point, a box and a mask, whatever the shape of the image (thorough)', async () => {
    for (const family of familyModels(true).slice(0, 2)) {
      const model = declare({
        ...family,
        declaration: { ...family.declaration, name: `${family.declaration.name}-real` },
      });
      await worker.load(model);
      const source = openNdarray({ ...picture(), axes: 'yxc' });
      const embeddings = await openEmbeddings({ source, worker, model });
      const context = { worker, model: model.name, embeddings, plane: 0 };
      const [y, x] = CENTRE;
      const box = [y - RADIUS - 1, x - RADIUS - 1, y + RADIUS + 2, x + RADIUS + 2] as const;
      const found = {
        point: await segmentFromPoints(context, [{ at: CENTRE, positive: true }]),
        box: await segmentFromBox(context, box),
        mask: await segmentFromMask(context, disk()),
        // Of a mask without a box MobileSAM itself makes little; where the box stands for it, it is found.
        ...(model.name.includes('efficientvit') && {
          'mask alone': await segmentFromMask(context, disk(), { useBox: false }),
        }),
      };
      for (const [how, { mask }] of Object.entries(found))
        assert.ok(overlap(mask) > 0.85, `${model.name}, ${how}: IoU ${overlap(mask).toFixed(3)}`);
    }
  });

  it('have mask prompts in their own frame', () => {
    const logits = maskToLogits(disk(), [HEIGHT, WIDTH], 'stretch');
    assert.ok(overlap(postprocessMask(logits, [1024, 1024], [HEIGHT, WIDTH])) > 0.97);
  });

  it('are refused with what is wrong, if they are declared as another', async () => {
    const sam2 = specs.get('family-sam2') as ModelSpec;
    const { url: encoder } = sam2.encoder;
    const { url: decoder } = sam2.decoder;
    const cases = [
      [{ family: 'efficientvit-sam' }, /nothing is known of high_res_feats_0, high_res_feats_1/],
      [{ family: 'transformers' }, /missing .*points \(input_points\)/],
      [
        { family: 'sam2', decoderInput: { names: { masks: 'logits' } } },
        /missing masks \(logits\).*gives|gives.*missing masks \(logits\)/,
      ],
      [
        { family: 'sam2', decoderInput: { levels: [{ output: 'fine', input: 'high_res_feats_0' }] } },
        /nothing is known of high_res_feats_1|'fine'/,
      ],
    ] as const;
    for (const [declaration, message] of cases) {
      const spec = registerModel({ name: 'misdeclared', encoder, decoder, ...declaration });
      await assert.rejects(worker.load(spec), { code: 'model_unavailable', message });
    }
    forgetModel('misdeclared');
  });
});
