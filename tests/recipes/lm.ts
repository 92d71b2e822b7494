import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Store } from '../../src/io/store.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import { encoderWithEarlyFeatures } from '../../src/model/early-features.js';
import { encoderDelta } from '../../src/model/encoder-delta.js';
import { ImageEncoder } from '../../src/model/image-encoder.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import { resolveModel } from '../../src/model/registry.js';
import type { OrtRuntime } from '../../src/model/runtime.js';
import type { OnnxModel } from '../../src/onnx/model.js';
import { readModel } from '../../src/onnx/read.js';
import { writeModel } from '../../src/onnx/write.js';
import { type CanvasPlan, makeCanvas, planCanvases } from '../../src/training/canvas.js';
import { wholeEncoder } from '../../src/training/encoder/trainable-encoder.js';
import { cacheCanvas, EARLY } from '../../src/training/instances/feature-cache.js';
import { InstanceObjective } from '../../src/training/instances/instance-objective.js';
import { lightDecoderModel } from '../../src/training/instances/light-decoder.js';
import { JointObjective, joined, partOf } from '../../src/training/joint/joint-objective.js';
import { madePictures } from '../../src/training/joint/joint-pictures.js';
import type { Weights } from '../../src/training/parameters.js';
import { trainableDecoder, withWeights } from '../../src/training/prompts/mask-decoder.js';
import { Random } from '../../src/training/random.js';
import { jointRate } from '../../src/training/train-model.js';
import { type Objective, Trainer, type TrainerOptions } from '../../src/training/trainer.js';
import { openImages } from './training-data.js';

/**
 * The recipe of msi_lm. First the instance decoder, from random weights, on pictures that MobileSAM's encoder has encoded once:
 * `vit_t` keeps it. Then the whole encoder together with it and the mask decoder, from MobileSAM's weights, on pictures that
 * are made when their turn comes. Every part is seeded, and goes on where it was.
 */
const RECIPE = {
  /** Phase contrast and the hard kinds of nuclei more often, strips of few yeast cells less. */
  weights: {
    'usiigaci 1022x1024': 2.5,
    'baby_yeast 81x81': 0.3,
    'baby_yeast 117x117': 0.3,
    'baby_yeast 845x47': 0.3,
    'baby_yeast 869x51': 0.3,
    'dsb2018 603x1272': 2,
    'dsb2018 1024x1024': 1.5,
  },
  instances: {
    pictures: { count: 560, seed: 7 },
    // Each round goes on from the weights of the one before. Phase contrast, a tenth of the pictures, is a third in the last.
    rounds: [
      { steps: 5500, learningRate: 2e-3, clip: 5, seed: 3, phaseContrast: 1 },
      { steps: 1600, learningRate: 1e-3, clip: 5, seed: 4, phaseContrast: 5 },
    ],
  },
  whole: {
    pictures: { count: 12_000, seed: 9 },
    /** The average of the weights is kept (Izmailov et al. 2018, arXiv 1803.05407). */
    round: { steps: 4133, learningRate: 1e-4, clip: Number.POSITIVE_INFINITY, seed: 21, average: 0.999 },
    options: { pictures: 2, objects: 8, rounds: 3, projected: 0.3, anchor: 0.25 },
  },
};

const OPTIONS = {
  /** Then it stops, to be gone on with by the same command. */
  minutes: { type: 'string', default: '30' },
  work: { type: 'string', default: path.join('dist', 'recipes', 'lm') },
  threads: { type: 'string', default: '2' },
} as const;

/** @returns 0 when the files are there, 3 when there is more to do */
export default async function lm(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: OPTIONS });
  mkdirSync(values.work, { recursive: true });
  const end = Date.now() + Number(values.minutes) * 60_000;
  const work: Work = {
    folder: values.work,
    runtime: await createNodeRuntime({ threads: Number(values.threads) }),
    pictures: folderStore(path.join(values.work, 'pictures')),
    over: () => Date.now() > end,
    log(text) {
      console.log(text);
      appendFileSync(path.join(values.work, 'log.txt'), `${text}\n`);
    },
  };
  const instances = (await encodePictures(work)) && (await trainInstances(work));
  const done = instances && (await trainWhole(work, instances));
  if (!done) work.log('# paused; the same command goes on');
  return done ? 0 : 3;
}

interface Work {
  readonly folder: string;
  readonly runtime: OrtRuntime;
  /** Encoded, for the instance decoder. */
  readonly pictures: Store;
  /** The time is up. */
  readonly over: () => boolean;
  readonly log: (text: string) => void;
}

const planned = ({ count, seed }: { readonly count: number; readonly seed: number }): CanvasPlan[] =>
  planCanvases(openImages('train'), count, new Random(seed), RECIPE.weights);

const keyOf = (index: number) => `${index}.f16`;

