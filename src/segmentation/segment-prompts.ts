import { SamError } from '../errors.js';
import { present } from '../items.js';
import type { Size } from '../ndimage/array.js';
import { boxContains } from '../ndimage/boxes.js';
import type { Mask } from '../ndimage/mask.js';
import { rasterizePolygon } from '../ndimage/rasterize.js';
import type { TaskOptions } from '../task.js';
import type { SegmentContext } from './context.js';
import { type MaskCandidate, segmentEach } from './from-prompts.js';
import { checkImagePrompt, type ImagePrompt, type PromptPoint } from './image-prompt.js';
import type { PointPrompt, Prompt } from './prompts.js';
import type { ScoredMask } from './scored-mask.js';

/**
 * What the segment command means: which of the prompts a person has set belong to one object, as in micro-sam's
 * annotators. With `batched` every positive point is an object, and all negative points speak against each; a box gets
 * the negative points inside it, and a drawn shape counts as its box.
 */
export interface SegmentedObject extends Partial<ScoredMask> {
  /** 1, 2, … in the order of the prompts; prompts that found nothing leave a gap. */
  readonly id: number;
  readonly mask: Mask;
  /** What it was made from. */
  readonly prompts: readonly Prompt[];
  /** To choose from, best first; more than one for a single positive point. Kept up to `KEEP_CANDIDATES` objects. */
  readonly candidates?: readonly MaskCandidate[];
}

export interface SegmentedPrompts {
  readonly objects: readonly SegmentedObject[];
  /** For people: prompts that found nothing, points that had no effect, objects cut by their tile. */
  readonly notices: readonly string[];
}

export interface SegmentPromptsOptions extends TaskOptions {
  /** Each positive point and each box is an object of its own. */
  readonly batched?: boolean;
  /** All candidates as the model has them, none rough. */
  readonly exactLogits?: boolean;
}

/** A megabyte per object and more: with many objects they are dropped. */
export const KEEP_CANDIDATES = 32;
export const MAX_OBJECTS = 10_000;

interface PlannedObject {
  readonly prompts: readonly Prompt[];
  readonly prompt: ImagePrompt;
}

/**
 * @param prompts those of other planes than the context's are left out
 * @throws SamError no_prompts, invalid_prompt
 */
export async function segmentPrompts(
  context: SegmentContext,
  prompts: readonly Prompt[],
  options: SegmentPromptsOptions = {},
): Promise<SegmentedPrompts> {
  const { size } = context.embeddings;
  const here = prompts.filter((prompt) => prompt.plane === context.plane);
  const planned = planObjects(here, size, options.batched ?? false);
  for (const { prompt } of planned) checkImagePrompt(prompt, size);
  const objects: SegmentedObject[] = [];
  const notices = new Map<string, number>();
  const empty: number[] = [];
  const keep = planned.length <= KEEP_CANDIDATES;
  const asked = planned.map(({ prompt }) => prompt);
  const { signal, onProgress, exactLogits } = options;
  for await (const [index, result] of segmentEach(context, asked, { signal, onProgress, exactLogits })) {
    if (result.mask.area === 0 || result.takesFrame) {
      empty.push(index + 1);
      continue;
    }
    for (const notice of result.notices) notices.set(notice, (notices.get(notice) ?? 0) + 1);
    const { mask, predictedIou, stability, candidates } = result;
    const kept = keep ? { candidates } : {};
    objects.push({ id: index + 1, mask, prompts: planned[index].prompts, predictedIou, stability, ...kept });
  }
  objects.sort((a, b) => a.id - b.id);
  return { objects, notices: [...emptyNotice(empty, planned.length), ...countedNotices(notices)] };
}

function emptyNotice(empty: readonly number[], total: number): string[] {
  if (empty.length === 0) return [];
  if (total === 1) return [NOTHING_HERE];
  const listed = [...empty].sort((a, b) => a - b);
  const some = listed.slice(0, 10).join(', ') + (listed.length > 10 ? ', …' : '');
  return [`The model found nothing for ${empty.length} of ${total} prompts (${some}).`];
}

export const NOTHING_HERE =
  'Nothing was found here. Draw a box around the object, or state the object size under Model and image settings.';

function countedNotices(notices: ReadonlyMap<string, number>): string[] {
  return [...notices].map(([notice, count]) => (count === 1 ? notice : `${notice} (${count} objects)`));
}

/** The table: which prompts make which objects. */
export function planObjects(prompts: readonly Prompt[], size: Size, batched: boolean): PlannedObject[] {
  const points = prompts.filter((prompt) => prompt.kind === 'point');
  const shapes = prompts.filter((prompt) => prompt.kind !== 'point');
  if (prompts.length === 0)
    throw new SamError('no_prompts', 'There is nothing to segment from: add a point or draw a box first.');
  const planned = batched ? planBatched(points, shapes, size) : planSingle(points, shapes, size);
  if (planned.length > MAX_OBJECTS)
    throw new SamError(
      'invalid_prompt',
      `${planned.length} objects at once are too many, at most ${MAX_OBJECTS} are possible: commit in parts.`,
      { details: { got: planned.length, expected: MAX_OBJECTS } },
    );
  return planned;
}

function planSingle(points: readonly PointPrompt[], shapes: readonly Shape[], size: Size): PlannedObject[] {
  if (shapes.length > 1 && points.length > 0)
    throw new SamError(
      'invalid_prompt',
      `${shapes.length} shapes and ${points.length} points do not say which point belongs to which shape. ` +
        'Keep one shape, or remove the points, or switch batched prompts on.',
    );
  if (shapes.length > 1) return shapes.map((shape) => ({ prompts: [shape], prompt: shapePrompt(shape, size) }));
  const shape = shapes.length === 1 ? shapePrompt(shapes[0], size) : {};
  return [{ prompts: [...points, ...shapes], prompt: { ...shape, points: points.map(toPoint) } }];
}

function planBatched(points: readonly PointPrompt[], shapes: readonly Shape[], size: Size): PlannedObject[] {
  const positives = points.filter(({ positive }) => positive);
  const negatives = points.filter(({ positive }) => !positive);
  if (positives.length === 0 && shapes.length === 0)
    throw new SamError('invalid_prompt', 'Batched prompts need at least one positive point or one box.');
  return [
    ...positives.map((point) => ({
      prompts: [point, ...negatives],
      prompt: { points: [point, ...negatives].map(toPoint) },
    })),
    ...shapes.map((shape) => {
      const box = present(shapePrompt(shape, size).box, 'the box');
      const inside = negatives.filter(({ at }) => boxContains(box, at));
      return { prompts: [shape, ...inside], prompt: { box, points: inside.map(toPoint) } };
    }),
  ];
}

type Shape = Exclude<Prompt, PointPrompt>;

function toPoint({ at, positive }: PointPrompt): PromptPoint {
  return { at, positive };
}

/** A box as it is; a drawn shape as its mask and the mask's box. */
function shapePrompt(shape: Shape, size: Size): ImagePrompt {
  if (shape.kind === 'box') return { box: checkImagePrompt({ box: shape.box }, size).box };
  const mask = shape.kind === 'mask' ? shape.mask : rasterizePolygon([shape.ring], size);
  const inside = present(checkImagePrompt({ mask }, size).mask, 'the mask');
  return { box: inside.box, mask: inside };
}
