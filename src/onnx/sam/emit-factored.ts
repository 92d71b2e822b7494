import type { GraphBuilder } from '../builder.js';
import type { Constant } from '../graph.js';
import { centredRows, type FactoredImage, positionColumns } from './emit-factored-image.js';
import { diagonalOf, firstUpscaling, type UpscaledPixels } from './emit-heads.js';
import {
  emitLinear,
  emitNorm,
  emitProjectedTokens,
  emitSelfAttention,
  scaled,
  splitHeads,
} from './emit-transformer.js';
import { row, scaleRows, sum, times, transposed } from './fold.js';
import { type Attention, CROSS_WIDTH, HEADS, PIXELS, type SamDecoderWeights, WIDTH } from './weights.js';

/**
 * The two-way transformer without ever making the 4096 x 256 pixels of a prompt. Attention adds to a pixel a mixture, by
 * weights a, of 8 T rows that depend on the tokens; a norm divides it by one number. So with J = 8 T
 *
 *     after the first layer:   (x + aᵀ R) / s1 · γ1 + β1
 *     after the second layer:  (y / s1 + (a / s1)ᵀ S + bᵀ R') / s2 · γ2 + β2
 *
 * where x and y are the image's. Whatever is then multiplied with pixels - keys, values, queries, the first upscaling - is
 * a projection of x or y, which depends on the image alone and is prepared (emit-factored-image.ts), and one of the few
 * rows R, S, R'; and s1², s2² are sums of such products. The cost grows with J², so this is for few points.
 *
 * Mixtures are [B, J, 4096], J = (head, token).
 */
