import * as ort from 'onnxruntime-node';
import { emitVit } from '../../src/onnx/sam/emit-vit.js';
import { modelFiles } from '../../src/onnx/write-parts.js';
import { joinedParts } from '../support/joined-parts.js';
import { torchPython } from '../support/python.js';
import { seededRandom } from '../support/random.js';
import { encoderOf, TorchComparison, torchPackages } from '../support/torch-comparison.js';
import { COMPARED_PARTS, compareSteps } from '../support/torch-training.js';
import { atMost, type Figure, median, reported } from './figure.js';

/**
 * Against PyTorch, where there is one (Debian: python3-torch): how far what a checkpoint becomes here is from what PyTorch
 * computes with it, relative to the largest value (TORCH_MODELS for other depths, e.g. vit_l,vit_h), what an encoder
 * costs beside PyTorch's own export of it to ONNX, and what a training step costs beside PyTorch's.
 * TORCH_PARTS=difference, speed or training for one of the three; TORCH_STEPS=late,full for some steps only.
 */
export default async function run(): Promise<Figure[]> {
  const python = torchPython();
  if (python === undefined) {
    console.error('There is no python3 with PyTorch: nothing is compared.');
    return [];
  }
  const parts = process.env.TORCH_PARTS?.split(',') ?? ['difference', 'speed', 'training'];
  return [
    ...(parts.includes('difference') ? await differences(python) : []),
    ...(parts.includes('speed') ? await speed(python) : []),
    ...(parts.includes('training') ? await training(python) : []),
  ];
}

const LIMIT = 1e-4;

async function differences(python: string): Promise<Figure[]> {
  const encoders = process.env.TORCH_MODELS?.split(',') ?? ['vit_t', 'vit_b', 'vit_l-2', 'vit_h-2', 'vit_b-2-lora'];
  const unetrs = ['unetr', 'unetr-transposed'];
  const torch = TorchComparison.make(python, torchPackages(), [...encoders, ...unetrs, 'decoder'], 320);
  const figures: Figure[] = [];
  const add = (name: string, difference: number) =>
    figures.push(atMost(`import_difference_${name.replaceAll('-', '_')}`, difference, 'of the largest', LIMIT));
  try {
    for (const name of encoders) add(name, await torch.encoder(name));
    for (const name of unetrs) add(name, await torch.unetr(name));
    add('decoder', await torch.decoder('plain'));
    add('prompt_encoder', await torch.decoder('masked'));
  } finally {
    await torch.close();
  }
  return figures;
}

const ROUNDS = 3;

/** Processor time of both in turns, so that what else runs on the machine slows both. */
async function speed(python: string): Promise<Figure[]> {
  const name = 'vit_b-export';
  const torch = TorchComparison.make(python, torchPackages(), [name], 1024);
  const random = seededRandom(3);
  const image = Float32Array.from({ length: 3 * 1024 * 1024 }, () => 2 * random() - 1);
  const times = { ours: [] as number[], theirs: [] as number[] };
  try {
    const [file] = modelFiles(emitVit(encoderOf((await torch.checkpoint(name)).sam)), 'encoder.onnx');
    const models = { theirs: `${torch.folder}/${name}.onnx`, ours: await joinedParts(file) };
    for (let round = 0; round <= ROUNDS; round++)
      for (const kind of ['theirs', 'ours'] as const) {
        // One at a time, since both together would not fit a small machine.
        const seconds = await secondsOf(models[kind], image);
        if (round > 0) times[kind].push(seconds);
      }
  } finally {
    await torch.close();
  }
  return [
    atMost('encoder_vit_b_over_export', median(times.ours.map((time, i) => time / times.theirs[i])), 'ratio', 1.1),
    reported('encoder_vit_b_cpu_s', median(times.ours), 's'),
    reported('encoder_vit_b_export_cpu_s', median(times.theirs), 's'),
  ];
}

async function secondsOf(model: string | Uint8Array, image: Float32Array): Promise<number> {
  const options: ort.InferenceSession.SessionOptions = {
    intraOpNumThreads: 2,
    enableCpuMemArena: false,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
  const session = await (typeof model === 'string'
    ? ort.InferenceSession.create(model, options)
    : ort.InferenceSession.create(model, options));
  const feeds = { [session.inputNames[0]]: new ort.Tensor('float32', image, [1, 3, 1024, 1024]) };
  const begun = process.cpuUsage();
  await session.run(feeds);
  const { user, system } = process.cpuUsage(begun);
  await session.release();
  return (user + system) / 1e6;
}

/** Of a step here beside one of PyTorch, in processor time on one thread. */
const STEP_LIMITS = { instances: 1.2, decoder: 1.2, late: 1.2, full: 2 } as const;

async function training(python: string): Promise<Figure[]> {
  const chosen = process.env.TORCH_STEPS?.split(',') ?? COMPARED_PARTS;
  const packages = torchPackages();
  const figures: Figure[] = [];
  for (const part of COMPARED_PARTS.filter((each) => chosen.includes(each))) {
    const { ours, theirs } = await compareSteps(part, { python, packages, steps: part === 'full' ? 4 : 8, threads: 1 });
    // The first step prepares: memory here, kernels there.
    const [own, other] = [ours, theirs].map(({ seconds }) => median(seconds.slice(1)));
    figures.push(
      reported(`step_${part}_torch`, other, `s of PyTorch ${theirs.torch}`),
      reported(`step_${part}`, own, 's'),
      atMost(`step_${part}_over_torch`, own / other, 'times', STEP_LIMITS[part]),
    );
  }
  return figures;
}
