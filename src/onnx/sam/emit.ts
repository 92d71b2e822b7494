import { GraphBuilder } from '../builder.js';
import type { OnnxModel } from '../model.js';
import { type EdgeInputs, emitEdgeHead } from './emit-edge-head.js';
import { emitFactored } from './emit-factored.js';
import { emitFactoredImage, FACTORED_IMAGE, type FactoredImage } from './emit-factored-image.js';
import { emitMaskHead, emitScores, type UpscaledPixels, upscaledFrom } from './emit-heads.js';
import { emitDense, emitImagePositions, emitTokens, withoutLonePadding } from './emit-prompts.js';
import { emitTransformer, type ImageSide, type Projected } from './emit-transformer.js';
import { CROSS_WIDTH, HEADS, PIXELS, type SamDecoderWeights, WIDTH } from './weights.js';

/**
 * SAM's decoder written anew from its weights. The result is the same function (to rounding), with less work:
 *
 * - what depends on the image alone is a graph of its own (`prepare`), run once per image: the image features, and
 *   their projections for the first layer, where they are still the same for every prompt;
 * - with 'few' points there are far fewer tokens than channels, and what they change of the pixels is kept apart from the
 *   image (emit-factored.ts); with 'many', the usual order is cheaper;
 * - with a mask prompt ('masked') nothing can be prepared, but the projections of the image side in the second layer and
 *   the final attention are moved to the tokens;
 * - the scores are computed first, and masks only for prompts whose best multimask score reaches `iou_floor`;
 * - with `edge_margin` above 0, only where a wanted mask may change sign (emit-edge-head.ts);
 * - nothing is enlarged to full size; all four masks come out as 256 x 256 logits.
 */
export type DecoderVariant = 'few' | 'many' | 'masked';

const EMBEDDING = [1, WIDTH, 64, 64];
const DIM = CROSS_WIDTH / HEADS;

/** image_embeddings [1, 256, 64, 64] → what 'few' or 'many' take for the image. */
export function emitPrepare(weights: SamDecoderWeights, variant: 'few' | 'many'): OnnxModel {
  const g = new GraphBuilder();
  if (variant === 'few') {
    emitFactoredImage(g, weights, g.input('image_embeddings', EMBEDDING));
    return g.finish('sam_prepare_few');
  }
  const image = emitProjected(g, weights, emitKeys(g, g.input('image_embeddings', EMBEDDING)));
  g.output('keys', image.keys, [1, PIXELS, WIDTH]);
  g.output('k', image.k, [1, HEADS, DIM, PIXELS]);
  g.output('v', image.v, [1, HEADS, PIXELS, DIM]);
  g.output('q', image.q, [1, PIXELS, CROSS_WIDTH]);
  return g.finish('sam_prepare_many');

  function emitKeys(g: GraphBuilder, image: string): string {
    const noMask = g.constant('no_mask', [1, WIDTH, 1, 1], weights.prompt.noMask.data);
    return channelsLast(g, g.add(image, noMask));
  }
}

