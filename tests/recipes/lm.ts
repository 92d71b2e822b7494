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
import { cacheCanvas, EARLY } from '../../src/training/instances/feature-cache.js';
import { InstanceObjective } from '../../src/training/instances/instance-objective.js';
import { lightDecoderModel } from '../../src/training/instances/light-decoder.js';
import { JointObjective, joined, partOf } from '../../src/training/late/joint-objective.js';
import { lateStage, STAGE_NAME } from '../../src/training/late/late-stage.js';
import { cacheStage } from '../../src/training/late/stage-cache.js';
import type { Weights } from '../../src/training/parameters.js';
import { trainableDecoder, withWeights } from '../../src/training/prompts/mask-decoder.js';
import { cachePrompts } from '../../src/training/prompts/prompt-cache.js';
import { PromptObjective } from '../../src/training/prompts/prompt-objective.js';
import { Random } from '../../src/training/random.js';
import { jointRate } from '../../src/training/train-model.js';
import { type Objective, Trainer, weightsFile, weightsOf } from '../../src/training/trainer.js';
import { openImages } from './training-data.js';

/**
 * The recipe of msi_lm: pictures made of the open images and encoded once by MobileSAM's encoder; on their features the
 * instance decoder is trained from random weights, and the mask decoder from MobileSAM's; then both together with the late
 * part of the encoder. Every part is seeded, and goes on where it was.
 */
const RECIPE = {
  pictures: {
    count: 560,
    seed: 7,
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
  },
  // Each round goes on from the weights of the one before. Phase contrast, a tenth of the pictures, is a third in the last.
  instances: [
    { steps: 5500, learningRate: 2e-3, clip: 5, seed: 3, phaseContrast: 1 },
    { steps: 1600, learningRate: 1e-3, clip: 5, seed: 4, phaseContrast: 5 },
  ],
  decoder: [
    // 200 steps more with phase contrast as in the last round above: better there, worse on bacteria and plant cells.
    { steps: 600, learningRate: 1e-4, clip: 1, seed: 5, phaseContrast: 1 },
  ],
  late: {
    round: { steps: 350, learningRate: 1e-4, clip: Number.POSITIVE_INFINITY, seed: 11, phaseContrast: 3 },
    /** Steps whose weights are averaged (Izmailov et al. 2018, arXiv 1803.05407). */
    averaged: [200, 250, 300, 350],
    /**
     * How far to go from the weights before towards those: what is not trained on is kept (Wortsman et al. 2022, arXiv
     * 2109.01903). docs/models/msi_lm.md has the figures.
     */
    share: 0.75,
  },
  /** The head that predicts the IoU of masks, by which one of three is chosen, is far off on micrographs. */
  iouHead: 5,
  /** Times that an object is prompted in a step. */
  prompts: 2,
};

interface Round {
  readonly steps: number;
  readonly learningRate: number;
  readonly clip: number;
  readonly seed: number;
  /** How often a picture of phase contrast is in the list, in which others are once. */
  readonly phaseContrast: number;
}

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
    prompts: folderStore(path.join(values.work, 'prompts')),
    stages: folderStore(path.join(values.work, 'stages')),
    over: () => Date.now() > end,
    log(text) {
      console.log(text);
      appendFileSync(path.join(values.work, 'log.txt'), `${text}\n`);
    },
  };
  const done = (await encodePictures(work)) && (await trainParts(work));
  if (!done) work.log('# paused; the same command goes on');
  return done ? 0 : 3;
}

interface Work {
  readonly folder: string;
  readonly runtime: OrtRuntime;
  /** What the instance decoder is trained on. */
  readonly pictures: Store;
  /** What the mask decoder is trained on. */
  readonly prompts: Store;
  /** What the late part of the encoder is trained on. */
  readonly stages: Store;
  /** The time is up. */
  readonly over: () => boolean;
  readonly log: (text: string) => void;
}

function planPictures(): CanvasPlan[] {
  const { count, seed, weights } = RECIPE.pictures;
  return planCanvases(openImages('train'), count, new Random(seed), weights);
}

const keyOf = (index: number) => `${index}.f16`;

async function trainParts(work: Work): Promise<boolean> {
  const instances = await trainInstances(work);
  const decoder = instances && (await trainDecoder(work));
  return decoder !== undefined && (await trainLate(work, instances as Weights, decoder));
}

async function encodePictures({ runtime, pictures, prompts, stages, over, log }: Work): Promise<boolean> {
  const plans = planPictures();
  const { encoder: file, encoderInput } = resolveModel('vit_t');
  const { bytes, outputs } = encoderWithEarlyFeatures(await fetchBytesInNode(file.url), [...EARLY, STAGE_NAME]);
  const kept = await Promise.all([pictures, prompts, stages].map(async (store) => new Set(await listKeys(store))));
  const encoder = await ImageEncoder.create(runtime, bytes, encoderInput, outputs);
  try {
    for (const [index, plan] of plans.entries()) {
      const key = keyOf(index);
      if (kept.every((keys) => keys.has(key))) continue;
      if (over()) return false;
      const canvas = await makeCanvas(plan);
      const encoded = await encoder.encode(canvas.image, { early: true });
      await cacheCanvas(pictures, key, canvas, encoded);
      await cachePrompts(prompts, key, canvas, encoded);
      await cacheStage(stages, key, canvas, encoded);
      if (index % 10 === 9) log(`picture ${index + 1} of ${plans.length}`);
    }
    return true;
  } finally {
    await encoder.release();
  }
}

