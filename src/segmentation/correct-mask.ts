import type { Size, YX, YXYX } from '../ndimage/array.js';
import { tileAt } from '../ndimage/blocking.js';
import { componentAt } from '../ndimage/component.js';
import { distanceToEdge, distanceTransform } from '../ndimage/distance.js';
import type { Mask } from '../ndimage/mask.js';
import { cropMask, maskIou, subtractMasks, unionMasks } from '../ndimage/mask-sets.js';
import { rasterizeStroke } from '../ndimage/rasterize.js';
import { EMPTY_MASK, maskContains, maskToBitmap } from '../ndimage/rle.js';
import type { TaskOptions } from '../task.js';
import type { SegmentContext } from './context.js';
import { type MaskCandidate, segmentBatch } from './from-prompts.js';
import type { ImagePrompt, PromptPoint } from './image-prompt.js';
import { type ScoredMask, scoredMask } from './scored-mask.js';
import { takesFrame } from './tiled.js';

/** Without scores where the hand, and no answer of the model, decided. */
type CorrectedMask = Pick<ScoredMask, 'mask'> & Partial<ScoredMask>;

/**
 * A correcting click: "this belongs to it, too", or "this does not". SAM, asked from the clicks alone, finds another
 * object; given the mask as well, it often gives that mask back, or all of the image. So it is asked in several ways, and
 * of an answer only the part of its change is taken that holds the click: all that nobody complained of stays as it is.
 * Which answer: the one that the model believes in, that leaves most of the mask as it was, and in the middle of whose
 * change the click lies, where people click. docs/correction.md has what this and other rules gave.
 *
 * @param points all that are set in this plane, the correcting one among them; the mask holds the others already
 * @returns scored as the answer that was followed; without scores where none was
 */
export async function correctMask(
  context: SegmentContext,
  mask: Mask,
  click: PromptPoint,
  points: readonly PromptPoint[],
  { signal }: TaskOptions = {},
): Promise<CorrectedMask> {
  if (honours(mask, [click])) return { mask };
  if (mask.area === 0) return fromPoints(context, click, points, { signal });
  const { size, tiling } = context.embeddings;
  const answers = await askedInSeveralWays(context, mask, points, click.at, { signal });
  // Outside its tile an answer says nothing.
  const seen = tiling ? cropMask(mask, tiling.tiles[tileAt(tiling, click.at)].outer) : mask;
  const reach = distanceToEdge(mask, click.at);
  const disk = Math.PI * Math.max(1.5, reach) ** 2;
  const most = disk * (reach < BESIDE_EDGE ? LARGEST_CHANGE_THERE : LARGEST_CHANGE);
  const frame: YXYX = [0, 0, ...size];
  const mayBeAll = takesFrame(mask, frame);
  const edits = answers.flatMap((answer) => {
    const edit = editAt(mask, seen, answer.mask, click);
    if (edit.mask.area === 0 || edit.change.area === 0 || edit.change.area > most || !honours(edit.mask, points))
      return [];
    if (!mayBeAll && takesFrame(edit.mask, frame)) return [];
    const central = centrality(edit.change, click.at);
    const score =
      Math.min(1, answer.predictedIou) +
      maskIou(edit.mask, mask) +
      CENTRALITY * central +
      (answer.prompt === 0 ? FREE_OF_BOX : 0);
    return { mask: edit.mask, area: edit.change.area, answer, central, score };
  });
  const best = edits.reduce<(typeof edits)[number] | undefined>((a, b) => (a && a.score >= b.score ? a : b), undefined);
  const agreed = edits.some(({ answer }) => answer.prompt !== best?.answer.prompt);
  const isDoubtful = best && best.central < OFF_CENTRE && best.area > disk && !agreed;
  if (!best || isDoubtful) return { mask: dabbed(mask, click, points, reach, size) };
  return { ...scoredMask(best.answer), mask: best.mask };
}

/**
 * Points in a plane that has no mask of the object yet, whose mask in the nearest plane is known: that mask says how
 * large the object is, and which of the model's answers is meant.
 */
