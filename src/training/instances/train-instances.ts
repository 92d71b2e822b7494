import { SamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import type { ImageEncoder } from '../../model/image-encoder.js';
import type { OrtRuntime } from '../../model/runtime.js';
import type { Progress, TaskOptions } from '../../task.js';
import { type CanvasPlan, makeCanvas, planCanvases } from '../canvas.js';
import type { TrainingImage } from '../labelled-image.js';
import type { Weights } from '../parameters.js';
import { Random } from '../random.js';
import { readSafetensors } from '../safetensors.js';
import { Trainer, weightsFile, weightsOf } from '../trainer.js';
import { cacheCanvas, cachedCanvas } from './feature-cache.js';
import { InstanceObjective } from './instance-objective.js';
import { DECODER_PARAMETERS } from './light-decoder.js';

/**
 * Trains a light instance decoder on annotated images, the encoder frozen: canvases are made and encoded once, then the
 * decoder is trained on their features. Everything is kept in `store` as it comes to be, so that a run that was stopped
 * goes on where it was.
 */
export interface InstanceTraining {
  readonly runtime: OrtRuntime;
  /** Gives the early features that the decoder takes (`EARLY`). */
  readonly encoder: ImageEncoder;
  readonly images: readonly TrainingImage[];
  /** Holds the features (18 MB a canvas), the state, and the best weights. */
  readonly store: Store;
  /** A decoder to go on from; without one, from random weights. */
  readonly start?: Weights;
  readonly settings: InstanceTrainingSettings;
  /** How good weights are on images that are not trained on; higher is better. Without it the last weights are the best. */
  readonly score?: (weights: Weights, task: TaskOptions) => Promise<number>;
  /** Called when a step is done, and with `accuracy` where it was scored. */
  readonly onStep?: (row: TrainingRow) => void;
}

export interface InstanceTrainingSettings {
  readonly steps: number;
  /** Canvases to make; more show the images in more ways, and take 1.5 to 2 seconds of work each. */
  readonly canvases: number;
  readonly learningRate: number;
  readonly seed: number;
  /** Times that weights are scored on the way. */
  readonly scores: number;
  /** Stops when so many scores in a row were no better than the best. */
  readonly patience: number;
  /** Factor on the share of a kind of images. */
  readonly kindWeights?: Readonly<Record<string, number>>;
}

export interface TrainingRow {
  readonly step: number;
  /** Mean since the last row. */
  readonly loss: number;
  readonly accuracy?: number;
}

export interface TrainedDecoder {
  readonly weights: Weights;
  /** The step of these weights, which scored best. */
  readonly step: number;
  readonly accuracy?: number;
}

/** Canvases for few images show each in at most so many ways. */
const WAYS = 12;

/** Steps that fit the time a person has: minutes, a coffee, a night's sleep. Measured in docs/training.md. */
export const PRESETS = {
  quick: { steps: 150, canvases: 16 },
  better: { steps: 600, canvases: 64 },
  best: { steps: 2400, canvases: 400 },
} as const;
export type Preset = keyof typeof PRESETS;

/** @param fromStart whether a trained decoder is gone on from */
export function presetSettings(preset: Preset, fromStart: boolean, seed = 1): InstanceTrainingSettings {
  return { ...PRESETS[preset], learningRate: fromStart ? 1e-3 : 2e-3, seed, scores: 6, patience: 3 };
}

export async function trainInstances(training: InstanceTraining, task: TaskOptions = {}): Promise<TrainedDecoder> {
  const { runtime, images, store, settings } = training;
  if (images.length === 0) throw new SamError('invalid_argument', 'There are no annotated images to train on.');
  const count = Math.min(settings.canvases, WAYS * images.length);
  const plans = planCanvases(images, count, new Random(settings.seed), settings.kindWeights);
  const keys = await cacheCanvases(training, plans, task);
  const objective = await InstanceObjective.create(runtime, store, keys, { seed: settings.seed });
  try {
    return await learn(training, objective, task);
  } finally {
    await objective.release();
  }
}

const keyOf = (index: number) => `canvases/${index}.f16`;

async function cacheCanvases(
  { store, encoder }: InstanceTraining,
  plans: readonly CanvasPlan[],
  { signal, onProgress }: TaskOptions,
): Promise<string[]> {
  for (const [index, plan] of plans.entries()) {
    signal?.throwIfAborted();
    if (await cachedCanvas(store, keyOf(index))) continue;
    await cacheCanvas(store, keyOf(index), await makeCanvas(plan, { signal }), encoder);
    onProgress?.({ done: index + 1, total: plans.length, message: `Encoded picture ${index + 1} of ${plans.length}` });
  }
  return plans.map((_, index) => keyOf(index));
}

/** Keys of the state of a run. */
const STATE = 'state.safetensors';
const BEST = 'best.safetensors';
/** Steps between two checkpoints. */
const CHECKPOINT = 25;

async function learn(
  training: InstanceTraining,
  objective: InstanceObjective,
  task: TaskOptions,
): Promise<TrainedDecoder> {
  const { store, settings, start } = training;
  const trainer = new Trainer(objective, { ...settings, clip: 5 }, start);
  const state = await store.get(STATE);
  if (state) trainer.resume(state);
  const best = new Best(store, settings.patience);
  await best.load();
  const every = Math.max(1, Math.floor(settings.steps / settings.scores));
  let [sum, count] = [0, 0];
  while (!trainer.done && !best.stale) {
    const loss = await trainer.advance(task);
    sum += loss;
    count++;
    const { step } = trainer;
    const isScored = training.score !== undefined && (step % every === 0 || trainer.done);
    const accuracy = isScored ? await training.score?.(trainer.weights, task) : undefined;
    if (accuracy !== undefined) await best.offer(trainer.weights, step, accuracy);
    if (isScored || step % CHECKPOINT === 0 || trainer.done) {
      await store.set(STATE, trainer.checkpoint());
      training.onStep?.({ step, loss: sum / count, accuracy });
      [sum, count] = [0, 0];
    }
    task.onProgress?.(progressOf(step, settings.steps, loss, best));
  }
  return best.found ?? { weights: trainer.weights, step: trainer.step };
}

function progressOf(step: number, steps: number, loss: number, { found }: Best): Progress {
  const score = found?.accuracy === undefined ? '' : `, best accuracy ${found.accuracy.toFixed(3)}`;
  return { done: step, total: steps, message: `Step ${step} of ${steps}, loss ${loss.toFixed(3)}${score}` };
}

/** The weights that scored best so far, and how long ago that was. */
class Best {
  found: TrainedDecoder | undefined;
  private since = 0;

  constructor(
    private readonly store: Store,
    private readonly patience: number,
  ) {}

  /** Scoring on would be of no use. */
  get stale(): boolean {
    return this.since >= this.patience;
  }

  async load(): Promise<void> {
    const file = await this.store.get(BEST);
    if (!file) return;
    const { metadata } = readSafetensors(file);
    this.since = Number(metadata.since);
    this.found = { weights: weightsOf(file), step: Number(metadata.step), accuracy: Number(metadata.accuracy) };
  }

  async offer(weights: Weights, step: number, accuracy: number): Promise<void> {
    if (this.found?.accuracy !== undefined && accuracy <= this.found.accuracy) this.since++;
    else {
      this.since = 0;
      this.found = { weights: new Map([...weights].map(([name, values]) => [name, values.slice()])), step, accuracy };
    }
    await this.save();
  }

  private async save(): Promise<void> {
    if (!this.found) return;
    const { weights, step, accuracy } = this.found;
    const metadata = { step: String(step), accuracy: String(accuracy), since: String(this.since) };
    await this.store.set(BEST, weightsFile(DECODER_PARAMETERS, weights, metadata));
  }
}