export function emitFactored(
  g: GraphBuilder,
  weights: SamDecoderWeights,
  tokens: string,
  image: FactoredImage,
): { queries: string; pixels: UpscaledPixels } {
  const [first, second] = weights.layers;
  const gamma1 = first.norms[3].weight.data;
  const beta1 = first.norms[3].bias.data;
  const gamma2 = second.norms[3].weight.data;
  const beta2 = second.norms[3].bias.data;
  const length = (index: number) => g.reshape(g.slice(image.lengths, index, index + 1, 0), 1, 1, PIXELS);

  // First layer.
  let queries = emitNorm(
    g,
    emitSelfAttention(g, tokens, tokens, 'layer0.self', first.selfAttention),
    'layer0.norm1',
    first.norms[0],
  );
  const q0 = emitLinear(g, g.add(queries, tokens), 'layer0.t2i.q', first.tokenToImage.q);
  const mixed0 = emitProjectedTokens(g, q0, image.first_k, image.first_v, 'layer0.t2i', first.tokenToImage);
  queries = tokenUpdates(0, mixed0);
  const k0 = tokenHeads(g.add(queries, tokens), 'layer0.i2t.k', first.imageToToken.k);
  const a = tokenSoftmax(g, onPixels(g, k0, image.first_q));
  const v0 = splitHeads(g, emitLinear(g, queries, 'layer0.i2t.v', first.imageToToken.v), CROSS_WIDTH);
  const R = outputRows('layer0', v0, first.imageToToken, first.imageToToken.out.bias.data);

  // C s1² = |x|² + 2 x aᵀR + |aᵀR|².
  const inner1 = g.add(g.mul(onPixels(g, v0, image.first_out), g.scalar(2)), g.matMul(gram(R, R), a));
  const inverse1 = inverseDeviation(g.add(length(0), sumOver(g.mul(a, inner1))), first.norms[3].epsilon);
  const scaledMixture = g.mul(a, inverse1);
  const scaledTurned = g.transpose(scaledMixture, 0, 2, 1);
  const S = g.centre(g.mul(R, g.constant('gamma1', [WIDTH], gamma1)));

  // Second layer.
  const self = emitSelfAttention(g, g.add(queries, tokens), queries, 'layer1.self', second.selfAttention);
  queries = emitNorm(g, g.add(queries, self), 'layer1.norm1', second.norms[0]);
  const q1 = tokenHeads(g.add(queries, tokens), 'layer1.t2i.q', second.tokenToImage.q);
  const logits1 = secondLogits('layer1.t2i.k', q1, image.second_k, second.tokenToImage.k);
  const weights1 = g.softmax(logits1);
  const ofRows1 = mixtureValues(
    g.matMul(weights1, scaledTurned),
    R,
    'layer1.t2i.v',
    scaleRows(second.tokenToImage.v.weight, gamma1),
  );
  const ofImage1 = g.matMul(byHead(g.mul(weights1, inverse1)), image.second_v);
  const bias1 = sum(second.tokenToImage.v.bias.data, times(beta1, second.tokenToImage.v.weight));
  queries = tokenUpdates(1, joined('layer1.t2i', g.add(ofImage1, ofRows1), bias1, second.tokenToImage));
  const k1 = tokenHeads(g.add(queries, tokens), 'layer1.i2t.k', second.imageToToken.k);
  const b = tokenSoftmax(g, secondLogits('layer1.i2t.q', k1, image.second_q, second.imageToToken.q));
  const v1 = splitHeads(g, emitLinear(g, queries, 'layer1.i2t.v', second.imageToToken.v), CROSS_WIDTH);
  const R2 = outputRows('layer1', v1, second.imageToToken, sum(second.imageToToken.out.bias.data, beta1));

  // C s2² = |y / s1 + (a / s1)ᵀ S + bᵀ R'|².
  const twice1 = g.mul(inverse1, g.scalar(2));
  const both = g.node('Concat', [scaledMixture, b], { axis: 1 }); // [B, 2 J, 4096]
  const grams = g.node('Concat', [gram(S, S), g.mul(gram(S, R2), g.scalar(2))], { axis: 2 });
  const ofA = g.add(g.mul(onPixels(g, v0, image.second_first_out), twice1), g.matMul(grams, both));
  const ofB = g.add(g.mul(onPixels(g, v1, image.second_out), twice1), g.matMul(gram(R2, R2), b));
  const alone = g.mul(inverse1, g.add(g.mul(inverse1, length(1)), length(2)));
  const square = g.add(alone, sumOver(g.add(g.mul(scaledMixture, ofA), g.mul(b, ofB))));
  const inverse2 = inverseDeviation(square, second.norms[3].epsilon);
  const inverse12 = g.mul(inverse1, inverse2);
  const turned = g.transpose(b, 0, 2, 1);
  const rows = g.node('Concat', [S, R2], { axis: 1 }); // [B, 2 J, 256]

  // Final attention; only the output tokens are read from here on.
  queries = g.slice(queries, 0, 5);
  const { finalAttention } = weights;
  const qf = tokenHeads(g.add(queries, g.slice(tokens, 0, 5)), 'final.q', finalAttention.q);
  const ofPosition = onPixels(g, qf, placed('final.k', finalAttention.k.weight, beta2));
  const keyRows = headRows(rows, 'final.k.rows', scaleRows(finalAttention.k.weight, gamma2));
  const ofRows = g.matMul(flat(g.matMul(qf, keyRows), rows), both);
  const logits = g.add(g.add(g.mul(onPixels(g, qf, image.final_k), inverse12), g.mul(ofRows, inverse2)), ofPosition);
  const attended = g.softmax(logits); // [B, 40, 4096]
  const attended2 = g.mul(attended, inverse2);
  const mixtures = g.node('Concat', [g.matMul(attended2, scaledTurned), g.matMul(attended2, turned)], { axis: 2 });
  const valuesOfRows = mixtureValues(mixtures, rows, 'final.v', scaleRows(finalAttention.v.weight, gamma2));
  const valuesOfImage = g.matMul(byHead(g.mul(attended, inverse12)), image.final_v);
  const biasF = sum(finalAttention.v.bias.data, times(beta2, finalAttention.v.weight));
  const update = joined('final', g.add(valuesOfImage, valuesOfRows), biasF, finalAttention);
  queries = emitNorm(g, g.add(queries, update), 'final.norm', weights.finalNorm);

  const up = firstUpscaling(weights);
  const pixels = {
    mixtures: [scaledTurned, turned],
    scales: g.transpose(g.node('Concat', [inverse12, inverse2], { axis: 1 }), 0, 2, 1), // [B, 4096, 2]
    rows: g.matMul(rows, g.weight('upscaled.rows', scaleRows(up.weight, gamma2))), // [B, 2 J, 256]
    image: image.upscaled,
    bias: g.constant('upscaled.bias', [WIDTH], sum(up.bias, times(beta2, up.weight))),
  };
  return { queries, pixels: factoredPixels(pixels) };

  /** What follows the attention to the image: its norm, and the perceptron with its own. */
  function tokenUpdates(index: 0 | 1, attention: string): string {
    const { norms, mlp } = weights.layers[index];
    const name = `layer${index}`;
    const x = emitNorm(g, g.add(queries, attention), `${name}.norm2`, norms[1]);
    const hidden = g.node('Relu', [emitLinear(g, x, `${name}.mlp1`, mlp[0])]);
    return emitNorm(g, g.add(x, emitLinear(g, hidden, `${name}.mlp2`, mlp[1])), `${name}.norm3`, norms[2]);
  }

  /** Projected tokens, scaled: [B, 8, T, 16]. */
  function tokenHeads(x: string, name: string, linear: Attention['q']): string {
    return splitHeads(g, scaled(g, emitLinear(g, x, name, linear), CROSS_WIDTH), CROSS_WIDTH);
  }

  /** The rows [B, J, 256] that image-to-token attention mixes, less their mean; `bias` is shared out among the heads. */
  function outputRows(name: string, v: string, { out }: Attention, bias: Float32Array): string {
    const heads = g.constant(`${name}.i2t.out`, [1, HEADS, 16, WIDTH], centredRows(out.weight).data);
    const eighth = centredRows(row(bias.map((value) => value / HEADS))).data;
    return g.add(g.reshape(g.matMul(v, heads), 0, -1, WIDTH), g.constant(`${name}.i2t.bias`, [WIDTH], eighth));
  }

  /** Logits of projected tokens on the pixels after the first layer, positions added. */
  function secondLogits(name: string, heads: string, ofX: string, { weight, bias }: Attention['k']): string {
    const onRows = g.matMul(
      flat(g.matMul(heads, headRows(R, `${name}.rows`, scaleRows(weight, gamma1))), R),
      scaledMixture,
    );
    const onImage = g.mul(onPixels(g, heads, ofX), inverse1);
    return g.add(g.add(onImage, onRows), onPixels(g, heads, placed(name, weight, beta1, bias.data)));
  }

  /** Projection of positions plus `beta`: constants, so ONNX Runtime multiplies once, when it opens the model. */
  function placed(
    name: string,
    weight: Constant,
    beta: Float32Array,
    bias: Float32Array = new Float32Array(CROSS_WIDTH),
  ): string {
    const product = g.matMul(g.weight(`${name}.columns`, transposed(weight)), positionColumns(g, weights));
    const offset = g.constant(`${name}.offset`, [CROSS_WIDTH, 1], sum(bias, times(beta, weight)));
    return g.reshape(g.add(product, offset), 1, HEADS, 16, PIXELS);
  }

  /** Rows [B, J, 256] projected, [B, 8, 16, J]. */
  function headRows(of: string, name: string, weight: Constant): string {
    return g.transpose(g.reshape(g.matMul(of, g.weight(name, weight)), 0, -1, HEADS, 16), 0, 2, 3, 1);
  }

  /** Shares in rows, [B, 8 T, J], → their values [B, 8, T, 16]. */
  function mixtureValues(shares: string, of: string, name: string, weight: Constant): string {
    const values = g.transpose(g.reshape(g.matMul(of, g.weight(`${name}.rows`, weight)), 0, -1, HEADS, 16), 0, 2, 1, 3);
    const shape = g.node('Concat', [g.ints(0, HEADS, -1), rowCount(of)], { axis: 0 });
    return g.matMul(g.node('Reshape', [shares, shape]), values);
  }

  /** [B, 8, T, J] → [B, 8 T, J], with J that of the rows `of`. */
  function flat(x: string, of: string): string {
    return g.node('Reshape', [x, g.node('Concat', [g.ints(0, -1), rowCount(of)], { axis: 0 })]);
  }

  function rowCount(of: string): string {
    return g.node('Slice', [g.node('Shape', [of]), g.ints(1), g.ints(2)]);
  }

  /** Values of the heads [B, 8, T, 16] through the output projection. */
  function joined(name: string, values: string, bias: Float32Array, { out }: Attention): string {
    const x = g.reshape(g.transpose(values, 0, 2, 1, 3), 0, -1, CROSS_WIDTH);
    return emitLinear(g, g.add(x, g.constant(`${name}.v.bias`, [CROSS_WIDTH], bias)), `${name}.out`, out);
  }

  function gram(x: string, y: string): string {
    return g.matMul(x, g.transpose(y, 0, 2, 1));
  }

  function byHead(mixture: string): string {
    return g.reshape(mixture, 0, HEADS, -1, PIXELS);
  }

  /** [B, J, 4096] → [B, 1, 4096]. */
  function sumOver(x: string): string {
    return g.node('ReduceSum', [x, g.ints(1)], { keepdims: 1 });
  }

  function inverseDeviation(squaredLength: string, epsilon: number): string {
    const variance = g.mul(squaredLength, g.scalar(1 / WIDTH));
    return g.node('Reciprocal', [g.node('Sqrt', [g.add(variance, g.scalar(epsilon))])]);
  }
}

