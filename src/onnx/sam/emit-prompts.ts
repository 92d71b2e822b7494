import type { GraphBuilder } from '../builder.js';
import { imagePositions } from './positions.js';
import { type Convolution, type Norm, PIXELS, type SamDecoderWeights, WIDTH } from './weights.js';

/** The prompt encoder: points and labels → tokens, mask → dense embedding, and the positional encoding of both. */

/** → [B, 5 + N, 256]: output tokens, then one token per point. Points are xy in the 1024 square. */
export function emitTokens(
  g: GraphBuilder,
  { prompt, outputTokens }: SamDecoderWeights,
  coords: string,
  labels: string,
) {
  const centred = g.node('Sub', [g.mul(g.add(coords, g.scalar(0.5)), g.scalar(2 / 1024)), g.scalar(1)]);
  const gaussian = g.constant('gaussian', [2, 128], prompt.gaussian.data);
  const angles = g.mul(g.matMul(centred, gaussian), g.scalar(2 * Math.PI));
  const encoding = g.node('Concat', [g.node('Sin', [angles]), g.node('Cos', [angles])], { axis: -1 });
  // Row l + 1 of the table is the embedding of label l; label -1 has no position.
  const table = new Float32Array(5 * WIDTH);
  for (const [label, embedding] of prompt.labels) table.set(embedding.data, (label + 1) * WIDTH);
  const rows = g.node('Cast', [g.add(labels, g.scalar(1))], { to: 7 });
  const embedded = g.node('Gather', [g.constant('labels', [5, WIDTH], table), rows], { axis: 0 });
  const placed = g.node('Cast', [g.node('Greater', [labels, g.scalar(-0.5)])], { to: 1 });
  const points = g.add(g.mul(encoding, g.node('Unsqueeze', [placed, g.ints(2)])), embedded);
  const batch = g.node('Slice', [g.node('Shape', [coords]), g.ints(0), g.ints(1)]);
  const shape = g.node('Concat', [batch, g.ints(5, WIDTH)], { axis: 0 });
  const output = g.node('Expand', [g.constant('output_tokens', [1, 5, WIDTH], outputTokens.data), shape]);
  return g.node('Concat', [output, points], { axis: 1 });
}

/**
 * A mask alone has no point, and no padding point either, in segment-anything's `PromptEncoder`; exports to ONNX, which
 * take at least one point, differ. [B, 5 + N, 256], or [B, 5, 256] where no label [B, N] is more than padding.
 */
export function withoutLonePadding(g: GraphBuilder, tokens: string, labels: string): string {
  const highest = g.reshape(g.node('ReduceMax', [labels], { keepdims: 0 }), 1);
  const counted = g.node('Cast', [g.node('Greater', [highest, g.scalar(-0.5)])], { to: 7 });
  const points = g.mul(counted, g.node('Slice', [g.node('Shape', [labels]), g.ints(1), g.ints(2)]));
  return g.node('Slice', [tokens, g.ints(0), g.add(points, g.ints(5)), g.ints(1)]);
}

/** The positional encoding of the embedding's 64 x 64 cells: [1, 4096, 256], a constant. */
export function emitImagePositions(g: GraphBuilder, { prompt }: SamDecoderWeights): string {
  return g.constant('image_positions', [1, PIXELS, WIDTH], () => imagePositions(prompt.gaussian.data));
}

/** Mask logits [B, 1, 256, 256] → dense embedding [B, 256, 64, 64]. */
export function emitDense(g: GraphBuilder, { prompt }: SamDecoderWeights, mask: string): string {
  const [conv0, norm1, conv3, norm4, conv6] = prompt.maskDownscaling;
  const convolve = (x: string, name: string, { weight, bias }: Convolution, size: number) =>
    g.node('Conv', [x, g.weight(`${name}.weight`, weight), g.weight(`${name}.bias`, bias)], {
      kernel_shape: [size, size],
      strides: [size, size],
    });
  const normalise = (x: string, name: string, { weight, bias, epsilon }: Norm) => {
    const width = weight.data.length;
    const last = g.layerNorm(
      g.transpose(x, 0, 2, 3, 1),
      g.constant(`${name}.weight`, [width], weight.data),
      g.constant(`${name}.bias`, [width], bias.data),
      epsilon,
    );
    return g.gelu(g.transpose(last, 0, 3, 1, 2));
  };
  const half = normalise(convolve(mask, 'mask0', conv0, 2), 'mask1', norm1);
  const quarter = normalise(convolve(half, 'mask3', conv3, 2), 'mask4', norm4);
  return convolve(quarter, 'mask6', conv6, 1);
}