function trainInstances(work: Work): Promise<Weights | undefined> {
  return trainRounds(work, 'instances', RECIPE.instances, undefined, ({ seed, phaseContrast }) =>
    InstanceObjective.create(work.runtime, work.pictures, keysOf(phaseContrast), { seed }),
  );
}

async function trainDecoder(work: Work): Promise<Weights | undefined> {
  const { runtime, prompts } = work;
  const file = await fetchBytesInNode(resolveModel('vit_t').decoder.url);
  const decoder = trainableDecoder(readModel(file), new Set(['mask_decoder']));
  const options = { objects: 4, rounds: RECIPE.prompts };
  return trainRounds(
    work,
    'decoder',
    RECIPE.decoder,
    decoder.weights,
    async ({ seed, phaseContrast }) =>
      new PromptObjective(runtime, decoder, prompts, keysOf(phaseContrast), { ...options, seed }),
  );
}

/** @param instances, decoder weights as they are on the embedding as it was; `vit_t` keeps this instance decoder */
async function trainLate(work: Work, instances: Weights, decoderWeights: Weights): Promise<boolean> {
  const { runtime, folder } = work;
  const stock = resolveModel('vit_t');
  const write = (file: string, model: OnnxModel) => writeWhole(path.join(folder, file), writeModel(model));
  write('vit_t-instances.onnx', lightDecoderModel(instances));
  const encoder = readModel(await fetchBytesInNode(stock.encoder.url));
  const late = lateStage(encoder);
  const decoder = trainableDecoder(readModel(await fetchBytesInNode(stock.decoder.url)), new Set(['mask_decoder']));
  const start = joined({ late: late.weights, decoder: decoderWeights, instances });
  const { round, averaged, share } = RECIPE.late;
  const keys = keysOf(round.phaseContrast);
  const lists = { stages: keys.map((key) => `stages/${key}`), canvases: keys.map((key) => `pictures/${key}`) };
  const options = { seed: round.seed, rounds: RECIPE.prompts };
  const objective = await JointObjective.create(
    runtime,
    late,
    decoder,
    { store: folderStore(folder), ...lists },
    options,
  );
  const last = await trainRound(work, 'late', round, objective, start, averaged).finally(() => objective.release());
  if (!last) return false;
  const kept = averaged.map((step) => weightsOf(new Uint8Array(readFileSync(stepFile(work, 'late', step)))));
  const weights = new Map(
    [...start].map(([name, before]) => [
      name,
      between(
        before,
        kept.map((each) => each.get(name) as Float32Array),
        share,
      ),
    ]),
  );
  write('msi_lm-late.onnx', encoderDelta(encoder, partOf(weights, 'late')));
  write('msi_lm-decoder.onnx', withWeights(decoder, partOf(weights, 'decoder')));
  write('msi_lm-instances.onnx', lightDecoderModel(partOf(weights, 'instances')));
  return true;
}

type ReleasableObjective = Objective & { release(): Promise<void> };

/** @returns the weights of the last round, if there was time for it */
async function trainRounds(
  work: Work,
  name: string,
  rounds: readonly Round[],
  start: Weights | undefined,
  objectiveOf: (round: Round) => Promise<ReleasableObjective>,
): Promise<Weights | undefined> {
  let weights = start;
  for (const [index, round] of rounds.entries()) {
    const objective = await objectiveOf(round);
    try {
      weights = await trainRound(work, `${name}-${index + 1}`, round, objective, weights);
    } finally {
      await objective.release();
    }
    if (!weights) return undefined;
  }
  return weights;
}

/** From `before` to the mean of `after`, so much of the way. */
function between(before: Float32Array, after: readonly Float32Array[], share: number): Float32Array {
  return before.map(
    (value, i) => value + share * (after.reduce((sum, each) => sum + each[i], 0) / after.length - value),
  );
}

function stepFile({ folder }: Work, name: string, step: number): string {
  return path.join(folder, `${name}-${step}.safetensors`);
}

/** Steps between two checkpoints. */
const ROW = 25;

/** @param kept steps whose weights are kept in files of their own */
async function trainRound(
  work: Work,
  name: string,
  round: Round,
  objective: Objective,
  start: Weights | undefined,
  kept: readonly number[] = [],
): Promise<Weights | undefined> {
  const ofDecoder = (parameter: string) => (/iou_prediction_head/.test(parameter) ? RECIPE.iouHead : 1);
  const rateOf = name.startsWith('late') ? jointRate : ofDecoder;
  const trainer = new Trainer(objective, { ...round, rateOf }, start);
  const { folder, over, log } = work;
  const state = path.join(folder, `${name}.safetensors`);
  if (existsSync(state)) trainer.resume(new Uint8Array(readFileSync(state)));
  let sum = 0;
  while (!trainer.done && !over()) {
    sum += await trainer.advance();
    if (kept.includes(trainer.step))
      writeWhole(stepFile(work, name, trainer.step), weightsFile(objective.parameters, trainer.weights, {}));
    if (trainer.step % ROW !== 0 && !trainer.done) continue;
    log(`${name}, step ${trainer.step} of ${round.steps}, loss ${(sum / ROW).toFixed(4)}`);
    writeWhole(state, trainer.checkpoint());
    sum = 0;
  }
  writeWhole(state, trainer.checkpoint());
  return trainer.done ? trainer.weights : undefined;
}

/** @param times that a picture of phase contrast is in the list */
function keysOf(times: number): string[] {
  const plans = planPictures();
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
