import { itemAt } from '../items.js';
import type { LabelImage, Size } from '../ndimage/array.js';
import { extendBox } from '../ndimage/boxes.js';
import type { Mask } from '../ndimage/mask.js';
import { intersectMasks, maskIou, subtractMasks } from '../ndimage/mask-sets.js';
import { EMPTY_MASK, fullMask, masksFromLabels } from '../ndimage/rle.js';
import type { PromptContext } from '../segmentation/context.js';
import { segmentEach } from '../segmentation/from-prompts.js';
import type { ImagePrompt, LowResLogits, PromptPoint } from '../segmentation/image-prompt.js';
import type { TaskOptions } from '../task.js';
import { boxMask, type PromptSetting, promptFromObject, randomPixels } from './prompts-from-ground-truth.js';

/**
 * How well the model follows prompts: once (`evaluatePrompts`), and as with a person who corrects it click by click
 * (`evaluateIteratively`: `run_inference_with_iterative_prompting` of micro-sam 1.8).
 */
export interface PromptedObjects {
  /** Ids of the reference objects. */
  readonly ids: readonly number[];
  /** What the model made of each, possibly empty; masks may overlap. */
  readonly masks: readonly Mask[];
  /** IoU with the reference. */
  readonly ious: readonly number[];
  /** Mean over objects; 0 without objects. */
  readonly meanIou: number;
}

export interface PromptEvaluationOptions extends TaskOptions {
  /** Values in [0, 1); seeded for repeatable figures. */
  readonly random: () => number;
  /** Smaller objects of the reference are left out (default 0 pixels). */
  readonly minSize?: number;
  /** At most so many objects, the first by id. */
  readonly maxObjects?: number;
  readonly batchSize?: number;
  /** As in `SegmentOptions`. */
  readonly objectDiameter?: number;
}

/** Every object of the reference from one prompt; best of three masks for a single point, else the single mask. */
export async function evaluatePrompts(
  context: PromptContext,
  reference: LabelImage,
  setting: PromptSetting,
  options: PromptEvaluationOptions,
): Promise<PromptedObjects> {
  const objects = objectsOf(reference, options);
  const { size } = context.embeddings;
  const prompts = objects.map(([, object]) => promptFromObject(object, size, setting, options.random));
  const { masks } = await segmentAll(context, prompts, options, false);
  return scored(objects, masks);
}

export interface IterativeOptions extends PromptEvaluationOptions {
  readonly start: 'point' | 'box';
  /** Number of results, the first from the start prompt alone (default 8). */
  readonly iterations?: number;
  /** Feed the logits of each pass into the next. */
  readonly useLogits?: boolean;
}

/** One result per iteration. Each adds a positive point where the object was missed and a negative where it was left. */
export async function evaluateIteratively(
  context: PromptContext,
  reference: LabelImage,
  options: IterativeOptions,
): Promise<PromptedObjects[]> {
  const { start, iterations = 8, useLogits = false, random, onProgress } = options;
  const { size } = context.embeddings;
  const objects = objectsOf(reference, options);
  const first: PromptSetting = { positives: start === 'point' ? 1 : 0, negatives: 0, box: start === 'box' };
  let prompts = objects.map(([, object]) => promptFromObject(object, size, first, random));
  const results: PromptedObjects[] = [];
  for (let i = 0; i < iterations; i++) {
    const inner: PromptEvaluationOptions = {
      ...options,
      onProgress: ({ done, total, message }) =>
        onProgress?.({
          done: i * total + done,
          total: iterations * total,
          message: `Pass ${i + 1} of ${iterations}: ${message}`,
        }),
    };
    const { masks, logits } = await segmentAll(context, prompts, inner, useLogits);
    results.push(scored(objects, masks));
    if (i + 1 === iterations) break;
    prompts = prompts.map((prompt, k) => ({
      ...prompt,
      points: [...(prompt.points ?? []), ...correctionPoints(itemAt(objects, k)[1], itemAt(masks, k), size, random)],
      previous: logits[k],
    }));
  }
  return results;
}

/**
 * One positive point from what was missed (else from what was found), one negative from what is too much (else from near
 * the object, else from anywhere outside it). Source: `IterativePromptGenerator` of micro-sam 1.8.
 */
export function correctionPoints(object: Mask, found: Mask, size: Size, random: () => number): PromptPoint[] {
  const positiveFrom = firstNonEmpty(subtractMasks(object, found), intersectMasks(object, found));
  const negativeFrom = firstNonEmpty(
    subtractMasks(found, object),
    subtractMasks(boxMask(extendBox(object.box, 3, size)), object),
    subtractMasks(fullMask(size), object),
  );
  return [
    ...randomPixels(positiveFrom, 1, random).map(([y, x]): PromptPoint => ({ at: [y + 0.5, x + 0.5], positive: true })),
    ...randomPixels(negativeFrom, 1, random).map(
      ([y, x]): PromptPoint => ({ at: [y + 0.5, x + 0.5], positive: false }),
    ),
  ];
}

function firstNonEmpty(...masks: readonly Mask[]): Mask {
  return masks.find((mask) => mask.area > 0) ?? EMPTY_MASK;
}

function objectsOf(reference: LabelImage, { minSize = 0, maxObjects = Infinity }: PromptEvaluationOptions) {
  return [...masksFromLabels(reference)].filter(([, mask]) => mask.area >= minSize).slice(0, maxObjects);
}

async function segmentAll(
  context: PromptContext,
  prompts: readonly ImagePrompt[],
  { signal, onProgress, batchSize, objectDiameter }: PromptEvaluationOptions,
  keepLogits: boolean,
): Promise<{ masks: Mask[]; logits: (LowResLogits | undefined)[] }> {
  const masks: Mask[] = [];
  const logits: (LowResLogits | undefined)[] = [];
  const options = { signal, onProgress, batchSize, exactLogits: keepLogits, objectDiameter };
  for await (const [index, { mask, lowRes }] of segmentEach(context, prompts, options)) {
    masks[index] = mask;
    logits[index] = keepLogits ? lowRes : undefined;
  }
  return { masks, logits };
}

function scored(objects: readonly (readonly [number, Mask])[], masks: readonly Mask[]): PromptedObjects {
  const ious = objects.map(([, object], k) => maskIou(object, itemAt(masks, k)));
  return {
    ids: objects.map(([id]) => id),
    masks,
    ious,
    meanIou: ious.length === 0 ? 0 : ious.reduce((sum, iou) => sum + iou, 0) / ious.length,
  };
}