async function encodePictures({ runtime, pictures, over, log }: Work): Promise<boolean> {
  const plans = planned(RECIPE.instances.pictures);
  const { encoder: file, encoderInput } = resolveModel('vit_t');
  const { bytes, outputs } = encoderWithEarlyFeatures(await fetchBytesInNode(file.url), EARLY);
  const kept = new Set(await listKeys(pictures));
  const encoder = await ImageEncoder.create(runtime, bytes, encoderInput, outputs);
  try {
    for (const [index, plan] of plans.entries()) {
      if (kept.has(keyOf(index))) continue;
      if (over()) return false;
      const canvas = await makeCanvas(plan);
      await cacheCanvas(pictures, keyOf(index), canvas, await encoder.encode(canvas.image, { early: true }));
      if (index % 10 === 9) log(`picture ${index + 1} of ${plans.length}`);
    }
    return true;
  } finally {
    await encoder.release();
  }
}

/** @returns the weights of the last round, if there was time for it */
async function trainInstances(work: Work): Promise<Weights | undefined> {
  let weights: Weights | undefined;
  for (const [index, round] of RECIPE.instances.rounds.entries()) {
    const keys = keysOf(round.phaseContrast);
    const objective = await InstanceObjective.create(work.runtime, work.pictures, keys, { seed: round.seed });
    try {
      weights = (await trainRound(work, `instances-${index + 1}`, round, objective, weights))?.learned;
    } finally {
      await objective.release();
    }
    if (!weights) return undefined;
  }
  return weights;
}

/** @param instances weights of the instance decoder for the encoder as it was */
async function trainWhole(work: Work, instances: Weights): Promise<boolean> {
  const { runtime, folder } = work;
  const stock = resolveModel('vit_t');
  const write = (file: string, model: OnnxModel) => writeWhole(path.join(folder, file), writeModel(model));
  write('vit_t-instances.onnx', lightDecoderModel(instances));
  const model = readModel(await fetchBytesInNode(stock.encoder.url));
  const encoder = wholeEncoder(model);
  const decoder = trainableDecoder(readModel(await fetchBytesInNode(stock.decoder.url)), new Set(['mask_decoder']));
  const { pictures, round, options } = RECIPE.whole;
  const plans = planned(pictures);
  const made = madePictures({ ...pictures, pictureOf: (index) => makeCanvas(plans[index]) });
  const objective = await JointObjective.create(runtime, encoder, decoder, made, { ...options, seed: round.seed });
  const start = joined({ encoder: encoder.weights, decoder: decoder.weights, instances });
  const trained = await trainRound(work, 'whole', { ...round, rateOf: jointRate }, objective, start).finally(() =>
    objective.release(),
  );
  if (!trained) return false;
  write('msi_lm-encoder.onnx', encoderDelta(model, partOf(trained.learned, 'encoder')));
  write('msi_lm-decoder.onnx', withWeights(decoder, partOf(trained.learned, 'decoder')));
  write('msi_lm-instances.onnx', lightDecoderModel(partOf(trained.learned, 'instances')));
  return true;
}

/** Steps between two checkpoints. */
const ROW = 25;

/** @returns the training when it has come to its end */
async function trainRound(
  work: Work,
  name: string,
  round: TrainerOptions,
  objective: Objective,
  start: Weights | undefined,
): Promise<Trainer | undefined> {
  const trainer = new Trainer(objective, round, start);
  const { folder, over, log } = work;
  const state = path.join(folder, `${name}.safetensors`);
  if (existsSync(state)) trainer.resume(new Uint8Array(readFileSync(state)));
  let sum = 0;
  while (!trainer.done && !over()) {
    sum += await trainer.advance();
    if (trainer.step % ROW !== 0 && !trainer.done) continue;
    log(`${name}, step ${trainer.step} of ${round.steps}, loss ${(sum / ROW).toFixed(4)}`);
    writeWhole(state, trainer.checkpoint());
    sum = 0;
  }
  writeWhole(state, trainer.checkpoint());
  return trainer.done ? trainer : undefined;
}

/** @param times that a picture of phase contrast is in the list */
function keysOf(times: number): string[] {
  const plans = planned(RECIPE.instances.pictures);
  const all = plans.map((_, index) => keyOf(index));
  const isPhaseContrast = ({ sources }: CanvasPlan) => sources.length === 1 && sources[0].kind.startsWith('usiigaci');
  const oftener = all.filter((_, index) => isPhaseContrast(plans[index]));
  return [...all, ...Array.from({ length: times - 1 }, () => oftener).flat()];
}

/** Never half a file, whenever the process ends. */
function writeWhole(file: string, bytes: Uint8Array): void {
  writeFileSync(`${file}.new`, bytes);
  renameSync(`${file}.new`, file);
}
