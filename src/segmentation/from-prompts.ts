import { present } from '../items.js';
import type { DecodedMasks, Embedding, SamPrompts } from '../model/sam-tensors.js';
import { groupPrompts } from '../model/transforms.js';
import { MaskUpsampler } from '../model/upsample.js';
import type { Size, YXYX } from '../ndimage/array.js';
import { extendBox, orderedBox } from '../ndimage/boxes.js';
import type { Mask } from '../ndimage/mask.js';
import { translateMask } from '../ndimage/rle.js';
import type { TaskOptions } from '../task.js';
import type { PromptContext } from './context.js';
import { checkBox, checkImagePrompt, type ImagePrompt, type LowResLogits, type PromptPoint } from './image-prompt.js';
import { pointsFromMask } from './points-from-mask.js';
import type { ScoredMask } from './scored-mask.js';
import { AS_PREDICTED, type Meaning, meaningOfPoint, meaningOfSeveral } from './single-point.js';
import { type PlacedPrompt, placePrompt, takesFrame, touchesFrame } from './tiled.js';

/**
 * Prompts → masks, tiled or not: the `segment_from_*` functions and `batched_inference` of micro-sam 1.8. All
 * coordinates are image pixels (y, x). A mask may be empty: the model saw no object there.
 */

export interface SegmentOptions extends TaskOptions {
  /**
   * 'auto' is micro-sam's rule: for exactly one point, positive, without box or mask, the best of SAM's three
   * masks by predicted IoU; else its single mask. True and false force one or the other.
   */
  readonly multimask?: boolean | 'auto';
  /** Prompts decoded at once. */
  readonly batchSize?: number;
  /**
   * Low-resolution logits as the model gives them. Default: only along the edges of masks, which takes a third off the
   * time; elsewhere they are a neighbour's, and a mask refined from them may differ in a few pixels.
   */
  readonly exactLogits?: boolean;
  /**
   * Typical diameter of objects, in pixels; default: what the embeddings were made for. Decides between the masks of a
   * single point (single-point.ts), which takes a second run of the decoder.
   */
  readonly objectDiameter?: number;
}

export interface SegmentedPrompt extends ScoredMask {
  readonly lowRes: LowResLogits;
  /**
   * What there is to choose from, best first: three masks for a multimask prompt, else the one. Of a single point a fourth,
   * if something tells which object is meant and none of the three is it (single-point.ts). Of points alone, masks that take
   * the whole frame come last.
   */
  readonly candidates: readonly MaskCandidate[];
  /** The mask ends at the border of its tile inside the image and may be cut there. */
  readonly touchesTile: boolean;
  /** From points alone, and no mask does less than take the whole image or tile: the model saw no object there. */
  readonly takesFrame: boolean;
  /** For people: what of the prompt had no effect, and why. */
  readonly notices: readonly string[];
}

/** One of the masks that the model gives for a prompt. */
export interface MaskCandidate extends ScoredMask {
  /** SAM's mask token, 0..3. */
  readonly token: number;
  readonly lowRes: LowResLogits;
  /** Right in places only: a mask that shows the background and is not the best is decoded coarsely, for speed. */
  readonly rough: boolean;
}

const BATCH_SIZE = 8;
/** Values of one low-resolution mask. */
const LOGITS = 256 * 256;

export async function segmentFromPoints(
  context: PromptContext,
  points: readonly PromptPoint[],
  options: SegmentOptions & { readonly previous?: LowResLogits } = {},
): Promise<SegmentedPrompt> {
  return segmentOne(context, { points, previous: options.previous }, options);
}

/** @param options.boxExtension pixels on each side if >= 1, else a fraction of the box's sides; before it is rounded */
export async function segmentFromBox(
  context: PromptContext,
  box: YXYX,
  options: SegmentOptions & { readonly boxExtension?: number; readonly previous?: LowResLogits } = {},
): Promise<SegmentedPrompt> {
  const extended = extendedBox(box, options.boxExtension, context.embeddings.size);
  return segmentOne(context, { box: extended, previous: options.previous }, options);
}

