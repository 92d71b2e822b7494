import type { Store } from '../io/store.js';
import { encoderWithEarlyFeatures } from '../model/early-features.js';
import { changedWeights, encoderDelta, encoderWithDelta } from '../model/encoder-delta.js';
import { ImageEncoder } from '../model/image-encoder.js';
import type { ModelFile, ModelSpec, ObjectSizes } from '../model/model-spec.js';
import type { OrtRuntime } from '../model/runtime.js';
import type { OnnxModel } from '../onnx/model.js';
import { readModel } from '../onnx/read.js';
import type { TaskOptions } from '../task.js';
import { lateStage, STAGE_NAME } from './encoder/late-stage.js';
import { lowRank } from './encoder/low-rank.js';
import { wholeEncoder } from './encoder/trainable-encoder.js';
import { EARLY } from './instances/feature-cache.js';
import { weightsOfLightDecoder } from './instances/light-decoder.js';
import { instanceScore } from './instances/validation.js';
import { changedEncoder, jointScore } from './joint/validation.js';
import { objectSizesOf, type TrainingImage } from './labelled-image.js';
import type { Weights } from './parameters.js';
import { type DecoderPart, trainableDecoder } from './prompts/mask-decoder.js';
import { type PointScores, scorePointsByInstances } from './prompts/points-by-instances.js';
import { type PromptScores, promptScores, scoreOfPrompts } from './prompts/validation.js';
import { RestingEncoder } from './resting-encoder.js';
import {
  type EncoderPart,
  encoderPart,
  type LearnedPart,
  TRAINED_PARTS,
  type TrainedPart,
  type TrainingSettings,
} from './settings.js';
import { learnedOfEncoder, type ModelTraining, type TrainedModel, trainModel } from './train-model.js';
import { type ValidationPicture, validationPictures } from './validation-pictures.js';

/** Trains parts of a model by its declaration: its files are read, and what they hold is what training goes on from. */
export interface PartsTraining {
  readonly model: ModelSpec;
  readonly parts: ReadonlySet<TrainedPart>;
  /** Begin the instance decoder with random weights, even if the model has one. */
  readonly fromScratch?: boolean;
  /** @param goesOn whether the instance decoder goes on from trained weights */
  readonly settings: (goesOn: boolean) => TrainingSettings;
  readonly training: readonly TrainingImage[];
  /** To score on; may be empty. */
  readonly heldBack: readonly TrainingImage[];
}

/** Where a training runs. */
export interface TrainingPlace {
  readonly runtime: OrtRuntime;
  readonly load: (file: ModelFile, task: TaskOptions) => Promise<Uint8Array>;
  /** Holds the features and the state of the run. */
  readonly store: Store;
}

export type TrainingListener = Pick<ModelTraining, 'onStep' | 'onAdvance' | 'hand'>;

export interface TrainedParts extends TrainedModel {
  /** Of the encoder, if it or its late part was trained. */
  readonly delta?: OnnxModel;
  readonly settings: TrainingSettings;
  /** Of what was trained on, if there were enough objects. */
  readonly objectSizes?: ObjectSizes;
  /** As measured on what was kept back, if the instance decoder was trained. */
  readonly points?: PointScores;
  /** Of images that were kept back, if the instance decoder was trained. */
  readonly pictures: readonly ValidationPicture[];
  /** What each part began with. */
  readonly started: Readonly<Record<LearnedPart, string>>;
}

const LEARNING = {
  late: lateStage,
  full: wholeEncoder,
  lora: (...encoder: Parameters<typeof wholeEncoder>) => lowRank(wholeEncoder(...encoder)),
};

