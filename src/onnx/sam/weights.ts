import type { Constant } from '../graph.js';

/** The parameters of SAM's prompt encoder and mask decoder, named as in the paper's code. */
export interface SamDecoderWeights {
  readonly prompt: {
    /** [2, 128], rows x and y. */
    readonly gaussian: Constant;
    /** [256] each, by label: -1 not a point, 0 negative, 1 positive, 2 and 3 the box corners. */
    readonly labels: ReadonlyMap<number, Constant>;
    readonly noMask: Constant;
    readonly maskDownscaling: readonly [Convolution, Norm, Convolution, Norm, Convolution];
  };
  /** [1, 5, 256]: the IoU token and the four mask tokens. */
  readonly outputTokens: Constant;
  readonly layers: readonly [TwoWayLayer, TwoWayLayer];
  readonly finalAttention: Attention;
  readonly finalNorm: Norm;
  readonly upscaling: readonly [Convolution, Norm, Convolution];
  /** One per mask token: 256 → 256 → 256 → 32. */
  readonly hypernetworks: readonly (readonly Linear[])[];
  /** 256 → 256 → 256 → 4. */
  readonly iouHead: readonly Linear[];
}

export interface TwoWayLayer {
  readonly selfAttention: Attention;
  readonly tokenToImage: Attention;
  readonly mlp: readonly [Linear, Linear];
  readonly imageToToken: Attention;
  /** After self-attention, token-to-image, mlp, image-to-token. */
  readonly norms: readonly [Norm, Norm, Norm, Norm];
}

export interface Attention {
  readonly q: Linear;
  readonly k: Linear;
  readonly v: Linear;
  readonly out: Linear;
}

export interface Linear {
  /** [in, out]. */
  readonly weight: Constant;
  readonly bias: Constant;
}

export interface Convolution {
  readonly weight: Constant;
  readonly bias: Constant;
}

export interface Norm {
  readonly weight: Constant;
  readonly bias: Constant;
  readonly epsilon: number;
}

export const HEADS = 8;
/** Channels of keys, values and tokens. */
export const WIDTH = 256;
/** Channels inside the attention between tokens and image. */
export const CROSS_WIDTH = 128;
/** Pixels of the embedding, 64 x 64. */
export const PIXELS = 4096;
