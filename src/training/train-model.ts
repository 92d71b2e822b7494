import { SamError } from '../errors.js';
import type { Store } from '../io/store.js';
import type { OrtRuntime } from '../model/runtime.js';
import type { OnnxModel } from '../onnx/model.js';
import type { TaskOptions } from '../task.js';
import { type CanvasPlan, FINETUNING_SHARES, makeCanvas, planCanvases } from './canvas.js';
import type { TrainableEncoder } from './encoder/trainable-encoder.js';
import { cacheCanvas, cachedCanvas } from './instances/feature-cache.js';
import { InstanceObjective } from './instances/instance-objective.js';
import { JointObjective, type JointPart, type JointWeights, joined, partOf } from './joint/joint-objective.js';
import { type JointPictures, keptPictures, madePictures } from './joint/joint-pictures.js';
import { cachedStage, cacheStage } from './joint/stage-cache.js';
import type { Encoding, TrainingImage } from './labelled-image.js';
import { type Learned, type Learning, learn, type Score, type TrainingHand, type TrainingRow } from './learn.js';
import type { Weights } from './parameters.js';
import { type DecoderPart, trainableDecoder, withWeights } from './prompts/mask-decoder.js';
import { cachedPrompts, cachePrompts } from './prompts/prompt-cache.js';
import { PromptObjective } from './prompts/prompt-objective.js';
import { Random } from './random.js';
import {
  canvasCount,
  type EncoderPart,
  encoderPart,
  TRAINED_PARTS,
  type TrainedPart,
  type TrainingPhase,
  type TrainingSettings,
} from './settings.js';

/**
 * Trains parts of a model on annotated images: canvases are made and encoded once, then the decoders are trained on their
 * features, one after the other, as they share no weights. The encoder or its late part, if it is to learn, learns at last,
 * together with both decoders; the whole encoder on pictures of their own that are made when it is their turn. Everything is kept in `store` as it comes to be, so that a run that was stopped goes on
 * where it was.
 */
export interface ModelTraining {
  readonly runtime: OrtRuntime;
  /**
   * For `instances` one that gives the early features that the decoder takes (`EARLY`), for `late` also `STAGE_NAME`. It may
   * rest once the pictures are encoded.
   */
  readonly encoder: Encoding & { readonly rest?: () => Promise<void> };
  readonly images: readonly TrainingImage[];
  /** Holds the features (18 MB a canvas for instances, 2 MB for prompts, 1.4 MB for the late part), the state, and the best weights. */
  readonly store: Store;
  readonly parts: ReadonlySet<TrainedPart>;
  /** An instance decoder to go on from; without one, from random weights. */
  readonly instances?: Weights;
  /** The mask decoder to go on from, for `mask_decoder` and `prompt_encoder`. */
  readonly decoder?: OnnxModel;
  /** The encoder to go on from for `full`, its late part for `late`. */
  readonly learning?: TrainableEncoder;
  readonly settings: TrainingSettings;
  readonly scores?: {
    /** Made when the instance decoder learns; what it keeps goes with it. */
    readonly instances: () => Score;
    /** @param file of the decoder with the weights */
    readonly decoder: (decoder: OnnxModel, task: TaskOptions) => Promise<number>;
    /** Of all three together. */
    readonly joint?: (weights: JointWeights, task: TaskOptions) => Promise<number>;
  };
  readonly onStep?: (row: TrainingRow) => void;
  /** Called after each picture and each step. */
  readonly onAdvance?: (phase: TrainingPhase, done: number, total: number) => void;
  /** Ended early, what has not begun to learn stays as it is. */
  readonly hand?: TrainingHand;
}

export interface TrainedModel {
  readonly instances?: Learned;
  readonly decoder?: Learned & { readonly model: OnnxModel };
  /** Weights of the late part of the encoder; the decoders' are those that were learned with it. */
  readonly late?: Learned;
  /** Of the whole encoder, in the same way. */
  readonly full?: Learned;
  /** Of its attention, to which small changes were learned. */
  readonly lora?: Learned;
}

/** What was learned of the encoder, in whichever way; one at most. */
export function learnedOfEncoder({ late, full, lora }: TrainedModel): Learned | undefined {
  return late ?? full ?? lora;
}

