import { present } from '../../items.js';
import type { Constant } from '../graph.js';
import type { OnnxGraph } from '../model.js';
import { PatternError, PatternReader } from './pattern.js';
import { CROSS_WIDTH, type SamDecoderWeights, type TwoWayLayer, WIDTH } from './weights.js';

/** Where an official export computes all four masks and scores, before it selects one. */
export interface DecoderTaps {
  /** [B, 4, 256, 256]. */
  readonly logits: string;
  /** [B, 4]. */
  readonly iou: string;
}

/** @throws PatternError */
export function findTaps(graph: OnnxGraph): DecoderTaps {
  const pattern = new PatternReader(graph);
  const masks = pattern.expect('low_res_masks', 'MatMul').outputs[0];
  const reshape = graph.nodes.find((node) => node.op === 'Reshape' && node.inputs[0] === masks);
  if (!reshape) throw new PatternError('the masks are not reshaped to images');
  return { logits: reshape.outputs[0], iou: pattern.origin('iou_predictions') };
}

/**
 * The parameters of an exported SAM decoder, found by following the computation back from its outputs.
 *
 * @throws PatternError if the graph computes something else
 */
export function readWeights(graph: OnnxGraph): SamDecoderWeights {
  const pattern = new PatternReader(graph);
  const taps = findTaps(graph);

  const iou = pattern.perceptron(taps.iou, WIDTH, WIDTH, WIDTH, 4);
  const finalNorm = pattern.norm(iou.input, WIDTH);
  const final = pattern.residual(finalNorm.input, (branch) => pattern.attention(branch, CROSS_WIDTH));
  const second = readLayer(pattern, final.parsed.v, final.skip, false);
  const first = readLayer(pattern, second.keys, second.queries, true);
  const tokens = pattern.expect(first.queries, 'Concat').inputs;
  if (tokens.length !== 2) throw new PatternError('expected output tokens and prompt tokens');
  const { noMask, maskDownscaling } = readDense(pattern, first.keys);

  const product = pattern.expect(taps.logits, 'MatMul');
  const hypernetworks = pattern.expect(product.inputs[0], 'Concat').inputs.map((branch) => {
    const network = pattern.perceptron(branch, WIDTH, WIDTH, WIDTH, 32);
    if (network.input !== iou.input) throw new PatternError('a hypernetwork does not read the tokens');
    return network.layers;
  });
  if (hypernetworks.length !== 4) throw new PatternError(`expected 4 mask tokens, found ${hypernetworks.length}`);
  const up3 = pattern.convolution(pattern.gelu(product.inputs[1]), 'ConvTranspose', [64, 32, 2, 2]);
  const up1 = pattern.norm(pattern.gelu(up3.input), 64);
  const up0 = pattern.convolution(up1.input, 'ConvTranspose', [WIDTH, 64, 2, 2]);
  if (up0.input !== final.parsed.v) throw new PatternError('the masks are not made from the image features');

  return {
    prompt: { ...readSparse(pattern, tokens[1]), noMask, maskDownscaling },
    outputTokens: pattern.weight(pattern.origin(tokens[0]), 5 * WIDTH),
    layers: [first.layer, second.layer],
    finalAttention: final.parsed.attention,
    finalNorm: finalNorm.norm,
    upscaling: [up0.convolution, up1.norm, up3.convolution],
    hypernetworks,
    iouHead: iou.layers,
  };
}

