import type { GraphBuilder } from '../builder.js';
import type { Constant } from '../graph.js';
import { type Convolution, type Linear, PIXELS, type SamDecoderWeights, WIDTH } from './weights.js';

/** From the transformer's results to scores and masks. */

/** tokens [B, T, 256] → predicted IoU [B, 4]. */
export function emitScores(g: GraphBuilder, { iouHead }: SamDecoderWeights, queries: string): string {
  let x = g.reshape(g.slice(queries, 0, 1), -1, WIDTH);
  iouHead.forEach(({ weight, bias }, i) => {
    x = g.node('Gemm', [x, g.weight(`iou${i}.weight`, weight), g.weight(`iou${i}.bias`, bias)]);
    if (i < iouHead.length - 1) x = g.node('Relu', [x]);
  });
  return x;
}

/**
 * The pixels after the transformer, as far as the mask head reads them: what the first transposed convolution makes of a
 * pixel, less its mean over channels. Rows are pixels, columns (sub-pixel row, sub-pixel column, channel of 64).
 */
export interface UpscaledPixels {
  /** Those of the prompts `rows` only. */
  pick(g: GraphBuilder, rows: string): UpscaledPixels;
  /**
   * The same pixels of every prompt, those `at` a constant [R] or all: [K · R, 256]. With `diagonal` only the upper left
   * and the lower right sub-pixel, [K · R, 128].
   */
  same(g: GraphBuilder, options?: { readonly at?: string; readonly diagonal?: boolean }): string;
  /** Of each pixel given as prompt and position, [R, 2]: [R, 256]. */
  each(g: GraphBuilder, at: string): string;
}

/** From pixels [K, 4096, 256]. */
export function upscaledFrom(weights: SamDecoderWeights, keys: string): UpscaledPixels {
  const upscaling = firstUpscaling(weights);
  const upscale = (g: GraphBuilder, pixels: string, part = (x: string, _axis: number) => x) => {
    const weight = part(g.weight('up0.weight', upscaling.weight), 1);
    const bias = part(g.constant('up0.bias', [WIDTH], upscaling.bias), 0);
    return g.node('Gemm', [g.reshape(pixels, -1, WIDTH), weight, bias]);
  };
  return {
    pick: (g, rows) => upscaledFrom(weights, g.node('Gather', [keys, rows], { axis: 0 })),
    same(g, { at, diagonal } = {}) {
      const pixels = at === undefined ? keys : g.node('Gather', [keys, at], { axis: 1 });
      return upscale(g, pixels, diagonal ? (x, axis) => diagonalOf(g, x, axis) : undefined);
    },
    each: (g, at) => upscale(g, g.node('GatherND', [keys, at])),
  };
}

/** Of the 4 · 64 columns along an axis, those of the upper left and the lower right sub-pixel. */
export function diagonalOf(g: GraphBuilder, x: string, axis: number): string {
  return g.node('Concat', [g.slice(x, 0, 64, axis), g.slice(x, 192, 256, axis)], { axis });
}

/** Pixel [256] → [256], see `UpscaledPixels`. */
export function firstUpscaling({ upscaling: [up0] }: SamDecoderWeights): { weight: Constant; bias: Float32Array } {
  return subPixels(centred(up0));
}

/** tokens [K, T, 256] and pixels → logits [K, 4, 256, 256]. */
export function emitMaskHead(
  g: GraphBuilder,
  weights: SamDecoderWeights,
  queries: string,
  pixels: UpscaledPixels,
): string {
  const networks = emitSpreadNetworks(g, emitHypernetworks(g, weights, queries));
  const features = g.reshape(emitCellFeatures(g, weights, pixels.same(g)), -1, 4 * PIXELS, 128);
  return emitCellsInPlace(g, g.matMul(features, networks));
}

/**
 * Upscaled pixels [R, n · 64] → their features [n R, 128]. A transposed convolution with stride 2 and kernel 2 is a
 * matrix product per pixel whose four results are the sub-pixels, and the norm between the two is per pixel as well: each
 * of the 64 x 64 cells has its own 4 x 4 logits, whatever its neighbours are. Rows are (cell, i, j), columns
 * (k row, k column, channel), for the logit at 4 cell + 2 (i, j) + k.
 */
