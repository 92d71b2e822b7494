import { SamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import { halfSizeImage } from '../../model/instance-decoder.js';
import { type EncoderInput, SAM_ENCODER_INPUT } from '../../model/model-spec.js';
import { encoderTensor } from '../../model/transforms.js';
import type { LabelImage } from '../../ndimage/array.js';
import { fromHalf, toHalf } from '../../ndimage/half.js';
import { CANVAS_SIDE, type Canvas } from '../canvas.js';
import { type CanvasFeatures, cachedCanvas, targetsOf } from '../instances/feature-cache.js';
import { maskGrid } from '../kept-canvas.js';
import type { PromptStart } from '../prompts/prompt-objective.js';
import { inTurn, type Random } from '../random.js';
import { cachedStage } from './stage-cache.js';

/** A picture for the encoder, or its part that learns, and for both decoders. */
export interface JointPicture {
  /** What the first stage that learns takes. */
  readonly input: Float32Array;
  /** To be prompted; without any, only the instance decoder learns from it. */
  readonly objects?: readonly PromptStart[];
  /** What the instance decoder is trained on; early features only where they do not change. */
  readonly features: Pick<CanvasFeatures, 'img' | 'target'> & Partial<CanvasFeatures>;
}

/** Where the pictures of a step come from. */
export interface JointPictures {
  /**
   * @param position of the picture in the training, counted from 0; always the same for the same position and random numbers
   * @param choose the objects to be prompted, of labels [256, 256]
   */
  draw(position: number, random: Random, choose: ChooseObjects): Promise<JointPicture>;
}

type ChooseObjects = (labels: LabelImage) => PromptStart[] | undefined;

/**
 * Pictures that were encoded once, up to where the encoder learns: each kept by `cacheStage` and by `cacheCanvas`, at the same
 * position of both lists.
 */
export interface KeptPictures {
  readonly store: Store;
  readonly stages: readonly string[];
  readonly canvases: readonly string[];
}

export function keptPictures({ store, stages, canvases }: KeptPictures): JointPictures {
  const missing = (key: string) =>
    new SamError('not_found', `The cached canvas ${key} is missing or damaged in ${store.name}.`);
  return {
    async draw(_, random, choose) {
      for (const index of random.shuffled([...stages.keys()])) {
        const sample = await cachedStage(store, stages[index]);
        if (!sample) throw missing(stages[index]);
        const objects = choose(sample.labels);
        if (!objects) continue;
        const features = await cachedCanvas(store, canvases[index]);
        if (!features) throw missing(canvases[index]);
        return { input: sample.features, objects, features };
      }
      throw new SamError(
        'invalid_argument',
        'None of the pictures has an object that is large enough to be trained on.',
      );
    },
  };
}

/** Pictures that are made when it is their turn; of so many none comes twice before all have come. */
export interface MadePictures {
  readonly count: number;
  /** Always the same for the same index. */
  readonly pictureOf: (index: number) => Promise<Canvas>;
  /** Of their order. */
  readonly seed: number;
  /** How the encoder takes them. */
  readonly encoderInput?: EncoderInput;
}

export function madePictures({
  count,
  pictureOf,
  seed,
  encoderInput = SAM_ENCODER_INPUT,
}: MadePictures): JointPictures {
  return {
    async draw(position, _, choose) {
      const canvas = await pictureOf(inTurn(position, count, seed));
      const [image] = halfSizeImage(canvas.image, [CANVAS_SIDE, CANVAS_SIDE], CANVAS_SIDE);
      return {
        input: encoderTensor(canvas.image, encoderInput).data,
        objects: choose(maskGrid(canvas)),
        features: { img: toHalf(image), target: toHalf(targetsOf(canvas)) },
      };
    },
  };
}

/** The embedding of a kept picture as it was when it was encoded. */
export function embeddingBefore({ features }: JointPicture): Float32Array | undefined {
  return features.emb && fromHalf(features.emb);
}
