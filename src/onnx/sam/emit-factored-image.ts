import type { GraphBuilder } from '../builder.js';
import type { Constant } from '../graph.js';
import { firstUpscaling } from './emit-heads.js';
import { centreColumns, row, scaleRows, stacked, sum, times, transposed } from './fold.js';
import { imagePositions } from './positions.js';
import { CROSS_WIDTH, HEADS, PIXELS, type SamDecoderWeights, WIDTH } from './weights.js';

/**
 * What the factored transformer (emit-factored.ts) takes for an image. With x the image features less their mean over
 * channels, and y = x · (weight of the first norm) less its mean: projections of x and y, pixels last unless noted.
 */
export const FACTORED_IMAGE = {
  /** First layer, tokens to image: keys and values (pixels first). */
  first_k: [1, HEADS, 16, PIXELS],
  first_v: [1, HEADS, PIXELS, 16],
  /** First layer, image to tokens: queries, and x on the output projection. */
  first_q: [1, HEADS, 16, PIXELS],
  first_out: [1, HEADS, 16, PIXELS],
  /** Second layer: keys, values (pixels first) and queries from x; y on the output projections of both layers. */
  second_k: [1, HEADS, 16, PIXELS],
  second_v: [1, HEADS, PIXELS, 16],
  second_q: [1, HEADS, 16, PIXELS],
  second_out: [1, HEADS, 16, PIXELS],
  second_first_out: [1, HEADS, 16, PIXELS],
  /** Final attention: keys and values (pixels first) from y. */
  final_k: [1, HEADS, 16, PIXELS],
  final_v: [1, HEADS, PIXELS, 16],
  /** y through the first upscaling, pixels first. */
  upscaled: [PIXELS, WIDTH],
  /** What of the squared lengths of pixels depends on the image alone; see emit-factored.ts. */
  lengths: [3, 1, 1, PIXELS],
} as const;

export type FactoredImage = Readonly<Record<keyof typeof FACTORED_IMAGE, string>>;

/** image_embeddings [1, 256, 64, 64] → outputs named as in `FACTORED_IMAGE`. */
export function emitFactoredImage(g: GraphBuilder, weights: SamDecoderWeights, embeddings: string): void {
  const [first, second] = weights.layers;
  const { tokenToImage, imageToToken } = first;
  const norm = first.norms[3];
  const gamma = norm.weight.data;
  const last = second.norms[3].weight.data;

  const noMask = g.constant('no_mask', [WIDTH, 1], weights.prompt.noMask.data);
  const features = g.add(g.reshape(embeddings, WIDTH, PIXELS), noMask);
  const placed = g.add(features, positionColumns(g, weights));
  const centre = (x: string) => g.node('Sub', [x, g.node('ReduceMean', [x], { axes: [0], keepdims: 1 })]);
  const x = centre(features);
  const y = centre(g.mul(x, g.constant('gamma', [WIDTH, 1], gamma)));

  const project = (name: string, { dims, data }: Constant, of: string) =>
    g.matMul(g.weight(name, transposed({ dims, data })), of);
  const biased = (name: string, { weight, bias }: typeof tokenToImage.k, of: string) =>
    g.add(project(`${name}.weight`, weight, of), g.constant(`${name}.bias`, [CROSS_WIDTH, 1], bias.data));
  // y, as a projection of x.
  const ofY = (weight: Constant) => scaleRows(centreColumns(weight), gamma);
  const firstOut = transposed(centredRows(imageToToken.out.weight));

  const heads = (output: keyof FactoredImage, columns: string) =>
    g.output(output, g.reshape(columns, 1, HEADS, 16, PIXELS), [...FACTORED_IMAGE[output]]);
  const pixelsFirst = (output: keyof FactoredImage, columns: string) =>
    g.output(output, g.transpose(g.reshape(columns, 1, HEADS, 16, PIXELS), 0, 1, 3, 2), [...FACTORED_IMAGE[output]]);

  heads('first_k', biased('first.k', tokenToImage.k, placed));
  pixelsFirst('first_v', biased('first.v', tokenToImage.v, features));
  heads('first_q', biased('first.q', imageToToken.q, placed));
  heads('first_out', project('first.out', firstOut, x));
  heads('second_k', project('second.k', scaleRows(second.tokenToImage.k.weight, gamma), x));
  pixelsFirst('second_v', project('second.v', scaleRows(second.tokenToImage.v.weight, gamma), x));
  heads('second_q', project('second.q', scaleRows(second.imageToToken.q.weight, gamma), x));
  heads('second_out', project('second.out', ofY(transposed(second.imageToToken.out.weight)), x));
  heads('second_first_out', project('second.first.out', ofY(scaleRows(firstOut, gamma)), x));
  heads('final_k', project('final.k', ofY(scaleRows(weights.finalAttention.k.weight, last)), x));
  pixelsFirst('final_v', project('final.v', ofY(scaleRows(weights.finalAttention.v.weight, last)), x));
  const upscaled = project('upscaled.weight', ofY(scaleRows(firstUpscaling(weights).weight, last)), x);
  g.output('upscaled', g.transpose(upscaled, 1, 0), [...FACTORED_IMAGE.upscaled]);

  // |x|² + 2 x b, |y|² + 2 y (b · gamma), 2 y (bias of the second output projection and of the first norm).
  const length = (of: string) => g.node('ReduceSum', [g.mul(of, of), g.ints(0)], { keepdims: 1 });
  const bias = row(centredRows(row(imageToToken.out.bias.data)).data);
  const rows = stacked(
    bias,
    row(times(scaleRows(transposed(bias), gamma).data, centringOf(gamma))),
    row(times(sum(second.imageToToken.out.bias.data, norm.bias.data), centringOf(gamma))),
  );
  const twice = g.mul(g.matMul(g.weight('biases', rows), x), g.scalar(2)); // [3, 4096]
  const squares = g.node('Concat', [length(x), length(y), g.constant('none', [1, PIXELS], new Float32Array(PIXELS))], {
    axis: 0,
  });
  g.output('lengths', g.reshape(g.add(squares, twice), 3, 1, 1, PIXELS), [...FACTORED_IMAGE.lengths]);
}

/** The positional encoding, [256, 4096]: a constant. */
export function positionColumns(g: GraphBuilder, { prompt }: SamDecoderWeights): string {
  const columns = () => transposed({ dims: [PIXELS, WIDTH], data: imagePositions(prompt.gaussian.data) }).data;
  return g.constant('position_columns', [WIDTH, PIXELS], columns);
}

/** Rows less their mean. */
export function centredRows(matrix: Constant): Constant {
  return transposed(centreColumns(transposed(matrix)));
}

/** The matrix that takes v · y to a projection of x: v times it, times x, is v · (x · gamma less its mean). */
function centringOf(gamma: Float32Array): Constant {
  const data = new Float32Array(WIDTH * WIDTH).fill(-1 / WIDTH);
  for (let i = 0; i < WIDTH; i++) data[i * WIDTH + i] += 1;
  return transposed(scaleRows({ dims: [WIDTH, WIDTH], data }, gamma));
}