export async function trainParts(
  { model, parts, fromScratch = false, settings: settingsOf, training, heldBack }: PartsTraining,
  { runtime, load, store }: TrainingPlace,
  listener: TrainingListener = {},
  task: TaskOptions = {},
): Promise<TrainedParts> {
  const files = await readFiles(model, load, task);
  const instances = fromScratch || !parts.has('instances') ? undefined : files.instances;
  const settings = settingsOf(instances !== undefined);
  const learnsDecoder = parts.has('mask_decoder') || parts.has('prompt_encoder');
  const decoder = learnsDecoder ? files.decoder : undefined;
  const part = encoderPart(parts);
  const learning = part && LEARNING[part](readModel(files.encoder), model);
  const encoder = new RestingEncoder(() => encoderOf(runtime, files.encoder, model, parts));
  const prompted = promptScores(runtime, encoder, heldBack);
  let known: PromptScores | undefined;
  const before = async (inner: TaskOptions) => {
    known ??= await prompted(files.decoder, inner);
    return known;
  };
  try {
    const trained = await trainModel(
      {
        runtime,
        encoder,
        images: training,
        store,
        parts,
        instances,
        ...(decoder && { decoder }),
        ...(learning && { learning }),
        settings,
        ...(heldBack.length > 0 && {
          scores: {
            instances() {
              const score = instanceScore(runtime, encoder, heldBack);
              return (...given) => encoder.during(() => score(...given));
            },
            decoder: (trained, inner) =>
              encoder.during(async () => scoreOfPrompts(await prompted(trained, inner), await before(inner))),
            ...(part && decoder && { joint: jointScore(runtime, files.encoder, model, decoder, heldBack, before) }),
          },
        }),
        ...listener,
      },
      task,
    );
    const ofEncoder = learnedOfEncoder(trained);
    const changed = ofEncoder && new Map([...files.changed, ...ofEncoder.weights]);
    const delta = changed && encoderDelta(readModel(await load(model.encoder, task)), changed);
    const [own, { name }] = [instances ? model.name : 'random weights', model];
    const started = { instances: own, decoder: name, late: name, full: name, lora: name };
    const objectSizes = await objectSizesOf(training, task);
    const about = { ...(delta && { delta }), ...(objectSizes && { objectSizes }), settings, started };
    if (!trained.instances || heldBack.length === 0) return { ...trained, ...about, pictures: [] };
    const now = ofEncoder ? await changedEncoder(runtime, files.encoder, model, ofEncoder.weights) : encoder;
    try {
      const learned = { encoder: now, instances: trained.instances.weights };
      const before = instances && { encoder, instances };
      const pictures = await validationPictures(runtime, heldBack, { before, after: learned }, task);
      const networks = { ...learned, model, decoder: trained.decoder?.model ?? files.decoder, objectSizes };
      const points = await scorePointsByInstances(runtime, networks, heldBack, task);
      return { ...trained, ...about, pictures, points };
    } finally {
      if (now instanceof ImageEncoder) await now.release();
    }
  } finally {
    await encoder.rest();
  }
}

/** Which parts of a model can be trained: those built on encoders or decoders of another kind cannot. */
export async function trainableParts(
  model: ModelSpec,
  load: TrainingPlace['load'],
  task: TaskOptions = {},
): Promise<Set<TrainedPart>> {
  const { encoder, decoder } = await readFiles(model, load, task);
  const can = (part: TrainedPart): boolean => {
    try {
      if (part === 'instances') encoderWithEarlyFeatures(encoder, EARLY, model.earlyFeatures);
      else if (part in LEARNING) LEARNING[part as EncoderPart](readModel(encoder), model);
      else return trainableDecoder(decoder, new Set([part as DecoderPart])).parameters.length > 0;
      return true;
    } catch {
      return false;
    }
  };
  return new Set(TRAINED_PARTS.filter(can));
}

interface Files {
  /** With what earlier training changed of it. */
  readonly encoder: Uint8Array;
  /** The weights that it changed. */
  readonly changed: Weights;
  readonly decoder: OnnxModel;
  /** Of the model's own instance decoder, if it is of the kind that is trained here. */
  readonly instances?: Weights;
}

async function readFiles(model: ModelSpec, load: TrainingPlace['load'], task: TaskOptions): Promise<Files> {
  const { encoder, encoderDelta: delta, decoder, instances } = model;
  const base = await load(encoder, task);
  const difference = delta && (await load(delta, task));
  const whole = difference ? encoderWithDelta(base, difference) : base;
  const weights = instances && weightsOfLightDecoder(readModel(await load(instances, task)));
  return {
    encoder: whole,
    changed: difference ? changedWeights(whole, difference) : new Map(),
    decoder: readModel(await load(decoder, task)),
    ...(weights && { instances: weights }),
  };
}

/** One that gives besides the embedding what the parts that learn take. */
async function encoderOf(
  runtime: OrtRuntime,
  file: Uint8Array,
  { encoderInput, earlyFeatures }: ModelSpec,
  parts: ReadonlySet<TrainedPart>,
): Promise<ImageEncoder> {
  const early = [...(parts.has('instances') ? EARLY : []), ...(parts.has('late') ? [STAGE_NAME] : [])];
  const { bytes, outputs } = encoderWithEarlyFeatures(file, early, earlyFeatures);
  return ImageEncoder.create(runtime, bytes, encoderInput, outputs);
}