export async function segmentFromBoxAndPoints(
  context: PromptContext,
  box: YXYX,
  points: readonly PromptPoint[],
  options: SegmentOptions & { readonly previous?: LowResLogits } = {},
): Promise<SegmentedPrompt> {
  return segmentOne(context, { box, points, previous: options.previous }, options);
}

export interface FromMaskOptions extends SegmentOptions {
  /** Prompt with the mask's bounding box (default), with the mask itself (default), with points derived from it. */
  readonly useBox?: boolean;
  readonly useMask?: boolean;
  /** Only near its edge may the object differ from the mask, but there freely (soft-mask.ts). */
  readonly softMask?: boolean;
  readonly usePoints?: boolean;
  /** Derive only the innermost positive point. */
  readonly singlePoint?: boolean;
  /** At most so many positive, and so many negative, derived points. */
  readonly maxPoints?: number;
  readonly boxExtension?: number;
  /** Instead of the derived ones. */
  readonly box?: YXYX;
  readonly points?: readonly PromptPoint[];
}

/** @param mask not empty; the prompt in another slice or frame, or a first guess by hand */
export async function segmentFromMask(
  context: PromptContext,
  mask: Mask,
  options: FromMaskOptions = {},
): Promise<SegmentedPrompt> {
  const prompt = promptFromMask(mask, context.embeddings.size, options);
  // A single derived point stands for the mask; micro-sam asks for no choice of three masks then.
  return segmentOne(context, prompt, { multimask: false, ...options });
}

/** What `segmentFromMask` asks of the model. */
function promptFromMask(mask: Mask, size: Size, options: FromMaskOptions = {}): ImagePrompt {
  const { useBox = true, useMask = true, usePoints = false, singlePoint = false, boxExtension = 0 } = options;
  const { softMask = false, maxPoints } = options;
  const inside = present(checkImagePrompt({ mask }, size).mask, 'the mask');
  const derived = usePoints
    ? pointsFromMask(inside, size, { boxExtension, singlePoint, maxPoints, centred: softMask })
    : undefined;
  return {
    box: options.box
      ? extendedBox(options.box, boxExtension, size)
      : useBox
        ? extendBox(inside.box, boxExtension, size)
        : undefined,
    points: options.points ?? derived,
    mask: useMask ? inside : undefined,
    softMask,
  };
}

function extendedBox(box: YXYX, extension = 0, size: Size): YXYX {
  checkBox(box, size);
  return extendBox(orderedBox(box), extension, size);
}

async function segmentOne(
  context: PromptContext,
  prompt: ImagePrompt,
  options: SegmentOptions,
): Promise<SegmentedPrompt> {
  const [result] = await segmentBatch(context, [prompt], options);
  return result;
}

/** Many objects, each from a prompt of its own; in the order of the prompts. */
export async function segmentBatch(
  context: PromptContext,
  prompts: readonly ImagePrompt[],
  options: SegmentOptions = {},
): Promise<SegmentedPrompt[]> {
  const results: SegmentedPrompt[] = new Array(prompts.length);
  for await (const [index, result] of segmentEach(context, prompts, options)) results[index] = result;
  return results;
}

/**
 * As `segmentBatch`, but gives each result as soon as it is there, tile by tile, with the place of its prompt: with its
 * logits a result takes up to a megabyte, and whoever segments thousands of objects keeps only the masks.
 */
