import { SamError } from '../../errors.js';
import type { OnnxModel } from '../model.js';
import { EncoderBuilder, type LaterWeights } from './later-weights.js';

/**
 * The image encoders ViT-B, ViT-L and ViT-H (`ImageEncoderViT` of segment_anything/modeling/image_encoder.py, 1.0), of any
 * depth and width; everything is read off the shapes of the weights. Blocks whose table of relative positions covers the
 * whole grid attend globally, the others in windows, padded with zeros after the norm as there.
 *
 * Scores with relative positions are q·k / √d + q·R_h + q·R_w. The last two are further columns of q against rows of k that
 * say, one-hot, which row and column of the grid a key is in, so that the scores come out of one product and no term of
 * their size (800 MB of a ViT-B's global blocks) is added to them. There, heads are done one after the other.
 *
 * @param weights by PyTorch's names, without the prefix `image_encoder.`
 * @param manyCells with more keys than this, heads are done one after the other
 * @returns `image` [1, 3, 16 n, 16 n], normalised, → `image_embeddings` [1, 256, n, n]
 * @throws SamError `model_unavailable` if weights are missing or do not fit together
 */
export function emitVit(weights: LaterWeights, manyCells = MANY_CELLS): OnnxModel {
  const g = new EncoderBuilder(weights);
  const [, side, columns, width] = g.shapeOf('pos_embed', 4);
  const [, , patch] = g.shapeOf('patch_embed.proj.weight', 4);
  if (side !== columns) throw unusual(`positions for ${side} x ${columns} patches`);
  const image = g.input('image', [1, 3, patch * side, patch * side]);
  let x = g.transpose(g.convolution('patch_embed.proj', image, patch), 0, 2, 3, 1);
  x = g.add(x, g.stored('pos_embed'));
  for (let block = 0; g.has(`blocks.${block}.norm1.weight`); block++)
    x = emitBlock(g, `blocks.${block}`, x, { side, width, manyCells });
  x = g.channelNorm('neck.1', g.convolution('neck.0', g.transpose(x, 0, 3, 1, 2)), EPSILON);
  x = g.channelNorm('neck.3', g.convolution('neck.2', x), EPSILON);
  g.output('image_embeddings', x, [1, g.shapeOf('neck.0.weight', 4)[0], side, side]);
  return g.finish('sam_vit');
}

const EPSILON = 1e-6;

interface Grid {
  /** Of the grid of patches, in patches. */
  readonly side: number;
  readonly width: number;
  readonly manyCells: number;
}

/** x [1, side, side, width] → the same shape. */
function emitBlock(g: EncoderBuilder, name: string, x: string, { side, width, manyCells }: Grid): string {
  const window = (g.shapeOf(`${name}.attn.rel_pos_h`, 2)[0] + 1) / 2;
  const normed = g.norm(`${name}.norm1`, x, EPSILON);
  const attend = (cells: string) => emitAttention(g, `${name}.attn`, cells, { side: window, width, manyCells });
  const attended =
    window === side
      ? g.reshape(attend(g.reshape(normed, 1, side * side, width)), 1, side, side, width)
      : emitWindows(g, normed, side, window, width, attend);
  const sum = g.add(x, attended);
  const hidden = g.gelu(g.linear(`${name}.mlp.lin1`, g.norm(`${name}.norm2`, sum, EPSILON)));
  return g.add(sum, g.linear(`${name}.mlp.lin2`, hidden));
}

/** Cuts [1, side, side, C] into [windows, window², C], padded at the end of both axes, and puts the results together. */
export function emitWindows(
  g: EncoderBuilder,
  x: string,
  side: number,
  window: number,
  channels: number,
  attend: (windows: string) => string,
): string {
  if (!Number.isInteger(window) || window < 1 || window > side) throw unusual(`windows of ${window} patches`);
  const count = Math.ceil(side / window);
  const extra = count * window - side;
  const padded = extra === 0 ? x : g.node('Pad', [x, g.ints(0, 0, 0, 0, 0, extra, extra, 0)]);
  const split = g.transpose(g.reshape(padded, 1, count, window, count, window, channels), 0, 1, 3, 2, 4, 5);
  const attended = attend(g.reshape(split, count * count, window * window, channels));
  const grid = g.transpose(g.reshape(attended, 1, count, count, window, window, channels), 0, 1, 3, 2, 4, 5);
  const joined = g.reshape(grid, 1, count * window, count * window, channels);
  return extra === 0 ? joined : g.node('Slice', [joined, g.ints(0, 0), g.ints(side, side), g.ints(1, 2)]);
}

