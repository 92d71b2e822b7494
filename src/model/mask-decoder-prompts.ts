import { SamError } from '../errors.js';
import { fromHalf } from '../ndimage/half.js';
import { applyFloor, type DecodedChunk, LOW_RES } from './mask-decoder-graphs.js';
import type { FeatureLevel } from './model-spec.js';
import { float32Of, type OrtRuntime, type OrtTensor } from './runtime.js';
import type { Embedding, SamPrompts } from './sam-tensors.js';

/** What decoders that are used as they are make of prompts and results. */

/** Said of decoders without an input for mask prompts. */
export const NO_MASKS =
  'The decoder takes no mask prompts: beside points and boxes they are left out, and one alone is asked for by its box.';

/** Without the last point, if it is padding in every prompt: for graphs that add their own. */
export function withoutPadding(prompts: SamPrompts): SamPrompts {
  const { coords, labels, batch, points } = prompts;
  const padded = Array.from({ length: batch }, (_, b) => labels[(b + 1) * points - 1]).every((label) => label === -1);
  if (!padded || points === 1) return prompts;
  const keep = points - 1;
  return {
    ...prompts,
    points: keep,
    coords: coords.filter((_, i) => Math.floor(i / 2) % points < keep),
    labels: labels.filter((_, i) => i % points < keep),
  };
}

/**
 * For graphs that take no mask prompts, of one prompt: beside a positive point or a box the mask is left out; alone, or
 * with negative points, the box around it stands for it.
 */
export function withoutMask({ maskInput, ...prompts }: SamPrompts): SamPrompts {
  const { coords, labels } = prompts;
  const box = maskInput && !labels.some((label) => label > 0) ? boxOfLogits(maskInput) : undefined;
  if (!box) return prompts;
  const kept = [...labels.keys()].filter((i) => labels[i] !== -1);
  return {
    batch: 1,
    points: kept.length + 2,
    coords: Float32Array.from([...kept.flatMap((i) => [coords[2 * i], coords[2 * i + 1]]), ...box]),
    labels: Float32Array.from([...kept.map((i) => labels[i]), 2, 3]),
  };
}

/** Around what is above 0: x0, y0, x1, y1 in the model's frame, of which a logit covers 4 x 4 pixels. */
function boxOfLogits(logits: Float32Array): readonly number[] | undefined {
  let [left, top, right, bottom] = [256, 256, -1, -1];
  for (let i = 0; i < LOW_RES; i++) {
    if (!(logits[i] > 0)) continue;
    const [y, x] = [i >> 8, i & 255];
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  }
  return right < 0 ? undefined : [left, top, right + 1, bottom + 1].map((side) => 4 * side);
}

/** @throws SamError `no_embedding` if the embedding lacks the levels that the decoder takes */
export function levelFeeds(
  runtime: OrtRuntime,
  { levels: stored }: Embedding,
  levels: readonly FeatureLevel[] = [],
): Readonly<Record<string, OrtTensor>> {
  if (levels.length > 0 && stored?.length !== levels.length)
    throw new SamError(
      'no_embedding',
      `The decoder takes ${levels.length} finer levels of features, which the embedding does not have: compute it with this model.`,
    );
  return Object.fromEntries(
    levels.map(({ input }, n) => {
      const { data, shape } = (stored as NonNullable<typeof stored>)[n];
      return [input, runtime.tensor('float32', fromHalf(data), shape)];
    }),
  );
}

/**
 * Masks of B prompts as they come. Which they are follows from their number: four are all of SAM's, three those of the
 * multimask, and a single one is what the graph has chosen.
 *
 * @param points of each prompt, padding included
 */
export function chunkOf(
  { masks, scores }: { readonly masks: OrtTensor; readonly scores: OrtTensor },
  { batch, points }: Pick<SamPrompts, 'batch' | 'points'>,
  iouFloor: number,
): DecodedChunk {
  const [logits, iou] = [float32Of(masks), float32Of(scores)];
  const count = iou.length / batch;
  const tokens = { 4: [0, 1, 2, 3], 3: [1, 2, 3], 1: points > 2 ? [0] : [1] }[count];
  if (!tokens || String(masks.dims.slice(-2)) !== '256,256' || logits.length !== batch * count * LOW_RES)
    throw new SamError(
      'model_unavailable',
      `The decoder gives masks of shape [${masks.dims}] with scores of shape [${scores.dims}], expected 1, 3 or 4 masks of 256 x 256 logits for each of ${batch} prompts.`,
    );
  const rows = Array.from({ length: batch }, (_, row) => row);
  return applyFloor({ logits, iou, tokens, rows }, batch, iouFloor);
}
