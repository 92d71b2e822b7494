import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Store } from '../../src/io/store.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import { encoderWithEarlyFeatures } from '../../src/model/early-features.js';
import { ImageEncoder } from '../../src/model/image-encoder.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import { resolveModel } from '../../src/model/registry.js';
import type { OrtRuntime } from '../../src/model/runtime.js';
import { writeModel } from '../../src/onnx/write.js';
import { type CanvasPlan, makeCanvas, planCanvases } from '../../src/training/canvas.js';
import { cacheCanvas, EARLY } from '../../src/training/instances/feature-cache.js';
import { InstanceObjective } from '../../src/training/instances/instance-objective.js';
import { lightDecoderModel } from '../../src/training/instances/light-decoder.js';
import type { Weights } from '../../src/training/parameters.js';
import { Random } from '../../src/training/random.js';
import { Trainer } from '../../src/training/trainer.js';
import { openImages } from './training-data.js';

/**
 * The recipe of msi_lm: pictures made of the open images and encoded once by MobileSAM's encoder, then the instance decoder
 * trained on their features from random weights. Every part is seeded, and goes on where it was.
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
  /** Each round goes on from the weights of the one before. */
  instances: [
    { steps: 5500, learningRate: 2e-3, clip: 5, seed: 3, oftener: {} },
    // Phase contrast, a tenth of the pictures, is learned last: it is a third of them here.
    { steps: 2400, learningRate: 1e-3, clip: 5, seed: 4, oftener: { 'usiigaci 1022x1024': 5 } },
  ],
} as const;

type Round = (typeof RECIPE.instances)[number];

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
  const done = (await encodePictures(work)) && (await trainInstances(work));
  if (!done) work.log('# paused; the same command goes on');
  return done ? 0 : 3;
}

interface Work {
  readonly folder: string;
  readonly runtime: OrtRuntime;
  readonly pictures: Store;
  /** The time is up. */
  readonly over: () => boolean;
  readonly log: (text: string) => void;
}

function planPictures(): CanvasPlan[] {
  const { count, seed, weights } = RECIPE.pictures;
  return planCanvases(openImages('train'), count, new Random(seed), weights);
}

const keyOf = (index: number) => `${index}.f16`;

async function encodePictures({ runtime, pictures, over, log }: Work): Promise<boolean> {
  const plans = planPictures();
  const { encoder: file, encoderInput } = resolveModel('vit_t');
  const { bytes, outputs } = encoderWithEarlyFeatures(await fetchBytesInNode(file.url), EARLY);
  const present = new Set(await listKeys(pictures));
  const encoder = await ImageEncoder.create(runtime, bytes, encoderInput, outputs);
  try {
    for (const [index, plan] of plans.entries()) {
      if (present.has(keyOf(index))) continue;
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

const ROW = 25;

async function trainInstances(work: Work): Promise<boolean> {
  let weights: Weights | undefined;
  for (const [index, round] of RECIPE.instances.entries()) {
    const trained = await trainRound(work, index + 1, round, weights);
    if (!trained) return false;
    weights = trained;
  }
  if (weights) writeWhole(path.join(work.folder, 'instances.onnx'), writeModel(lightDecoderModel(weights)));
  return true;
}

/** @returns the weights of the last step, if there was time for it */
async function trainRound(
  { folder, runtime, pictures, over, log }: Work,
  number: number,
  round: Round,
  start: Weights | undefined,
): Promise<Weights | undefined> {
  const objective = await InstanceObjective.create(runtime, pictures, keysOf(round.oftener), { seed: round.seed });
  const trainer = new Trainer(objective, round, start);
  const state = path.join(folder, `instances-${number}.safetensors`);
  if (existsSync(state)) trainer.resume(new Uint8Array(readFileSync(state)));
  let sum = 0;
  try {
    while (!trainer.done && !over()) {
      sum += await trainer.advance();
      if (trainer.step % ROW !== 0 && !trainer.done) continue;
      log(`instances, round ${number}, step ${trainer.step} of ${round.steps}, loss ${(sum / ROW).toFixed(4)}`);
      writeWhole(state, trainer.checkpoint());
      sum = 0;
    }
    writeWhole(state, trainer.checkpoint());
  } finally {
    await objective.release();
  }
  return trainer.done ? trainer.weights : undefined;
}

/** @param oftener how many times pictures of one image are in the list, by the kind of that image; else once */
function keysOf(oftener: Readonly<Record<string, number>>): string[] {
  const plans = planPictures();
  const times = ({ sources }: CanvasPlan) => (sources.length === 1 ? (oftener[sources[0].kind] ?? 1) : 1);
  const most = Math.max(1, ...Object.values(oftener));
  return Array.from({ length: most }, (_, turn) =>
    plans.flatMap((plan, index) => (times(plan) > turn ? [keyOf(index)] : [])),
  ).flat();
}

/** Never half a file, whenever the process ends. */
function writeWhole(file: string, bytes: Uint8Array): void {
  writeFileSync(`${file}.new`, bytes);
  renameSync(`${file}.new`, file);
}
