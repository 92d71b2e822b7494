import { evaluatePrompts, type PromptedObjects } from '../../src/evaluation/iterative-prompting.js';
import { STANDARD_SETTINGS } from '../../src/evaluation/prompts-from-ground-truth.js';
import type { LabelImage } from '../../src/ndimage/array.js';
import { mapLabels } from '../../src/ndimage/label.js';
import { maskSpans, masksFromLabels } from '../../src/ndimage/rle.js';
import { hasData } from '../support/data.js';
import { contextOf } from '../support/embedding-source.js';
import { nucleiIds, readGroundTruth } from '../support/ground-truth.js';
import { realWorker } from '../support/real-worker.js';
import { atLeast, type Figure } from './figure.js';

/**
 * What the built-in models make of ideal prompts on 15 images of nuclei: mean IoU per image, then the mean over images. The
 * limits are what the models themselves give; less means that something is lost between prompt and mask. Empty without the
 * images.
 */

const [CENTRE_POINT] = STANDARD_SETTINGS;
const BOX = STANDARD_SETTINGS[3];
const MIN_PIXELS = 20;
const MAX_OBJECTS = 150;

/** Ids in order of the objects' first pixels, so that the first 150 are the same however the labels were numbered. */
function inRasterOrder(labels: LabelImage): LabelImage {
  const firstPixel = [...masksFromLabels(labels)].map(([id, mask]) => {
    const [y, x] = maskSpans(mask);
    return { id, at: y * labels.shape[1] + x };
  });
  firstPixel.sort((a, b) => a.at - b.at);
  return mapLabels(labels, new Map(firstPixel.map(({ id }, k) => [id, k + 1])));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** What each model gives at least. */
const LIMITS = [
  { model: 'vit_t', prefix: '', box: 0.815, point: 0.585 },
  { model: 'msi_lm', prefix: 'lm_', box: 0.825, point: 0.67 },
] as const;

export default async function run(): Promise<Figure[]> {
  if (!hasData) return [];
  const worker = await realWorker();
  const figures: Figure[] = [];
  for (const { model, prefix, ...limits } of LIMITS) {
    const perImage: { box: PromptedObjects; point: PromptedObjects }[] = [];
    for (const id of nucleiIds()) {
      const { pixels, labels } = await readGroundTruth(id);
      const context = contextOf(worker, pixels, undefined, model);
      const reference = inRasterOrder(labels);
      const options = { random: Math.random, minSize: MIN_PIXELS, maxObjects: MAX_OBJECTS };
      const box = await evaluatePrompts(context, reference, BOX, options);
      const point = await evaluatePrompts(context, reference, CENTRE_POINT, options);
      const objects = String(box.ids.length).padStart(4);
      console.error(
        `${model.padEnd(8)}${id.padEnd(18)}${objects} objects  box ${box.meanIou.toFixed(3)}  point ${point.meanIou.toFixed(3)}`,
      );
      perImage.push({ box, point });
    }
    figures.push(
      atLeast(`${prefix}box_iou`, mean(perImage.map(({ box }) => box.meanIou)), 'mean IoU', limits.box),
      atLeast(`${prefix}point_iou`, mean(perImage.map(({ point }) => point.meanIou)), 'mean IoU', limits.point),
    );
  }
  await worker.close();
  return figures;
}