export async function* segmentEach(
  context: PromptContext,
  prompts: readonly ImagePrompt[],
  options: SegmentOptions = {},
): AsyncGenerator<readonly [index: number, result: SegmentedPrompt]> {
  const { embeddings, plane } = context;
  const { signal, onProgress, batchSize = BATCH_SIZE, multimask = 'auto' } = options;
  const { objectDiameter = embeddings.objectDiameter } = options;
  const placed = prompts.map((prompt) => placePrompt(checkImagePrompt(prompt, embeddings.size), embeddings));
  const byTile = new Map<number | undefined, number[]>();
  placed.forEach(({ tile }, index) => {
    const members = byTile.get(tile);
    if (members) members.push(index);
    else byTile.set(tile, [index]);
  });
  let done = 0;
  for (const [tile, members] of [...byTile].sort(([a = 0], [b = 0]) => a - b)) {
    signal?.throwIfAborted();
    const embedding = await embeddings.embedding({ plane, tile }, { signal });
    const { frame } = placed[members[0]];
    const ask = questionsTo(context, embedding, { tile, frame }, options);
    // Apart, as the decoder is to know which masks of a prompt count.
    const batches = [true, false].flatMap((several) => {
      const part = members.filter((i) => (multimask === 'auto' ? isAmbiguous(placed[i]) : multimask) === several);
      const prompts = part.map((index) => placed[index].prompt);
      return groupPrompts(prompts, embedding, batchSize).map((batch) => ({
        prompts: batch.prompts,
        indices: batch.indices.map((member) => part[member]),
        several,
      }));
    });
    for (const { prompts: batch, indices, several } of batches) {
      signal?.throwIfAborted();
      const offered = await ask(batch, several);
      const meanings = await Promise.all(
        indices.map((index, row): Promise<Meaning> | Meaning => {
          if (!several) return AS_PREDICTED;
          if (!isAmbiguous(placed[index])) return meaningOfSeveral(embeddings, objectDiameter);
          const point = { plane, tile, prompt: placed[index].prompt, frame: embedding.originalSize };
          return meaningOfPoint(point, offered[row], embeddings, objectDiameter, { signal });
        }),
      );
      const answers = await answersTo(meanings, ask, embedding, batchSize);
      for (const [row, index] of indices.entries()) {
        const ranked = wholeFrameLast(meanings[row].rank(offered[row], answers[row]), placed[index]);
        yield [index, toResult(placed[index], ranked, embeddings.size)];
      }
      done += indices.length;
      onProgress?.({ done, total: prompts.length, message: `Segmented ${done} of ${prompts.length} objects` });
    }
  }
}

/** Several masks or the single one for each prompt of a batch, best first. */
type Ask = (batch: SamPrompts, several: boolean) => Promise<MaskCandidate[][]>;

function questionsTo(
  { worker, model }: PromptContext,
  embedding: Embedding,
  { tile, frame: [top, left] }: Pick<PlacedPrompt, 'tile' | 'frame'>,
  { signal, exactLogits = false }: SegmentOptions,
): Ask {
  const { inputSize, originalSize } = embedding;
  const upsampler = new MaskUpsampler(inputSize, originalSize);
  return async (batch, several) => {
    const wanted = several ? [1, 2, 3] : [0];
    const edges = exactLogits ? undefined : { tokens: wanted, background: true };
    const decoded = await worker.decode(model, embedding, batch, { signal, edges });
    const { logits, iou, tokens, rows } = decoded;
    return Array.from({ length: batch.batch }, (_, row) =>
      chooseTokens(decoded, row, several).map((m, rank): MaskCandidate => {
        const start = (rows.indexOf(row) * tokens.length + m) * LOGITS;
        const lowRes = logits.slice(start, start + LOGITS);
        return {
          mask: translateMask(upsampler.mask(lowRes), top, left),
          predictedIou: iou[row * tokens.length + m],
          stability: stabilityScore(lowRes, inputSize),
          token: tokens[m],
          lowRes: { logits: lowRes, tile },
          rough: !exactLogits && rank > 0 && reachesAllSides(lowRes, inputSize),
        };
      }),
    );
  };
}

/** By their places; nothing where nothing is asked. */
async function answersTo(
  meanings: readonly Meaning[],
  ask: Ask,
  embedding: Embedding,
  batchSize: number,
): Promise<(MaskCandidate | undefined)[]> {
  const answers: (MaskCandidate | undefined)[] = meanings.map(() => undefined);
  const asked = meanings.flatMap(({ question }, place) => (question ? [{ question, place }] : []));
  const questions = asked.map(({ question }) => question);
  for (const { prompts, indices } of groupPrompts(questions, embedding, batchSize)) {
    const found = await ask(prompts, false);
    indices.forEach((index, row) => {
      [answers[asked[index].place]] = found[row];
    });
  }
  return answers;
}