export function emitCellFeatures(g: GraphBuilder, weights: SamDecoderWeights, cells: string): string {
  const [, norm1, up3] = weights.upscaling;
  const normed = g.centredNorm(
    g.reshape(cells, -1, 64),
    g.constant('up1.weight', [64], norm1.weight.data),
    g.constant('up1.bias', [64], norm1.bias.data),
    norm1.epsilon,
  );
  const { weight, bias } = subPixels(up3);
  const product = g.matMul(g.gelu(normed), g.weight('up3.weight', weight));
  const second = g.gelu(g.add(product, g.constant('up3.bias', [bias.length], bias)));
  return g.reshape(second, -1, 128);
}

/** [K, 32, 4 masks] on the diagonal of the 4 sub-pixels: [K, 4 k · 32, 4 k · 4 masks]. */
export function emitSpreadNetworks(g: GraphBuilder, networks: string): string {
  const diagonal = Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0));
  const columns = g.node('Unsqueeze', [networks, g.ints(1, 3)]);
  return g.reshape(g.mul(columns, g.constant('diagonal', [4, 1, 4, 1], diagonal)), -1, 128, 16);
}

/**
 * [K, 4096 · 64] in the order cell, i, j, k row, k column, mask → logits [K, 4, 256, 256]. The sub-pixels are put in their
 * places only here, when there are 4 masks and not 64 channels.
 */
export function emitCellsInPlace(g: GraphBuilder, cells: string): string {
  const split = g.reshape(cells, -1, 64, 64, 2, 2, 2, 2, 4);
  return g.reshape(g.transpose(split, 0, 7, 1, 3, 5, 2, 4, 6), -1, 4, 256, 256);
}

/** The same convolution with the mean over output channels taken off its result. */
function centred({ weight, bias }: Convolution): Convolution {
  const [inputs, outputs] = weight.dims;
  const data = weight.data.slice();
  for (let i = 0; i < inputs; i++)
    for (let k = 0; k < 4; k++) {
      let sum = 0;
      for (let o = 0; o < outputs; o++) sum += data[(i * outputs + o) * 4 + k];
      for (let o = 0; o < outputs; o++) data[(i * outputs + o) * 4 + k] -= sum / outputs;
    }
  const mean = bias.data.reduce((sum, value) => sum + value, 0) / outputs;
  return {
    weight: { dims: weight.dims, data },
    bias: { dims: bias.dims, data: bias.data.map((value) => value - mean) },
  };
}

/** Weight [in, out, 2, 2] → [in, 4 out], columns by sub-pixel, then channel. */
function subPixels({ weight, bias }: Convolution): { weight: Constant; bias: Float32Array } {
  const [inputs, outputs] = weight.dims;
  const columns = new Float32Array(weight.data.length);
  for (let i = 0; i < inputs; i++)
    for (let o = 0; o < outputs; o++)
      for (let k = 0; k < 4; k++) columns[(i * 4 + k) * outputs + o] = weight.data[(i * outputs + o) * 4 + k];
  const biases = new Float32Array(4 * outputs);
  for (let k = 0; k < 4; k++) biases.set(bias.data, k * outputs);
  return { weight: { dims: [inputs, 4 * outputs], data: columns }, bias: biases };
}

/** The four networks side by side, on the four mask tokens. → [K, 32, 4]. */
export function emitHypernetworks(g: GraphBuilder, { hypernetworks }: SamDecoderWeights, queries: string): string {
  let x = g.transpose(g.slice(queries, 1, 5), 1, 0, 2); // [4, K, 256]
  const depth = hypernetworks[0].length;
  for (let layer = 0; layer < depth; layer++) {
    const parts = hypernetworks.map((network) => network[layer]);
    const [inputs, outputs] = parts[0].weight.dims;
    const weight = g.constant(`hyper${layer}.weight`, [4, inputs, outputs], join(parts, 'weight'));
    x = g.add(g.matMul(x, weight), g.constant(`hyper${layer}.bias`, [4, 1, outputs], join(parts, 'bias')));
    if (layer < depth - 1) x = g.node('Relu', [x]);
  }
  return g.transpose(x, 1, 2, 0);
}

function join(parts: readonly Linear[], key: 'weight' | 'bias'): Float32Array {
  const result = new Float32Array(parts.length * parts[0][key].data.length);
  parts.forEach((part, i) => {
    result.set(part[key].data, i * part[key].data.length);
  });
  return result;
}