export async function segmentNear(
  context: SegmentContext,
  neighbour: Mask,
  points: readonly PromptPoint[],
  { signal }: TaskOptions = {},
): Promise<MaskCandidate[]> {
  const box = boxAround(neighbour.box, points, context.embeddings.size);
  const prompts: ImagePrompt[] = [
    { mask: neighbour, softMask: true, points },
    { box, points },
    { box, mask: neighbour, softMask: true, points },
    { points },
  ];
  const answers = await answersTo(context, prompts, { signal });
  const score = ({ mask, predictedIou }: MaskCandidate) =>
    Math.min(1, predictedIou) +
    AS_NEIGHBOUR * maskIou(mask, neighbour) -
    LARGER * Math.max(0, Math.log(mask.area / neighbour.area));
  return answers.filter(({ mask }) => honours(mask, points)).sort((a, b) => score(b) - score(a));
}

/** Of a mask that clicks have taken away entirely. */
async function fromPoints(
  context: SegmentContext,
  click: PromptPoint,
  points: readonly PromptPoint[],
  task: TaskOptions,
): Promise<CorrectedMask> {
  const answers = (await answersTo(context, [{ points }], task)).filter(({ mask }) => honours(mask, points));
  if (answers.length === 0) return { mask: dabbed(EMPTY_MASK, click, points, 1, context.embeddings.size) };
  const best = answers.reduce((a, b) => (b.predictedIou > a.predictedIou ? b : a));
  return scoredMask(best);
}

/** Once more from the same points and the mask there is: the answer that honours them, by score and agreement. */
export async function refineMask(
  context: SegmentContext,
  mask: Mask,
  points: readonly PromptPoint[],
  { signal }: TaskOptions = {},
): Promise<CorrectedMask> {
  const answers = await askedInSeveralWays(context, mask, points, undefined, { signal });
  const score = (answer: MaskCandidate) => Math.min(1, answer.predictedIou) + maskIou(answer.mask, mask);
  const [best] = answers.filter((answer) => honours(answer.mask, points)).sort((a, b) => score(b) - score(a));
  return best ? scoredMask(best) : { mask };
}

/** Area of the largest change that a click makes, in disks as wide as the click is away from the mask's edge. */
const LARGEST_CHANGE = 8;
/** Nearer to the edge than so many pixels the error is narrow, and what takes more than a strip of it is another object. */
const BESIDE_EDGE = 2.5;
const LARGEST_CHANGE_THERE = 2;

/** Weights beside the predicted IoU and the agreement with the mask, which count 1 each. */
const CENTRALITY = 0.6;
/** For answers without the mask's box, which SAM fills: many masks that need correcting are too large. */
const FREE_OF_BOX = 0.5;

/** A large change that one way of asking alone gives, and in which the click is less central than this, is not believed. */
const OFF_CENTRE = 0.35;

/** In a plane without a mask: of agreement with the neighbour's, and of being larger than that (per e-fold). */
const AS_NEIGHBOUR = 0.7;
const LARGER = 0.6;

interface Answer extends MaskCandidate {
  /** Which of the prompts it answers. */
  readonly prompt: number;
}

function askedInSeveralWays(
  context: SegmentContext,
  mask: Mask,
  points: readonly PromptPoint[],
  at: YX | undefined,
  task: TaskOptions,
): Promise<Answer[]> {
  const inner = innerPoint(mask, points);
  const withInner = [{ at: inner, positive: true }, ...points];
  const box = boxAround(mask.box, points, context.embeddings.size);
  const prompts: ImagePrompt[] = [
    { mask, softMask: true, points: withInner },
    { box, points: withInner },
    { box, mask, softMask: true, points: withInner },
  ];
  return answersTo(
    context,
    prompts.map((prompt) => ({ ...prompt, tileAt: at })),
    task,
    takesFrame(mask, [0, 0, ...context.embeddings.size]),
  );
}

/** All masks of all prompts that are an answer: not empty, and not the whole image unless that is asked for. */
async function answersTo(
  context: SegmentContext,
  prompts: readonly ImagePrompt[],
  { signal }: TaskOptions,
  largeToo = false,
): Promise<Answer[]> {
  const results = await segmentBatch(context, prompts, { multimask: true, exactLogits: largeToo, signal });
  const frame: YXYX = [0, 0, ...context.embeddings.size];
  return results
    .flatMap(({ candidates }, prompt) => candidates.map((candidate) => ({ ...candidate, prompt })))
    .filter(({ mask, rough }) => mask.area > 0 && (largeToo || (!rough && !takesFrame(mask, frame))));
}