/** Heads of tokens [B, 8, T, 16] times pixels [1, 8, 16, 4096] → [B, 8 T, 4096]. */
function onPixels(g: GraphBuilder, heads: string, pixels: string): string {
  return g.reshape(g.matMul(heads, pixels), 0, -1, PIXELS);
}

/** Over the tokens of each head, [B, 8 T, 4096]. (ONNX Runtime's Softmax along an inner axis turns the tensor twice.) */
function tokenSoftmax(g: GraphBuilder, logits: string): string {
  const x = g.reshape(logits, 0, HEADS, -1, PIXELS);
  const most = g.node('ReduceMax', [x], { axes: [2], keepdims: 1 });
  const exp = g.node('Exp', [g.node('Sub', [x, most])]);
  const total = g.node('ReduceSum', [exp, g.ints(2)], { keepdims: 1 });
  return g.reshape(g.node('Div', [exp, total]), 0, -1, PIXELS);
}

interface FactoredParts {
  /** [K, 4096, J] each. */
  readonly mixtures: readonly string[];
  /** [K, 4096, 2]: factors of the image's part and of the mixtures'. */
  readonly scales: string;
  /** [K, 2 J, 256]. */
  readonly rows: string;
  /** [4096, 256]. */
  readonly image: string;
  /** [256]. */
  readonly bias: string;
}