/** Prompts → `iou` [B, 4], `rows` [K] and `logits` [K, 4, 256, 256] of the K prompts that reach `iou_floor` [1]. */
export function emitDecoder(weights: SamDecoderWeights, variant: DecoderVariant): OnnxModel {
  const g = new GraphBuilder();
  const coords = g.input('point_coords', ['B', 'N', 2]);
  const labels = g.input('point_labels', ['B', 'N']);
  const prompted = emitTokens(g, weights, coords, labels);
  const tokens = variant === 'masked' ? withoutLonePadding(g, prompted, labels) : prompted;
  const { queries, pixels } = variant === 'few' ? emitFactored(g, weights, tokens, factoredImage()) : transformed();
  const iou = emitScores(g, weights, queries);
  const iouFloor = g.input('iou_floor', [1]);
  const edges: EdgeInputs = {
    coords,
    iouFloor,
    margin: g.input('edge_margin', [1]),
    wanted: g.input('edge_masks', [4]),
    background: g.input('edge_background', [1]),
    extent: g.input('edge_extent', [2]),
    last: g.input('edge_last', [2], 7),
  };
  const best = g.node('ReduceMax', [g.slice(iou, 1, 4)], { axes: [1], keepdims: 0 });
  const enough = g.node('GreaterOrEqual', [best, iouFloor]);
  const rows = g.reshape(g.node('NonZero', [enough]), -1);
  const scalar = (x: string) => g.node('Squeeze', [x]);
  // ONNX Runtime does not survive matrix products with no rows, so "no prompt" is a branch of its own.
  const logits = g.branch(
    g.node('GreaterOrEqual', [g.node('ReduceMax', [best], { keepdims: 0 }), scalar(iouFloor)]),
    (some) => {
      const pick = (x: string) => some.node('Gather', [x, rows], { axis: 0 });
      const picked = { queries: pick(queries), pixels: pixels.pick(some, rows), iou: pick(iou), rows };
      return some.branch(
        some.node('Greater', [scalar(edges.margin), some.scalar(0)]),
        (inner) => emitEdgeHead(inner, weights, picked, edges),
        (inner) => emitMaskHead(inner, weights, picked.queries, picked.pixels),
      );
    },
    (none) => none.node('ConstantOfShape', [none.ints(0, 4, 256, 256)]),
  );
  g.output('iou', iou, ['B', 4]);
  g.output('rows', rows, ['K'], 7);
  g.output('logits', logits, ['K', 4, 256, 256]);
  return g.finish(`sam_decoder_${variant}`);

  function factoredImage(): FactoredImage {
    const inputs = Object.entries(FACTORED_IMAGE).map(([name, shape]) => [name, g.input(name, [...shape])]);
    return Object.fromEntries(inputs) as FactoredImage;
  }

  function transformed(): { queries: string; pixels: UpscaledPixels } {
    const image = variant === 'masked' ? maskedImage() : preparedImage();
    const positions = emitImagePositions(g, weights);
    const { queries, keys } = emitTransformer(g, weights, tokens, image, positions);
    return { queries, pixels: upscaledFrom(weights, keys) };
  }

  function preparedImage(): ImageSide {
    return {
      keys: g.input('keys', [1, PIXELS, WIDTH]),
      projected: {
        k: g.input('k', [1, HEADS, DIM, PIXELS]),
        v: g.input('v', [1, HEADS, PIXELS, DIM]),
        q: g.input('q', [1, PIXELS, CROSS_WIDTH]),
      },
    };
  }

  /** With a mask prompt the image side differs from prompt to prompt, so nothing can be prepared. */
  function maskedImage(): ImageSide {
    const dense = emitDense(g, weights, g.input('mask_input', ['B', 1, 256, 256]));
    return { keys: channelsLast(g, g.add(g.input('image_embeddings', EMBEDDING), dense)) };
  }
}

/** [B, 256, 64, 64] → [B, 4096, 256]. */
function channelsLast(g: GraphBuilder, x: string): string {
  return g.transpose(g.reshape(x, -1, WIDTH, PIXELS), 0, 2, 1);
}

function emitProjected(g: GraphBuilder, weights: SamDecoderWeights, keys: string): Projected & { keys: string } {
  const { tokenToImage, imageToToken } = weights.layers[0];
  const keysAt = g.add(keys, emitImagePositions(g, weights));
  const linear = (x: string, name: string, { weight, bias }: typeof tokenToImage.k) =>
    g.add(g.matMul(x, g.weight(`${name}.weight`, weight)), g.weight(`${name}.bias`, bias));
  const heads = (x: string, ...perm: number[]) => g.transpose(g.reshape(x, -1, PIXELS, HEADS, DIM), ...perm);
  return {
    keys,
    k: heads(linear(keysAt, 'k', tokenToImage.k), 0, 2, 3, 1),
    v: heads(linear(keys, 'v', tokenToImage.v), 0, 2, 1, 3),
    q: linear(keysAt, 'q', imageToToken.q),
  };
}
