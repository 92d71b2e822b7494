import type { GraphBuilder } from '../builder.js';
import {
  emitCellFeatures,
  emitCellsInPlace,
  emitHypernetworks,
  emitSpreadNetworks,
  type UpscaledPixels,
} from './emit-heads.js';
import { PIXELS, type SamDecoderWeights } from './weights.js';

/**
 * The mask head where it matters. Each of the 64 x 64 cells has its own 4 x 4 logits (emit-heads.ts), so cells can be
 * left out. Samples are taken first: half of the logits (upper left and lower right) of the cells of every second row and
 * column. Then the cells are computed whose samples, or those around them, do not agree, for any of the masks wanted, that
 * the logit is above `margin` or below minus `margin`; also all cells near a point. The others get the values of a sample:
 * right in sign, and beyond the margin.
 */
export interface EdgeInputs {
  /** [B, N, 2] xy in the 1024 square. */
  readonly coords: string;
  /** [1], in logits. */
  readonly margin: string;
  /** [4] 0 or 1: the masks that will be used. */
  readonly wanted: string;
  /** [1]: masks that score less need not be right. */
  readonly iouFloor: string;
  /** [1] 0 or 1: whether masks that reach all four sides of the image are wanted too, if they are a prompt's best. */
  readonly background: string;
  /** [2] rows and columns of cells that hold image. */
  readonly extent: string;
  /** [2] int64, the last sampled row and column among them. */
  readonly last: string;
}

/** Sampled rows and columns: 0, 2, ... 62 and 63. */
const SAMPLED = [...Array.from({ length: 32 }, (_, i) => 2 * i), 63];
const SIDE = SAMPLED.length;
/** For each row or column, the sampled ones at or below and at or above it, as positions in `SAMPLED`. */
const BELOW = Array.from({ length: 64 }, (_, i) => (i === 63 ? 32 : i >> 1));
const ABOVE = Array.from({ length: 64 }, (_, i) => (i === 63 ? 32 : (i + 1) >> 1));
/** Pixels of the 1024 square from a point to the centres of the cells computed around it. */
const NEAR = 40;

/** tokens [K, T, 256], pixels and scores [K, 4] of the prompts `rows` → logits [K, 4, 256, 256]. */
export function emitEdgeHead(
  g: GraphBuilder,
  weights: SamDecoderWeights,
  prompts: Readonly<Record<'queries' | 'iou' | 'rows', string>> & { readonly pixels: UpscaledPixels },
  inputs: EdgeInputs,
): string {
  const { queries, iou, rows, pixels } = prompts;
  const networks = emitHypernetworks(g, weights, queries);
  const sampled = SAMPLED.flatMap((y) => SAMPLED.map((x) => 64 * y + x));
  const sampledPixels = pixels.same(g, { at: g.indices('sampled', [SIDE * SIDE], sampled), diagonal: true });
  const sampleFeatures = g.reshape(emitCellFeatures(g, weights, sampledPixels), -1, 2 * SIDE * SIDE, 128);
  const samples = g.matMul(sampleFeatures, emitSpreadNetworks(g, networks)); // [K, 33² · 2, 16] k row, k column, mask

  const unsure = emitUnsure(g, samples, iou, inputs);
  const near = emitNear(g, g.node('Gather', [inputs.coords, rows], { axis: 0 }));
  const asked = g.node('And', [g.node('Or', [unsure, near]), emitInside(g, inputs.extent)]);
  // One cell always, as ONNX Runtime does not survive matrix products with no rows.
  const chosen = g.node('Or', [asked, emitFirstCell(g)]);
  const cells = g.transpose(g.node('NonZero', [g.reshape(chosen, -1, PIXELS)]), 1, 0); // [R, 2] row, cell
  const row = g.node('Slice', [cells, g.ints(0), g.ints(1), g.ints(1)]); // [R, 1]

  const features = g.reshape(emitCellFeatures(g, weights, pixels.each(g, cells)), -1, 32);
  const byAll = g.matMul(features, g.reshape(g.transpose(networks, 1, 0, 2), 32, -1)); // [16 R, K · 4]
  const rowOfEach = g.reshape(g.node('Expand', [row, g.ints(1, 16)]), -1, 1);
  const fine = g.node('GatherND', [g.node('Reshape', [byAll, g.ints(0, -1, 4)]), rowOfEach], { batch_dims: 1 });

  const spread = [1, 2].reduce(
    (x, axis) => g.node('Gather', [x, g.indices('below', [64], BELOW)], { axis }),
    g.reshape(samples, -1, SIDE, SIDE, 32),
  );
  const filled = g.node('Concat', [spread, spread], { axis: 3 });
  return emitCellsInPlace(g, g.node('ScatterND', [g.reshape(filled, -1, PIXELS, 64), cells, g.reshape(fine, -1, 64)]));
}