export async function trainModel(training: ModelTraining, task: TaskOptions = {}): Promise<TrainedModel> {
  const { images, settings, parts } = training;
  if (images.length === 0) throw new SamError('invalid_argument', 'There are no annotated images to train on.');
  if (parts.size === 0) throw new SamError('invalid_argument', `Name a part to train: ${TRAINED_PARTS.join(', ')}.`);
  const part = encoderPart(parts);
  const plans = planCanvases(
    images,
    canvasCount(settings, images.length),
    new Random(settings.seed),
    settings.kindWeights,
    FINETUNING_SHARES,
  );
  await cacheCanvases(training, plans, task);
  await training.encoder.rest?.();
  const goesOn = () => !training.hand?.enough?.aborted;
  const instances = parts.has('instances') && goesOn() ? await trainInstances(training, plans.length, task) : undefined;
  const learnsDecoder = decoderParts(parts).size > 0 && goesOn();
  const decoder = learnsDecoder ? await trainDecoder(training, plans.length, task) : undefined;
  if (part && instances && decoder && goesOn())
    return trainEncoder(training, part, plans.length, { instances, decoder }, task);
  return { ...(instances && { instances }), ...(decoder && { decoder }) };
}

const canvasKey = (index: number) => `canvases/${index}.f16`;
const promptKey = (index: number) => `prompts/${index}.f16`;
const stageKey = (index: number) => `stages/${index}.f16`;

function decoderParts(parts: ReadonlySet<TrainedPart>): Set<DecoderPart> {
  return new Set((['mask_decoder', 'prompt_encoder'] as const).filter((part) => parts.has(part)));
}

async function cacheCanvases(
  { store, encoder, parts, hand, onAdvance }: ModelTraining,
  plans: readonly CanvasPlan[],
  { signal, onProgress }: TaskOptions,
): Promise<void> {
  const forInstances = parts.has('instances');
  const forPrompts = decoderParts(parts).size > 0;
  for (const [index, plan] of plans.entries()) {
    signal?.throwIfAborted();
    await hand?.rest?.();
    if (hand?.enough?.aborted) return;
    const missing = {
      instances: forInstances && !(await cachedCanvas(store, canvasKey(index))),
      prompts: forPrompts && !(await cachedPrompts(store, promptKey(index))),
      late: parts.has('late') && !(await cachedStage(store, stageKey(index))),
    };
    if (!Object.values(missing).includes(true)) continue;
    const canvas = await makeCanvas(plan, { signal });
    const encoded = await encoder.encode(canvas.image, { early: missing.instances || missing.late });
    if (missing.instances) await cacheCanvas(store, canvasKey(index), canvas, encoded);
    if (missing.prompts) await cachePrompts(store, promptKey(index), canvas, encoded);
    if (missing.late) await cacheStage(store, stageKey(index), canvas, encoded);
    onAdvance?.('pictures', index + 1, plans.length);
    onProgress?.({ done: index + 1, total: plans.length, message: `Encoded picture ${index + 1} of ${plans.length}` });
  }
}

async function trainInstances(training: ModelTraining, canvases: number, task: TaskOptions): Promise<Learned> {
  const { runtime, store, settings, scores } = training;
  const keys = Array.from({ length: canvases }, (_, index) => canvasKey(index));
  const objective = await InstanceObjective.create(runtime, store, keys, { seed: settings.seed });
  try {
    const options = { ...settings.instances, clip: 5, seed: settings.seed };
    const common = commonOf(training);
    return await learn(
      { ...common, name: 'instances', objective, options, start: training.instances, score: scores?.instances() },
      advancing(training, 'instances', task),
    );
  } finally {
    await objective.release();
  }
}

/** The head that tells which of the masks is best is the weak part of SAM on micrographs, and starts far off. */
const IOU_HEAD = { name: /iou_prediction_head/, factor: 5 } as const;

/** What is annotated are whole objects: the mask that is shown of a single point learns to be one, not only the best of three. */
const SHOWN = 0.5;

/** With one picture a step, steps are restless: weights that score well at one of them may score badly at the next. */
const AVERAGED = { average: 0.999 } as const;

async function trainDecoder(training: ModelTraining, canvases: number, task: TaskOptions) {
  const { runtime, store, settings, scores, decoder: model, parts } = training;
  if (!model) throw new SamError('invalid_argument', 'Give the mask decoder that the training goes on from.');
  const decoder = trainableDecoder(model, decoderParts(parts));
  const keys = Array.from({ length: canvases }, (_, index) => promptKey(index));
  const objective = new PromptObjective(runtime, decoder, store, keys, { seed: settings.seed, shown: SHOWN });
  try {
    const rateOf = (parameter: string) => (IOU_HEAD.name.test(parameter) ? IOU_HEAD.factor : 1);
    const options = { ...settings.decoder, clip: 1, seed: settings.seed, rateOf, ...AVERAGED };
    const score: Score | undefined =
      scores && ((weights, inner) => scores.decoder(withWeights(decoder, weights), inner));
    const learned = await learn(
      { ...commonOf(training), name: 'decoder', objective, options, start: decoder.weights, score },
      advancing(training, 'decoder', task),
    );
    return { ...learned, model: withWeights(decoder, learned.weights) };
  } finally {
    await objective.release();
  }
}

