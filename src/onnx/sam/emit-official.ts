import { GraphBuilder } from '../builder.js';
import type { OnnxModel } from '../model.js';
import { emitDense, emitImagePositions } from './emit-prompts.js';
import { type Attention, HEADS, type Linear, type Norm, PIXELS, type SamDecoderWeights, WIDTH } from './weights.js';

/**
 * SAM's prompt encoder and mask decoder as a graph of the official signature (segment_anything/utils/onnx.py, 1.0), with
 * all four masks at 256 x 256 and their scores; nothing is selected or enlarged. It is the form in which a model is kept:
 * other programs can run it, and when it is opened here it is recognised and written anew (emit.ts), which is faster.
 *
 * @returns image_embeddings [1, 256, 64, 64], point_coords [B, N, 2] in the 1024 square, point_labels [B, N],
 *   mask_input [B, 1, 256, 256], has_mask_input [1] → low_res_masks [B, 4, 256, 256], iou_predictions [B, 4]
 */
export function emitOfficialDecoder(weights: SamDecoderWeights): OnnxModel {
  const g = new GraphBuilder();
  const image = g.input('image_embeddings', [1, WIDTH, 64, 64]);
  const coords = g.input('point_coords', ['B', 'N', 2]);
  const labels = g.input('point_labels', ['B', 'N']);
  const mask = g.input('mask_input', ['M', 1, 256, 256]);
  const hasMask = g.input('has_mask_input', [1]);
  const decoder = new Decoder(g);
  const batch = g.node('Slice', [g.node('Shape', [coords]), g.ints(0), g.ints(1)]);
  const spread = (x: string, ...shape: number[]) =>
    g.node('Expand', [x, g.node('Concat', [batch, g.ints(...shape)], { axis: 0 })]);

  const output = spread(g.constant('output_tokens', [1, 5, WIDTH], weights.outputTokens.data), 5, WIDTH);
  const tokens = g.node('Concat', [output, emitPoints(g, weights, coords, labels)], { axis: 1 });
  const noMask = g.constant('no_mask', [1, WIDTH, 1, 1], weights.prompt.noMask.data);
  const dense = g.add(
    g.mul(emitDense(g, weights, mask), hasMask),
    g.mul(g.node('Sub', [g.scalar(1), hasMask]), noMask),
  );
  const source = g.add(spread(image, WIDTH, 64, 64), dense);
  const pixels = g.transpose(g.reshape(source, 0, WIDTH, PIXELS), 0, 2, 1);
  const { queries, keys } = decoder.transform(weights, tokens, pixels, emitImagePositions(g, weights));

  const token = (index: number) => g.reshape(g.slice(queries, index, index + 1), 0, WIDTH);
  const logits = emitMasks(decoder, weights, [1, 2, 3, 4].map(token), keys);
  g.output('low_res_masks', logits, ['B', 4, 256, 256]);
  g.output('iou_predictions', decoder.perceptron('iou', weights.iouHead, token(0)), ['B', 4]);
  return g.finish('sam_decoder');
}

/** Σ over labels of [label = l] · embedding, and the encoding of where the point is unless its label is -1. */
function emitPoints(g: GraphBuilder, { prompt }: SamDecoderWeights, coords: string, labels: string): string {
  const centred = g.node('Sub', [g.mul(g.add(coords, g.scalar(0.5)), g.scalar(2 / 1024)), g.scalar(1)]);
  const projected = g.matMul(centred, g.constant('gaussian', [2, 128], prompt.gaussian.data));
  const angles = g.mul(projected, g.scalar(2 * Math.PI));
  const encoding = g.node('Concat', [g.node('Sin', [angles]), g.node('Cos', [angles])], { axis: -1 });
  const column = g.node('Unsqueeze', [labels, g.ints(2)]);
  const placed = g.node('Cast', [g.node('Greater', [column, g.scalar(-0.5)])], { to: 1 });
  let sum = g.mul(encoding, placed);
  for (const [label, embedding] of prompt.labels) {
    const is = g.node('Cast', [g.node('Equal', [column, g.scalar(label)])], { to: 1 });
    sum = g.add(sum, g.mul(is, g.constant(`label ${label}`, [WIDTH], embedding.data)));
  }
  return sum;
}

