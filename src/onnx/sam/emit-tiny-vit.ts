import { SamError } from '../../errors.js';
import type { OnnxModel } from '../model.js';
import { emitWindows } from './emit-vit.js';
import { EncoderBuilder, type LaterWeights } from './later-weights.js';

/**
 * MobileSAM's image encoder (`TinyViT` of mobile_sam/modeling/tiny_vit_sam.py), which micro-sam calls vit_t: a stage of
 * convolutions, then three of windowed attention. Widths, depths, heads and windows are read off the weights; batch norms
 * are folded.
 *
 * Attention adds the learned biases. (In micro-sam, `eval()` fills the cache of these biases before the weights are loaded,
 * so that they are zero unless the model is set to train and back.)
 *
 * @param weights by PyTorch's names, without the prefix `image_encoder.`
 * @param side of the image in pixels
 * @returns `image` [1, 3, side, side], normalised, → `image_embeddings` [1, 256, side / 16, side / 16]. Early features have
 *   the names of the usual export (early-features.ts).
 * @throws SamError `model_unavailable` if weights are missing or do not fit together
 */
export function emitTinyVit(weights: LaterWeights, side = 1024): OnnxModel {
  const g = new EncoderBuilder(weights);
  if (g.shapeOf('patch_embed.seq.0.c.weight', 4)[2] !== 3)
    throw new SamError(
      'unsupported',
      'This TinyViT takes images of another size than 1024 x 1024 (as LiteMedSAM does, 256 x 256), which is not supported.',
    );
  const image = g.input('image', [1, 3, side, side]);
  let x = g.gelu(g.normedConvolution('patch_embed.seq.0', image, 2));
  x = g.normedConvolution('patch_embed.seq.2', x, 2);
  let length = side / 4;
  for (let block = 0; g.has(`layers.0.blocks.${block}.conv1.c.weight`); block++)
    x = emitConvolutionBlock(g, `layers.0.blocks.${block}`, x);
  x = g.named('/layers.0/blocks.1/act3/Mul_1_output_0', x);
  for (let layer = 0; g.has(`layers.${layer + 1}.blocks.0.attn.qkv.weight`); layer++) {
    const merging = `layers.${layer}.downsample`;
    if (layer > 0) x = g.named(`/layers.${layer}/downsample/Transpose_output_0`, x);
    const stride = STRIDE_1.includes(g.shapeOf(`${merging}.conv1.c.weight`, 4)[0]) ? 1 : 2;
    x = emitMerging(g, merging, x, stride);
    length /= stride;
    for (let block = 0; g.has(`layers.${layer + 1}.blocks.${block}.attn.qkv.weight`); block++)
      x = emitAttentionBlock(g, `layers.${layer + 1}.blocks.${block}`, x, length);
  }
  x = g.channelNorm('neck.1', g.convolution('neck.0', x), 1e-6);
  x = g.channelNorm('neck.3', g.convolution('neck.2', x), 1e-6);
  g.output('image_embeddings', x, [1, g.shapeOf('neck.0.weight', 4)[0], length, length]);
  return g.finish('sam_tiny_vit');
}

/** Widths before which patches are merged without halving the grid. */
const STRIDE_1 = [320, 448, 576];
/** Of PyTorch's LayerNorm. */
const EPSILON = 1e-5;

function emitConvolutionBlock(g: EncoderBuilder, name: string, x: string): string {
  let inner = g.gelu(g.normedConvolution(`${name}.conv1`, x));
  inner = g.gelu(g.normedConvolution(`${name}.conv2`, inner));
  return g.gelu(g.add(x, g.normedConvolution(`${name}.conv3`, inner)));
}

function emitMerging(g: EncoderBuilder, name: string, x: string, stride: number): string {
  let inner = g.gelu(g.normedConvolution(`${name}.conv1`, x));
  inner = g.gelu(g.normedConvolution(`${name}.conv2`, inner, stride));
  return g.normedConvolution(`${name}.conv3`, inner);
}

/** x [1, C, length, length] → the same shape: attention, a depthwise convolution, an MLP. */
function emitAttentionBlock(g: EncoderBuilder, name: string, x: string, length: number): string {
  const [channels] = g.shapeOf(`${name}.attn.proj.weight`, 2);
  const [heads, offsets] = g.shapeOf(`${name}.attn.attention_biases`, 2);
  const window = Math.sqrt(offsets);
  const last = g.transpose(x, 0, 2, 3, 1);
  const attended = emitWindows(g, last, length, window, channels, (windows) =>
    emitAttention(g, `${name}.attn`, windows, { channels, heads, window }),
  );
  const local = g.normedConvolution(`${name}.local_conv`, g.transpose(g.add(last, attended), 0, 3, 1, 2));
  const rows = g.transpose(local, 0, 2, 3, 1);
  const hidden = g.gelu(g.linear(`${name}.mlp.fc1`, g.norm(`${name}.mlp.norm`, rows, EPSILON)));
  return g.transpose(g.add(rows, g.linear(`${name}.mlp.fc2`, hidden)), 0, 3, 1, 2);
}

interface Heads {
  readonly channels: number;
  readonly heads: number;
  readonly window: number;
}

/** x [N, window², C] → the same shape. The columns of `qkv` are, head by head, its q, k and v. */
function emitAttention(g: EncoderBuilder, name: string, x: string, { channels, heads, window }: Heads): string {
  const cells = window * window;
  const depth = channels / heads;
  const scaled = (values: Float32Array) => {
    const row = values.length / (3 * channels);
    return values.map((value, i) => (Math.floor(i / row / depth) % 3 === 0 ? value / Math.sqrt(depth) : value));
  };
  const normed = g.norm(`${name}.norm`, x, EPSILON);
  const split = g.reshape(g.linear(`${name}.qkv`, normed, scaled), -1, cells, heads, 3, depth);
  const parts = g.transpose(split, 3, 0, 2, 1, 4);
  const [q, k, v] = [0, 1, 2].map((part) => g.reshape(g.slice(parts, part, part + 1, 0), -1, heads, cells, depth));
  const offsets = Array.from({ length: cells * cells }, (_, at) => {
    const [a, b] = [Math.floor(at / cells), at % cells];
    const rows = Math.abs(Math.floor(a / window) - Math.floor(b / window));
    return rows * window + Math.abs((a % window) - (b % window));
  });
  const indices = g.indices(`offsets ${window}`, [cells, cells], offsets);
  const biases = g.node('Gather', [g.stored(`${name}.attention_biases`), indices], { axis: 1 });
  const scores = g.add(g.matMul(q, g.transpose(k, 0, 1, 3, 2)), biases);
  const attended = g.transpose(g.matMul(g.softmax(scores), v), 0, 2, 1, 3);
  return g.linear(`${name}.proj`, g.reshape(attended, -1, cells, channels));
}
