import type { Size, Tensor } from '../ndimage/array.js';

/** What the encoder gives for one image or tile. */
export interface Embedding {
  /** [1, 256, 64, 64] float32. */
  readonly features: Tensor<Float32Array>;
  /** What the model's instance decoder takes besides, if it was asked for: by name, [1, C, h, w] in half precision. */
  readonly early?: EarlyFeatures;
  /** Finer levels that the mask decoder takes besides (`DecoderLayout.levels`): [1, C, h, w] in half precision. */
  readonly levels?: readonly Tensor<Uint16Array>[];
  /** [h, w] of the resized image inside the 1024 square. */
  readonly inputSize: Size;
  /** [h, w] of the image or tile in its own pixels. */
  readonly originalSize: Size;
  /** Identifies the features, so that a worker that holds them need not be sent them again. */
  readonly id: string;
}

/** Bits of half-precision numbers (ndimage/half.ts). */
export type EarlyFeatures = Readonly<Record<string, Tensor<Uint16Array>>>;

/** What an instance decoder gives for one image or tile. */
export interface InstanceMaps {
  /**
   * [3, h, w] in 0..1: foreground; distance to the object's centre, 0 there and 1 at its far end; distance to its
   * boundary, inverted: 0 in the middle and 1 at the edge. Both are 1 outside objects. [5, h, w]: also a vector (y, x) that
   * points away from where the object's pixels meet.
   */
  readonly maps: Tensor<Float32Array>;
  /** Side of a map pixel in the model's square of 1024; the first h x w of them cover the resized image. */
  readonly cell: number;
  /** [h, w] of the resized image. */
  readonly inputSize: Size;
}

/**
 * A batch of B prompts with N points each, in the model's own frame: (x, y) in the 1024 square, without the +0.5 that
 * the prompt encoder adds. Labels: 1 positive, 0 negative, 2 and 3 box corners, -1 padding. The caller pads; see
 * transforms.ts.
 */
export interface SamPrompts {
  /** [B, N, 2] xy. */
  readonly coords: Float32Array;
  /** [B, N]. */
  readonly labels: Float32Array;
  readonly batch: number;
  readonly points: number;
  /** [B, 1, 256, 256] logits of a previous or drawn mask; absent means none. */
  readonly maskInput?: Float32Array;
}

/** Decoder output. Logits are low resolution; `iou` is the raw score head. */
export interface DecodedMasks {
  /** [K, M, 256, 256]; K = B unless `iouFloor` left prompts out. */
  readonly logits: Float32Array;
  /** [B, M] predicted IoU for all prompts. */
  readonly iou: Float32Array;
  /** Which SAM mask tokens the M masks are: [0, 1, 2, 3], or [1, 2, 3] for exports without the single-mask token. */
  readonly tokens: readonly number[];
  /** For each of the K rows of `logits` the prompt it belongs to. */
  readonly rows: Int32Array;
}

export interface DecodeOptions {
  /**
   * Leave out the mask head for prompts none of whose multimask scores (tokens 1..3) reaches this value: they have a
   * row in `iou` but none in `logits`. Default: decode all.
   */
  readonly iouFloor?: number;
  /** Compute logits only as far as the edges of masks need it. Default: all logits are exact. */
  readonly edges?: EdgeOptions;
}

/**
 * Masks from fewer logits: of the masks wanted, those within some cells of a change of sign, or near to 0, are exact, and
 * the others keep their sign but get a neighbour's value. An island or hole smaller than 12 pixels of the 1024 square may
 * be missed, except near the prompt's points. Decoders that cannot save anything this way ignore it.
 */
export interface EdgeOptions {
  /** SAM's mask tokens; logits of the other masks are not to be used. */
  readonly tokens: readonly number[];
  /**
   * Whether to include masks that reach all four sides of the image, if they are the best of a prompt. (Nearly half of
   * all masks show the background, and take longest.)
   */
  readonly background: boolean;
}

/**
 * Compact candidates for automatic mask generation: scored at 256 x 256, cropped to the mask's box. One entry per kept
 * mask; empty masks are left out.
 */
export interface MaskCandidates {
  readonly count: number;
  /** [B] best multimask score of every prompt asked for, kept or not: says what a lower floor would still bring. */
  readonly bestIou: Float32Array;
  /** Index of the prompt in the request. */
  readonly prompt: Int32Array;
  /** SAM mask token, 1..3. */
  readonly token: Uint8Array;
  readonly iou: Float32Array;
  /** |logits > +1| / |logits > -1| on the low-resolution grid inside the image area. */
  readonly stability: Float32Array;
  /** [count, 4] y0, x0, y1, x1 (exclusive) on the 256 grid, of logits > 0. */
  readonly boxes: Int16Array;
  /** Cropped logits of all candidates, concatenated; crop i covers `crops[i]` (its box grown for interpolation). */
  readonly logits: Float32Array;
  /** [count, 4] y0, x0, y1, x1 on the 256 grid. */
  readonly crops: Int16Array;
}