/** One positive point and nothing else. */
function isAmbiguous({ prompt: { points = [], box, maskLogits } }: PlacedPrompt): boolean {
  return !box && !maskLogits && points.length === 1 && points[0].positive;
}

/**
 * In an image full of objects SAM believes most in all that is between them, or in everything: no answer to a point.
 * Empty masks come after those.
 */
function wholeFrameLast(
  candidates: readonly MaskCandidate[],
  { prompt, frame }: PlacedPrompt,
): readonly MaskCandidate[] {
  if (prompt.box || prompt.maskLogits || candidates.length < 2) return candidates;
  const rank = ({ mask }: MaskCandidate) => (mask.area === 0 ? 2 : takesFrame(mask, frame) ? 1 : 0);
  return [...candidates].sort((a, b) => rank(a) - rank(b));
}

/** Positions in `decoded.tokens` of the masks to offer, best predicted IoU first. */
function chooseTokens({ tokens, iou }: DecodedMasks, row: number, multimask: boolean): number[] {
  const single = tokens.indexOf(0);
  if (!multimask && single >= 0) return [single];
  const scores = iou.subarray(row * tokens.length, (row + 1) * tokens.length);
  const ranked = tokens.flatMap((token, m) => (token > 0 ? [m] : [])).sort((a, b) => scores[b] - scores[a]);
  return multimask ? ranked : ranked.slice(0, 1);
}

/** @param candidates best first */
function toResult(
  { prompt, frame, notices }: PlacedPrompt,
  candidates: readonly MaskCandidate[],
  size: Size,
): SegmentedPrompt {
  const [{ mask, predictedIou, stability, lowRes }] = candidates;
  const cut = touchesFrame(mask, frame, size);
  return {
    mask,
    predictedIou,
    stability,
    lowRes,
    candidates,
    touchesTile: cut,
    takesFrame: !prompt.box && !prompt.maskLogits && takesFrame(mask, frame),
    notices: cut
      ? [...notices, 'The object reaches the border of its tile and may be cut; use a larger halo.']
      : notices,
  };
}

/** Whether the mask comes near all four sides of the image; see `EdgeOptions.background`. */
function reachesAllSides(logits: Float32Array, inputSize: Size): boolean {
  const [height, width] = gridOf(inputSize);
  const any = (top: number, left: number, bottom: number, right: number) => {
    for (let y = Math.max(0, top); y < Math.min(height, bottom); y++)
      for (let x = Math.max(0, left); x < Math.min(width, right); x++) if (logits[256 * y + x] > 0) return true;
    return false;
  };
  return (
    any(0, 0, NEAR_SIDE, width) &&
    any(height - NEAR_SIDE, 0, height, width) &&
    any(0, 0, height, NEAR_SIDE) &&
    any(0, width - NEAR_SIDE, height, width)
  );
}

/** Two cells of the decoder, in values of the 256 grid. */
const NEAR_SIDE = 8;

/** [h, w] of the part of the 256 grid that holds the image. */
function gridOf([height, width]: Size): Size {
  return [Math.min(256, Math.ceil(height / 4)), Math.min(256, Math.ceil(width / 4))];
}

/** segment-anything's `calculate_stability_score` with offset 1, on the part of the 256 grid that holds the image. */
function stabilityScore(logits: Float32Array, inputSize: Size): number {
  const [height, width] = gridOf(inputSize);
  let high = 0;
  let low = 0;
  for (let y = 0; y < height; y++) {
    for (let p = y * 256; p < y * 256 + width; p++) {
      if (logits[p] > 1) high++;
      if (logits[p] > -1) low++;
    }
  }
  return low === 0 ? 0 : high / low;
}