function emitMasks(decoder: Decoder, weights: SamDecoderWeights, tokens: readonly string[], keys: string): string {
  const { g } = decoder;
  const [up0, norm, up3] = weights.upscaling;
  const grid = g.reshape(g.transpose(keys, 0, 2, 1), 0, WIDTH, 64, 64);
  const enlarge = (x: string, name: string, { weight, bias }: typeof up0) =>
    g.node('ConvTranspose', [x, g.weight(`${name}.weight`, weight), g.weight(`${name}.bias`, bias)], {
      kernel_shape: [2, 2],
      strides: [2, 2],
    });
  const normed = decoder.norm('up1', norm, g.transpose(enlarge(grid, 'up0', up0), 0, 2, 3, 1));
  const upscaled = g.gelu(enlarge(g.gelu(g.transpose(normed, 0, 3, 1, 2)), 'up3', up3));
  const networks = tokens.map((token, i) =>
    g.node('Unsqueeze', [decoder.perceptron(`hyper${i}`, weights.hypernetworks[i], token), g.ints(1)]),
  );
  const masks = g.matMul(g.node('Concat', networks, { axis: 1 }), g.reshape(upscaled, 0, 32, 256 * 256));
  return g.reshape(masks, 0, 4, 256, 256);
}

class Decoder {
  constructor(readonly g: GraphBuilder) {}

  /** The two-way transformer. tokens [B, T, 256], pixels [B, 4096, 256]. */
  transform(weights: SamDecoderWeights, tokens: string, pixels: string, positions: string) {
    const { g } = this;
    let [queries, keys] = [tokens, pixels];
    weights.layers.forEach((layer, i) => {
      const name = `layer${i}`;
      // The first layer neither adds the positions of the tokens nor keeps what it was given.
      const q = i === 0 ? queries : g.add(queries, tokens);
      const own = this.attention(`${name}.self`, layer.selfAttention, q, q, queries);
      queries = this.norm(`${name}.norm1`, layer.norms[0], i === 0 ? own : g.add(queries, own));
      const placed = g.add(keys, positions);
      const seen = this.attention(`${name}.cross`, layer.tokenToImage, g.add(queries, tokens), placed, keys);
      queries = this.norm(`${name}.norm2`, layer.norms[1], g.add(queries, seen));
      const mlp = this.perceptron(`${name}.mlp`, layer.mlp, queries);
      queries = this.norm(`${name}.norm3`, layer.norms[2], g.add(queries, mlp));
      const back = this.attention(`${name}.back`, layer.imageToToken, placed, g.add(queries, tokens), queries);
      keys = this.norm(`${name}.norm4`, layer.norms[3], g.add(keys, back));
    });
    const q = g.add(queries, tokens);
    const last = this.attention('final', weights.finalAttention, q, g.add(keys, positions), keys);
    return { queries: this.norm('final.norm', weights.finalNorm, g.add(queries, last)), keys };
  }

  norm(name: string, { weight, bias, epsilon }: Norm, x: string): string {
    const flat = (part: string, data: Float32Array) => this.g.constant(`${name}.${part}`, [data.length], data);
    return this.g.layerNorm(x, flat('weight', weight.data), flat('bias', bias.data), epsilon);
  }

  perceptron(name: string, layers: readonly Linear[], x: string): string {
    layers.forEach((layer, i) => {
      x = this.linear(`${name}${i}`, layer, i === 0 ? x : this.g.node('Relu', [x]));
    });
    return x;
  }

  private attention(name: string, { q, k, v, out }: Attention, ...[queries, keys, values]: string[]): string {
    const { g } = this;
    const width = q.bias.data.length;
    const depth = width / HEADS;
    const split = (part: string, linear: Linear, x: string) =>
      g.transpose(g.reshape(this.linear(`${name}.${part}`, linear, x), 0, -1, HEADS, depth), 0, 2, 1, 3);
    const scaled = g.mul(split('q', q, queries), g.scalar(1 / Math.sqrt(depth)));
    const scores = g.matMul(scaled, g.transpose(split('k', k, keys), 0, 1, 3, 2));
    const mixed = g.transpose(g.matMul(g.softmax(scores), split('v', v, values)), 0, 2, 1, 3);
    return this.linear(`${name}.out`, out, g.reshape(mixed, 0, -1, width));
  }

  private linear(name: string, { weight, bias }: Linear, x: string): string {
    return this.g.add(this.g.matMul(x, this.g.weight(`${name}.weight`, weight)), this.g.weight(`${name}.bias`, bias));
  }
}