/** One block of the two-way transformer, from its results back to its arguments. */
function readLayer(pattern: PatternReader, keysOut: string, queriesOut: string, isFirst: boolean) {
  const expectSame = (a: string, b: string, what: string) => {
    if (pattern.origin(a) !== pattern.origin(b)) throw new PatternError(`${what}: "${a}" is not "${b}"`);
  };
  const norm4 = pattern.norm(keysOut, WIDTH);
  const imageToToken = pattern.residual(norm4.input, (branch) => pattern.attention(branch, CROSS_WIDTH));
  expectSame(imageToToken.parsed.v, queriesOut, 'values of the image-to-token attention');

  const norm3 = pattern.norm(queriesOut, WIDTH);
  const mlp = pattern.residual(norm3.input, (branch) => pattern.perceptron(branch, WIDTH, 2048, WIDTH));
  expectSame(mlp.parsed.input, mlp.skip, 'input of the token MLP');

  const norm2 = pattern.norm(mlp.skip, WIDTH);
  const tokenToImage = pattern.residual(norm2.input, (branch) => pattern.attention(branch, CROSS_WIDTH));
  expectSame(tokenToImage.parsed.v, imageToToken.skip, 'values of the token-to-image attention');

  const norm1 = pattern.norm(tokenToImage.skip, WIDTH);
  const self = isFirst
    ? { parsed: pattern.attention(norm1.input, WIDTH), skip: '' }
    : pattern.residual(norm1.input, (branch) => pattern.attention(branch, WIDTH));
  if (!isFirst) expectSame(self.parsed.v, self.skip, 'values of the self-attention');
  const layer: TwoWayLayer = {
    selfAttention: self.parsed.attention,
    tokenToImage: tokenToImage.parsed.attention,
    mlp: [mlp.parsed.layers[0], mlp.parsed.layers[1]],
    imageToToken: imageToToken.parsed.attention,
    norms: [norm1.norm, norm2.norm, norm3.norm, norm4.norm],
  };
  return { layer, queries: self.parsed.v, keys: imageToToken.skip };
}

/** image embedding + (has_mask · convolutions(mask) + (1 - has_mask) · no_mask). */
function readDense(pattern: PatternReader, keys: string) {
  const terms = pattern.terms(keys);
  const products = terms.filter((term) => pattern.is(term, 'Mul')).map((term) => pattern.expect(term, 'Mul').inputs);
  const noMask = products
    .flat()
    .map((input) => pattern.constant(input))
    .find((found) => found?.data.length === WIDTH);
  const convolved = products.flat().find((input) => pattern.is(input, 'Conv'));
  const image = terms.find((term) => pattern.origin(term) === 'image_embeddings');
  if (terms.length !== 3 || !noMask || convolved === undefined || image === undefined)
    throw new PatternError('the mask prompt is not added to the image embedding as usual');
  const conv6 = pattern.convolution(convolved, 'Conv', [WIDTH, 16, 1, 1]);
  const norm4 = pattern.norm(pattern.gelu(conv6.input), 16);
  const conv3 = pattern.convolution(norm4.input, 'Conv', [16, 4, 2, 2]);
  const norm1 = pattern.norm(pattern.gelu(conv3.input), 4);
  const conv0 = pattern.convolution(norm1.input, 'Conv', [4, 1, 2, 2]);
  if (conv0.input !== 'mask_input') throw new PatternError('the mask prompt does not come from mask_input');
  return {
    noMask,
    maskDownscaling: [conv0.convolution, norm1.norm, conv3.convolution, norm4.norm, conv6.convolution] as const,
  };
}

/** Σ over labels: [label = l] · embedding, plus the positional encoding where there is a point. */
function readSparse(pattern: PatternReader, name: string) {
  const labels = new Map<number, Constant>();
  let gaussian: Constant | undefined;
  for (const term of pattern.terms(name)) {
    const product = pattern.expect(term, 'Mul');
    if (product.inputs.some((input) => pattern.is(input, 'Concat'))) {
      const encoding = present(
        product.inputs.find((input) => pattern.is(input, 'Concat')),
        'the encoding of points',
      );
      const angles = pattern.expect(pattern.expect(encoding, 'Concat').inputs[0], 'Sin').inputs[0];
      const projected = pattern.expect(pattern.operands(pattern.expect(angles, 'Mul')).variable, 'MatMul');
      gaussian = pattern.weight(projected.inputs[1], 2 * 128);
      continue;
    }
    const { variable, constant } = pattern.operands(product);
    const label = pattern.operands(pattern.expect(variable, 'Equal')).constant.data[0];
    if (constant.data.length !== WIDTH) throw new PatternError(`unusual embedding of label ${label}`);
    labels.set(label, constant);
  }
  if (!gaussian || [-1, 0, 1, 2, 3].some((label) => !labels.has(label)))
    throw new PatternError('the point labels are not embedded as usual');
  return { gaussian, labels };
}
