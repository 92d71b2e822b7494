import type { GraphBuilder } from '../builder.js';
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

/** tokens [K, T, 256] and pixels [K, 4096, 256] → logits [K, 4, 256, 256]. */
export function emitMaskHead(g: GraphBuilder, weights: SamDecoderWeights, queries: string, keys: string): string {
  const networks = emitSpreadNetworks(g, emitHypernetworks(g, weights, queries));
  const features = g.reshape(emitCellFeatures(g, weights, g.reshape(keys, -1, WIDTH)), -1, 4 * PIXELS, 128);
  return emitCellsInPlace(g, g.matMul(features, networks));
}

/**
 * Pixels of the embedding [R, 256] → their features [4 R, 128]. A transposed convolution with stride 2 and kernel 2 is a
 * matrix product per pixel whose four results are the sub-pixels, and the norm between the two is per pixel as well: each
 * of the 64 x 64 cells has its own 4 x 4 logits, whatever its neighbours are. Rows are (cell, i, j), columns
 * (k row, k column, channel), for the logit at 4 cell + 2 (i, j) + k.
 */
export function emitCellFeatures(g: GraphBuilder, weights: SamDecoderWeights, cells: string): string {
  const [up0, norm1, up3] = weights.upscaling;
  const first = g.node('Gemm', [cells, ...subPixels(g, 'up0', centred(up0))]);
  const normed = g.centredNorm(
    g.reshape(first, -1, 64),
    g.constant('up1.weight', [64], norm1.weight.data),
    g.constant('up1.bias', [64], norm1.bias.data),
    norm1.epsilon,
  );
  const [weight, bias] = subPixels(g, 'up3', up3);
  const second = g.gelu(g.add(g.matMul(g.gelu(normed), weight), bias));
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
function subPixels(g: GraphBuilder, name: string, { weight, bias }: Convolution): [string, string] {
  const [inputs, outputs] = weight.dims;
  const columns = new Float32Array(weight.data.length);
  for (let i = 0; i < inputs; i++)
    for (let o = 0; o < outputs; o++)
      for (let k = 0; k < 4; k++) columns[(i * 4 + k) * outputs + o] = weight.data[(i * outputs + o) * 4 + k];
  const biases = new Float32Array(4 * outputs);
  for (let k = 0; k < 4; k++) biases.set(bias.data, k * outputs);
  return [
    g.constant(`${name}.weight`, [inputs, 4 * outputs], columns),
    g.constant(`${name}.bias`, [4 * outputs], biases),
  ];
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