function factoredPixels(parts: FactoredParts): UpscaledPixels {
  const { mixtures, scales, rows, image, bias } = parts;
  const result = (g: GraphBuilder, ofImage: string, ofRows: string, factors: string, axis: number, offset = bias) => {
    const factor = (i: number) => g.slice(factors, i, i + 1, axis);
    return g.add(g.add(g.mul(ofImage, factor(0)), g.mul(ofRows, factor(1))), offset);
  };
  return {
    pick(g, prompts) {
      const pick = (x: string) => g.node('Gather', [x, prompts], { axis: 0 });
      return factoredPixels({ ...parts, mixtures: mixtures.map(pick), scales: pick(scales), rows: pick(rows) });
    },
    same(g, { at, diagonal } = {}) {
      const pick = (x: string, axis: number) => (at === undefined ? x : g.node('Gather', [x, at], { axis }));
      const part = (x: string, axis: number) => (diagonal ? diagonalOf(g, x, axis) : x);
      const shares = g.node(
        'Concat',
        mixtures.map((x) => pick(x, 1)),
        { axis: 2 },
      );
      const ofRows = g.matMul(shares, part(rows, 2));
      const pixels = result(g, part(pick(image, 0), 1), ofRows, pick(scales, 1), 2, part(bias, 0));
      return g.reshape(pixels, -1, diagonal ? WIDTH / 2 : WIDTH);
    },
    each(g, at) {
      const column = (i: number) => g.slice(at, i, i + 1);
      const shares = g.node(
        'Concat',
        mixtures.map((x) => g.node('GatherND', [x, at])),
        { axis: 1 },
      );
      // With the rows of all prompts, of which each pixel keeps its own.
      const ofAll = g.matMul(shares, g.reshape(g.transpose(rows, 1, 0, 2), 0, -1));
      const ofRows = g.node('GatherND', [g.reshape(ofAll, 0, -1, WIDTH), column(0)], { batch_dims: 1 });
      const ofImage = g.node('Gather', [image, g.reshape(column(1), -1)], { axis: 0 });
      return result(g, ofImage, ofRows, g.node('GatherND', [scales, at]), 1);
    },
  };
}
