/** What a training consists of, and how long each of its parts is: what pages need to know without the trainer. */

/** What a training does, in this order: pictures are made and encoded, then one part learns after the other. */
export const TRAINING_PHASES = ['pictures', 'instances', 'decoder', 'late'] as const;
export type TrainingPhase = (typeof TRAINING_PHASES)[number];

/** What can be trained: the instance decoder, parts of SAM, named as in micro-sam, and the late part of the encoder. */
export const TRAINED_PARTS = ['instances', 'mask_decoder', 'prompt_encoder', 'late'] as const;
export type TrainedPart = (typeof TRAINED_PARTS)[number];

export interface TrainingSettings {
  /** Canvases to make; more show the images in more ways, and take 1.5 to 2 seconds of work each. */
  readonly canvases: number;
  readonly instances: Rate;
  readonly decoder: Rate;
  /** Of the late part; the decoders learn along with it at rates of their own. */
  readonly late: Rate;
  readonly seed: number;
  /** Times that weights are scored on the way. */
  readonly scores: number;
  /** Stops when so many scores in a row were no better than the best. */
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
  quick: { canvases: 16, instances: 150, decoder: 30, late: 20 },
  better: { canvases: 64, instances: 600, decoder: 120, late: 80 },
  best: { canvases: 400, instances: 2400, decoder: 480, late: 320 },
} as const;
export type Preset = keyof typeof PRESETS;

/** @param fromStart whether a trained instance decoder is gone on from */
export function presetSettings(preset: Preset, fromStart: boolean, seed = 1): TrainingSettings {
  const { canvases, instances, decoder, late } = PRESETS[preset];
  return {
    canvases,
    instances: { steps: instances, learningRate: fromStart ? 1e-3 : 2e-3 },
    decoder: { steps: decoder, learningRate: 1e-4 },
    late: { steps: late, learningRate: 1e-4 },
    seed,
    scores: 6,
    patience: 3,
  };
}

/** Pictures that are made of so many images. */
export function canvasCount({ canvases }: Pick<TrainingSettings, 'canvases'>, images: number): number {
  return Math.min(canvases, WAYS * images);
}
