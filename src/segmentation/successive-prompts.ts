import type { Mask } from '../ndimage/mask.js';
import { maskIou } from '../ndimage/mask-sets.js';
import type { TaskOptions } from '../task.js';
import type { SegmentContext } from './context.js';
import { correctMask, segmentNear } from './correct-mask.js';
import type { PointPrompt, Prompt } from './prompts.js';
import { scoredMask } from './scored-mask.js';
import { type SegmentedObject, type SegmentedPrompts, segmentPrompts } from './segment-prompts.js';

/**
 * One object from prompts in the order in which a person gave them: the box, the drawn shape or the first positive point
 * says which object it is; each further point corrects the mask that was there when it was set (correct-mask.ts). The
 * same prompts give the same mask whether they came one by one or faster than the model answers.
 */
export interface SuccessiveStart {
  /** The mask to be corrected, and how many of the points are in it already. */
  readonly mask?: Mask;
  readonly used?: number;
  /** Where there is no mask yet: the object's mask in the nearest plane that has one. */
  readonly neighbour?: Mask;
}

/**
 * More points than this, all at once, correct nothing that anybody has seen: they go to the model together, as in
 * micro-sam.
 */
const MOST_CORRECTIONS = 12;

const NO_POSITIVE =
  'Negative points say what is not part of the object. Add a positive point inside it, or draw a box.';

/** @param prompts of the context's plane and of one object: at most one of them is no point */
export async function segmentSuccessively(
  context: SegmentContext,
  prompts: readonly Prompt[],
  { mask, used = 0, neighbour }: SuccessiveStart = {},
  task: TaskOptions = {},
): Promise<SegmentedPrompts> {
  const points = prompts.filter((prompt) => prompt.kind === 'point');
  if (mask) {
    const object = await corrected(context, { id: 1, mask, prompts }, points, used, task);
    return { objects: [object], notices: [] };
  }
  const first = prompts.find((prompt) => prompt.kind !== 'point') ?? points.find(({ positive }) => positive);
  if (!first) return { objects: [], notices: [NO_POSITIVE] };
  const ordered = first.kind === 'point' ? [first, ...points.filter((point) => point !== first)] : points;
  const done = first.kind === 'point' ? 1 : 0;
  if (ordered.length - done > MOST_CORRECTIONS) return segmentPrompts(context, prompts, task);
  const near = neighbour && first.kind === 'point' ? await nearNeighbour(context, neighbour, first, task) : undefined;
  const found = near ? { objects: [near], notices: [] } : await segmentPrompts(context, [first], task);
  const [object] = found.objects;
  if (ordered.length === done) return found;
  if (!object) return segmentPrompts(context, prompts, task);
  const result = await corrected(context, object, ordered, done, task);
  return { objects: [{ ...result, prompts }], notices: found.notices };
}

/** The object after each of the points from number `done` on. */
async function corrected(
  context: SegmentContext,
  object: SegmentedObject,
  points: readonly PointPrompt[],
  done: number,
  task: TaskOptions,
): Promise<SegmentedObject> {
  let { mask, predictedIou, stability } = object;
  for (let k = done; k < points.length; k++) {
    task.signal?.throwIfAborted();
    const result = await correctMask(context, mask, points[k], points.slice(0, k + 1), task);
    if (result.mask !== mask) ({ mask, predictedIou, stability } = result);
  }
  if (mask === object.mask) return object;
  return { id: object.id, prompts: object.prompts, mask, predictedIou, stability };
}

async function nearNeighbour(
  context: SegmentContext,
  neighbour: Mask,
  point: PointPrompt,
  task: TaskOptions,
): Promise<SegmentedObject | undefined> {
  const [best, ...others] = await segmentNear(context, neighbour, [point], task);
  if (!best) return undefined;
  const different = others.filter((other, i) =>
    [best, ...others.slice(0, i)].every((earlier) => maskIou(earlier.mask, other.mask) < SAME),
  );
  return {
    id: 1,
    ...scoredMask(best),
    prompts: [point],
    candidates: [best, ...different].slice(0, OFFERED),
  };
}

/** Masks to choose from, as many as for a point alone, and from which IoU on two of them are no choice. */
const OFFERED = 3;
const SAME = 0.9;