/** [K, 33² · 2, 16] → [K, 64, 64]: where the logits of a wanted mask may change sign or come near to it. */
function emitUnsure(g: GraphBuilder, samples: string, iou: string, inputs: EdgeInputs): string {
  const split = g.reshape(samples, -1, SIDE, SIDE, 8, 4);
  const extreme = (reduce: string, combine: string) => {
    const ofSample = g.node(reduce, [split], { axes: [3], keepdims: 0 }); // [K, 33, 33, 4]
    const spread = [1, 2].reduce((x, axis) => {
      const pick = (name: string, at: readonly number[]) => g.node('Gather', [x, g.indices(name, [64], at)], { axis });
      return g.node(combine, [pick('below', BELOW), pick('above', ABOVE)]);
    }, ofSample);
    return { ofSample, spread };
  };
  const low = extreme('ReduceMin', 'Min');
  const high = extreme('ReduceMax', 'Max');
  const clear = g.node('Or', [
    g.node('Greater', [low.spread, inputs.margin]),
    g.node('Less', [high.spread, g.node('Neg', [inputs.margin])]),
  ]);
  const relevant = g.node('Unsqueeze', [emitRelevant(g, high.ofSample, iou, inputs), g.ints(1, 2)]);
  return anyOf(g, g.node('And', [relevant, g.node('Not', [clear])]), 3);
}

/** → [K, 4] bool. */
function emitRelevant(g: GraphBuilder, high: string, iou: string, inputs: EdgeInputs): string {
  const wanted = g.node('Greater', [inputs.wanted, g.scalar(0)]);
  const reaches = g.node('GreaterOrEqual', [iou, inputs.iouFloor]);
  const sides = [1, 2].flatMap((axis) => {
    const last = g.node('Slice', [inputs.last, g.ints(axis - 1), g.ints(axis), g.ints(0)]);
    return [g.ints(0), last].map((at) =>
      g.node('ReduceMax', [g.node('Gather', [high, at], { axis })], { axes: [1, 2], keepdims: 0 }),
    );
  });
  const partial = g.node('LessOrEqual', [g.node('Min', sides), g.scalar(0)]);
  const score = g.node('Where', [wanted, iou, g.scalar(-1e30)]);
  const isBest = g.node('GreaterOrEqual', [score, g.node('ReduceMax', [score], { axes: [1], keepdims: 1 })]);
  const background = g.node('And', [isBest, g.node('Greater', [inputs.background, g.scalar(0)])]);
  return g.node('And', [g.node('And', [wanted, reaches]), g.node('Or', [partial, background])]);
}

/** Points [K, N, 2] → [K, 64, 64]: the cells around them. */
function emitNear(g: GraphBuilder, coords: string): string {
  const centres = g.constant(
    'centres',
    [64],
    Float32Array.from({ length: 64 }, (_, i) => 16 * i + 8),
  );
  const along = (axis: 0 | 1, dimension: number) => {
    const at = g.node('Slice', [coords, g.ints(axis), g.ints(axis + 1), g.ints(2)]); // [K, N, 1]
    const distance = g.node('Abs', [g.node('Sub', [at, centres])]);
    return g.node('Unsqueeze', [g.node('Less', [distance, g.scalar(NEAR)]), g.ints(dimension)]);
  };
  return anyOf(g, g.node('And', [along(1, 3), along(0, 2)]), 1);
}

/** → [1, 64, 64]. */
function emitInside(g: GraphBuilder, extent: string): string {
  const index = Float32Array.from({ length: 64 }, (_, i) => i);
  const part = (axis: number) => g.node('Slice', [extent, g.ints(axis), g.ints(axis + 1), g.ints(0)]);
  return g.node('And', [
    g.node('Less', [g.constant('row_index', [1, 64, 1], index), part(0)]),
    g.node('Less', [g.constant('column_index', [1, 1, 64], index), part(1)]),
  ]);
}

/** → [1, 64, 64]: true for one cell. */
function emitFirstCell(g: GraphBuilder): string {
  const first = Float32Array.from({ length: PIXELS }, (_, i) => Number(i === 0));
  return g.node('Greater', [g.constant('first_cell', [1, 64, 64], first), g.scalar(0)]);
}

function anyOf(g: GraphBuilder, x: string, axis: number): string {
  const most = g.node('ReduceMax', [g.node('Cast', [x], { to: 1 })], { axes: [axis], keepdims: 0 });
  return g.node('Greater', [most, g.scalar(0)]);
}