/**
 * Factors on the learning rate of the encoder: the instance decoder is small and learns fast, the mask decoder has been
 * trained long.
 */
const JOINT_RATES: Readonly<Record<JointPart, number>> = { late: 1, encoder: 1, lora: 5, decoder: 0.5, instances: 5 };

/** Where the random numbers of pictures that are made at their step begin, apart from those of the others. */
const FRESH = -2;

/** @param heads the decoders as they are after they were trained on the embedding as it was */
async function trainEncoder(
  training: ModelTraining,
  part: EncoderPart,
  canvases: number,
  heads: Required<Pick<TrainedModel, 'instances' | 'decoder'>>,
  task: TaskOptions,
): Promise<TrainedModel> {
  const { runtime, settings, scores, learning: encoder } = training;
  if (!encoder) throw new SamError('invalid_argument', 'Give the encoder that the training goes on from.');
  const { seed, pictures = 1 } = settings;
  const decoder = trainableDecoder(heads.decoder.model, decoderParts(training.parts));
  const source = part === 'late' ? cachedPictures(training, canvases) : freshPictures(training, part, task);
  const objective = await JointObjective.create(runtime, encoder, decoder, source, { seed, pictures, shown: SHOWN });
  try {
    const score = scores?.joint;
    const learned = await learn(
      {
        ...commonOf(training),
        name: part,
        objective,
        options: { ...settings[part], clip: Number.POSITIVE_INFINITY, seed, rateOf: jointRate, ...AVERAGED },
        start: joined({
          [encoder.part]: encoder.weights,
          decoder: decoder.weights,
          instances: heads.instances.weights,
        }),
        score: score && ((weights, inner) => score(partsOf(weights, encoder), inner)),
      },
      advancing(training, part, task),
    );
    const weights = partsOf(learned.weights, encoder);
    return {
      [part]: { ...learned, weights: weights.encoder },
      instances: { ...heads.instances, weights: weights.instances },
      decoder: {
        ...heads.decoder,
        weights: weights.decoder,
        model: withWeights(decoder, weights.decoder),
      },
    };
  } finally {
    await objective.release();
  }
}

/** Pictures that the encoder has not met yet, as many as there are steps for. */
function freshPictures(
  { images, settings, learning }: ModelTraining,
  part: EncoderPart,
  { signal }: TaskOptions,
): JointPictures {
  const { seed, pictures = 1, kindWeights } = settings;
  const count = settings[part].steps * pictures;
  const plans = planCanvases(images, count, Random.ofStep(seed, FRESH), kindWeights, FINETUNING_SHARES);
  const pictureOf = (index: number) => makeCanvas(plans[index], { signal });
  return madePictures({ count, pictureOf, seed, encoderInput: learning?.encoderInput });
}

function cachedPictures({ store }: ModelTraining, canvases: number): JointPictures {
  const indices = Array.from({ length: canvases }, (_, index) => index);
  return keptPictures({ store, stages: indices.map(stageKey), canvases: indices.map(canvasKey) });
}

function partsOf(weights: Weights, { part, ofFile = (own) => own }: TrainableEncoder): JointWeights {
  return {
    encoder: ofFile(partOf(weights, part)),
    decoder: partOf(weights, 'decoder'),
    instances: partOf(weights, 'instances'),
  };
}

/** @param parameter with its part, as in `joined` */
export function jointRate(parameter: string): number {
  const [part] = parameter.split('/', 1) as [JointPart];
  return JOINT_RATES[part] * (IOU_HEAD.name.test(parameter) ? IOU_HEAD.factor : 1);
}

/** Few objects are scored, and steps are restless: what is so little behind is no worse. */
const TOLERANCE = 0.01;

function commonOf({
  store,
  settings,
  onStep,
  hand,
}: ModelTraining): Pick<Learning, 'store' | 'scores' | 'patience' | 'tolerance' | 'onStep' | 'hand'> {
  const { scores, patience } = settings;
  return { store, scores, patience, tolerance: TOLERANCE, onStep, hand };
}

/** The same task, which also tells `onAdvance`. */
function advancing({ onAdvance }: ModelTraining, phase: TrainingPhase, task: TaskOptions): TaskOptions {
  return {
    signal: task.signal,
    onProgress(progress) {
      onAdvance?.(phase, progress.done, progress.total);
      task.onProgress?.(progress);
    },
  };
}