function honours(mask: Mask, points: readonly PromptPoint[]): boolean {
  return points.every(({ at, positive }) => maskContains(mask, at[0], at[1]) === positive);
}

/** Of what the answer would change in the part of the mask that was seen, what holds the click; and the mask with it. */
function editAt(mask: Mask, seen: Mask, answer: Mask, { at, positive }: PromptPoint): { change: Mask; mask: Mask } {
  const change = componentAt(positive ? subtractMasks(answer, mask) : subtractMasks(seen, answer), at);
  return { change, mask: positive ? unionMasks(mask, change) : subtractMasks(mask, change) };
}

/**
 * No answer is of use: the clicked pixel, at least, is right, and a disk around it up to the mask's edge may be, as far
 * as no point says otherwise. Nothing beyond: along an outline what is wrong is often one pixel wide.
 */
function dabbed(
  mask: Mask,
  { at, positive }: PromptPoint,
  points: readonly PromptPoint[],
  reach: number,
  size: Size,
): Mask {
  const centre: YX = [Math.floor(at[0]) + 0.5, Math.floor(at[1]) + 0.5];
  const apart = points
    .filter((point) => point.positive !== positive)
    .map((point) => Math.hypot(point.at[0] - centre[0], point.at[1] - centre[1]) - 1);
  const radius = Math.max(0.5, Math.min(reach - 0.5, DAB * Math.sqrt(mask.area / Math.PI), ...apart));
  const dab = rasterizeStroke([centre], radius, size);
  return positive ? unionMasks(mask, dab) : subtractMasks(mask, dab);
}

/** Radius of a dab, at most, as a part of the radius of a disk of the object's area. */
const DAB = 0.3;

/** The pixel deepest inside the mask, and away from negative points. */
function innerPoint(mask: Mask, points: readonly PromptPoint[]): YX {
  const { distance, width, offset } = depths(mask, points);
  let best = 0;
  for (let p = 1; p < distance.length; p++) if (distance[p] > distance[best]) best = p;
  return [Math.floor(best / width) + offset[0] + 0.5, (best % width) + offset[1] + 0.5];
}

/** 1 if the click is as deep inside the change as one can be, near 0 at its edge. */
function centrality(change: Mask, at: YX): number {
  const { distance, width, offset } = depths(change);
  const here = distance[(Math.floor(at[0]) - offset[0]) * width + Math.floor(at[1]) - offset[1]];
  return here / distance.reduce((most, depth) => Math.max(most, depth), 0);
}

/** Distance to the outside of each pixel of the mask's box and one pixel more; negative points count as outside. */
function depths({ box: [top, left, bottom, right], ...rest }: Mask, points: readonly PromptPoint[] = []) {
  const [height, width] = [bottom - top + 2, right - left + 2];
  const offset: YX = [top - 1, left - 1];
  const data = maskToBitmap({ box: [top, left, bottom, right], ...rest }, [height, width], offset);
  for (const { at, positive } of points) {
    const [y, x] = [Math.floor(at[0]) - offset[0], Math.floor(at[1]) - offset[1]];
    if (!positive && y >= 0 && x >= 0 && y < height && x < width) data[y * width + x] = 0;
  }
  return { distance: distanceTransform({ data, shape: [height, width] }).data, width, offset };
}

/** Whether the pixel at (y, x) is in the mask, but not in its core. */
export function isNearEdge(mask: Mask, at: YX): boolean {
  if (!maskContains(mask, at[0], at[1])) return false;
  const { distance } = depths(mask);
  return distanceToEdge(mask, at) < CORE * distance.reduce((most, depth) => Math.max(most, depth), 0);
}

/** Depth at which the core of a mask begins, as a part of its largest depth. */
const CORE = 0.6;

/** The box, and the positive points with a little room. */
function boxAround(box: YXYX, points: readonly PromptPoint[], [height, width]: Size): YXYX {
  let [top, left, bottom, right] = box;
  for (const { at, positive } of points) {
    if (!positive) continue;
    top = Math.min(top, at[0] - ROOM);
    left = Math.min(left, at[1] - ROOM);
    bottom = Math.max(bottom, at[0] + ROOM);
    right = Math.max(right, at[1] + ROOM);
  }
  return [Math.max(0, top), Math.max(0, left), Math.min(height, bottom), Math.min(width, right)];
}

const ROOM = 3;