/** x [N, S², width], S² the cells of a square → the same shape. */
function emitAttention(g: EncoderBuilder, name: string, x: string, { side: square, width, manyCells }: Grid): string {
  const [positions, depth] = g.shapeOf(`${name}.rel_pos_h`, 2);
  const heads = width / depth;
  if (!Number.isInteger(heads) || positions !== 2 * square - 1) throw unusual(`${width} channels in heads of ${depth}`);
  const cells = square * square;
  // 1/√d goes into the keys: the queries are needed as they are.
  const scaled = (values: Float32Array) => {
    const third = values.length / 3;
    return values.map((value, i) => (i >= third && i < 2 * third ? value / Math.sqrt(depth) : value));
  };
  const qkv = g.transpose(g.reshape(g.linear(`${name}.qkv`, x, scaled), -1, cells, 3, heads, depth), 2, 0, 3, 1, 4);
  const [q, k, v] = [0, 1, 2].map((part) => g.slice(qkv, part, part + 1, 0)); // [1, N, heads, S², depth]
  const isLarge = cells > manyCells;
  const groups = isLarge ? Array.from({ length: heads }, (_, head) => [head, head + 1]) : [[0, heads]];
  const results = groups.map(([from, to]) => {
    const part = (tensor: string) =>
      g.reshape(isLarge ? g.slice(tensor, from, to, 2) : tensor, -1, to - from, cells, depth);
    const [queries, keys, values] = [q, k, v].map(part);
    const attended = g.matMul(g.softmax(emitScores(g, name, queries, keys, square, depth)), values);
    return g.reshape(g.transpose(attended, 0, 2, 1, 3), -1, cells, (to - from) * depth);
  });
  return g.linear(`${name}.proj`, results.length === 1 ? results[0] : g.node('Concat', results, { axis: 2 }));
}

/** From so many keys on, one head's scores are large enough to be done alone. */
const MANY_CELLS = 1024;

/** q and k [N, heads, S², depth] → [N, heads, S², S²]. */
function emitScores(g: EncoderBuilder, name: string, q: string, k: string, square: number, depth: number): string {
  const cells = square * square;
  const grid = g.node('Shape', [q], { end: 2 }); // [N, heads]
  const byRow = g.node('Reshape', [q, g.node('Concat', [grid, g.ints(square, square, depth)], { axis: 0 })]);
  const rows = g.matMul(byRow, emitPositions(g, `${name}.rel_pos_h`, square));
  const columns = g.transpose(
    g.matMul(g.transpose(byRow, 0, 1, 3, 2, 4), emitPositions(g, `${name}.rel_pos_w`, square)),
    0,
    1,
    3,
    2,
    4,
  );
  const flat = g.node('Concat', [grid, g.ints(cells, square)], { axis: 0 });
  const queries = g.node('Concat', [q, g.node('Reshape', [rows, flat]), g.node('Reshape', [columns, flat])], {
    axis: 3,
  });
  const oneHot = g.constant(`places ${square}`, [2 * square, cells], places(square));
  const spread = g.node('Expand', [oneHot, g.node('Concat', [grid, g.ints(2 * square, cells)], { axis: 0 })]);
  return g.matMul(queries, g.node('Concat', [g.transpose(k, 0, 1, 3, 2), spread], { axis: 2 }));
}

/** Table [2 S - 1, depth] → [S, depth, S]: entry (i, :, j) is the row i - j + S - 1. */
function emitPositions(g: EncoderBuilder, table: string, square: number): string {
  const rows = Array.from({ length: square * square }, (_, at) => Math.floor(at / square) - (at % square) + square - 1);
  const gathered = g.node('Gather', [g.stored(table), g.indices(`offsets ${square}`, [square, square], rows)], {
    axis: 0,
  });
  return g.transpose(gathered, 0, 2, 1);
}

/** [2 S, S²]: 1 where the cell is in that row, and below, in that column. */
function places(square: number): Float32Array {
  const cells = square * square;
  const result = new Float32Array(2 * square * cells);
  for (let cell = 0; cell < cells; cell++) {
    result[Math.floor(cell / square) * cells + cell] = 1;
    result[(square + (cell % square)) * cells + cell] = 1;
  }
  return result;
}

function unusual(what: string): SamError {
  return new SamError('model_unavailable', `This is not an image encoder of Segment Anything: it has ${what}.`);
}
