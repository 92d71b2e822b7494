import { SamError } from '../errors.js';

/** What a training consists of, and how long each of its parts is: what pages need to know without the trainer. */

/** What learns, in this order, each for itself but for the encoder, its late part or the whole, with which both decoders do. */
export const LEARNED_PARTS = ['instances', 'decoder', 'late', 'full', 'lora'] as const;
export type LearnedPart = (typeof LEARNED_PARTS)[number];

/** What a training does: pictures are made and encoded, then one part learns after the other. */
export const TRAINING_PHASES = ['pictures', ...LEARNED_PARTS] as const;
export type TrainingPhase = (typeof TRAINING_PHASES)[number];

/**
 * What can be trained: the instance decoder, parts of SAM, named as in micro-sam, and the late part of the encoder or the
 * whole, or small changes beside its weights (LoRA).
 */
export const TRAINED_PARTS = ['instances', 'mask_decoder', 'prompt_encoder', 'late', 'full', 'lora'] as const;
export type TrainedPart = (typeof TRAINED_PARTS)[number];

/** Those that change the embedding, of which a training has one at most. */
export const ENCODER_PARTS = ['late', 'full', 'lora'] as const;
export type EncoderPart = (typeof ENCODER_PARTS)[number];

/**
 * @returns the part of the encoder that is to learn, if any
 * @throws SamError `invalid_argument` for parts that do not go together
 */
export function encoderPart(parts: ReadonlySet<TrainedPart>): EncoderPart | undefined {
  const [part, another] = ENCODER_PARTS.filter((each) => parts.has(each));
  if (another !== undefined)
    throw new SamError(
      'invalid_argument',
      `The parts ${ENCODER_PARTS.join(', ')} exclude each other: each changes the encoder in its own way. Name one of them.`,
    );
  if (part !== undefined && !(parts.has('instances') && parts.has('mask_decoder')))
    throw new SamError(
      'invalid_argument',
      `The part ${part} changes the embedding, which both decoders build on: name instances,mask_decoder,${part}.`,
    );
  return part;
}

export interface TrainingSettings {
  /** Canvases to make; more show the images in more ways, and take 1.5 to 2 seconds of work each. */
  readonly canvases: number;
  readonly instances: Rate;
  readonly decoder: Rate;
  /** Of the late part; the decoders learn along with it at rates of their own. */
  readonly late: Rate;
  /** Of the whole encoder, in the same way. */
  readonly full: Rate;
  /** Of the changes beside its weights, in the same way. */
  readonly lora: Rate;
  /** Pictures in a step in which the encoder learns; 1 if absent. */
  readonly pictures?: number;
  readonly seed: number;
  /** Times that weights are scored on the way. */
  readonly scores: number;
  /** Stops when so many scores in a row were behind the best. */
  readonly patience: number;
  /** Factor on the share of a kind of images. */
  readonly kindWeights?: Readonly<Record<string, number>>;
}

export interface Rate {
  readonly steps: number;
  readonly learningRate: number;
}

/** Canvases for few images show each in at most so many ways. */
const WAYS = 12;

/** Steps that fit the time a person has: minutes, a coffee, a night's sleep. Measured in docs/training.md. */
export const PRESETS = {
  quick: { canvases: 24, instances: 150, decoder: 60, late: 20, full: 20, lora: 20, scores: 3 },
  better: { canvases: 64, instances: 600, decoder: 240, late: 80, full: 80, lora: 80, scores: 6 },
  best: { canvases: 400, instances: 2400, decoder: 960, late: 320, full: 320, lora: 320, scores: 6 },
} as const;
export type Preset = keyof typeof PRESETS;

/**
 * Instead of these where arithmetic is several times slower, in a web page: some three minutes on one image, of clicks and boxes
 * alone (`partsOfPreset`). Measured in docs/training.md.
 */
const SLOW = { quick: { canvases: 6, decoder: 16, scores: 2 } } as const;

/** There, strips of so many images at most are kept back: each is scored three times, and takes about what a step does. */
export const SLOW_STRIPS = 8;

/** Those of a preset where what is computed takes its usual time, or several times as long. */
export interface Pace {
  readonly slow?: boolean;
}

/** @param fromStart whether a trained instance decoder is gone on from */
export function presetSettings(
  preset: Preset,
  fromStart: boolean,
  { seed = 1, slow = false }: Pace & { readonly seed?: number } = {},
): TrainingSettings {
  const short = slow && preset === 'quick' ? SLOW.quick : {};
  const { canvases, instances, decoder, late, full, lora, scores } = { ...PRESETS[preset], ...short };
  return {
    canvases,
    instances: { steps: instances, learningRate: fromStart ? 1e-3 : 2e-3 },
    decoder: { steps: decoder, learningRate: 1e-4 },
    late: { steps: late, learningRate: 1e-4 },
    full: { steps: full, learningRate: 1e-4 },
    lora: { steps: lora, learningRate: 1e-4 },
    seed,
    scores,
    patience: 4,
  };
}

/** Pictures that are made of so many images. */
export function canvasCount({ canvases }: Pick<TrainingSettings, 'canvases'>, images: number): number {
  return Math.min(canvases, WAYS * images);
}
