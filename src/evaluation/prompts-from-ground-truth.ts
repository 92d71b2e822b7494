import type { Size, YX, YXYX } from '../ndimage/array.js';
import { extendBox } from '../ndimage/boxes.js';
import { innermostPixel } from '../ndimage/distance.js';
import type { Mask } from '../ndimage/mask.js';
import { clipMask, subtractMasks } from '../ndimage/mask-sets.js';
import { dilate } from '../ndimage/morphology.js';
import { fullMask, maskFromBitmap, maskSpans, maskToBitmap, translateMask } from '../ndimage/rle.js';
import type { ImagePrompt, PromptPoint } from '../segmentation/image-prompt.js';

/**
 * The prompts a careful person would give for a known object, so that a model's answer can be scored: micro-sam's
 * `PointAndBoxPromptGenerator` of micro-sam 1.8. The first positive point is the innermost pixel, further ones are random
 * pixels of the object; negatives are random pixels near it. Points are pixel centres.
 */
export interface PromptSetting {
  readonly positives: number;
  readonly negatives: number;
  readonly box: boolean;
}

/** What micro-sam reports: p1-n0, p2-n4, p4-n8 and the box. */
export const STANDARD_SETTINGS: readonly PromptSetting[] = [
  { positives: 1, negatives: 0, box: false },
  { positives: 2, negatives: 4, box: false },
  { positives: 4, negatives: 8, box: false },
  { positives: 0, negatives: 0, box: true },
];

/** Pixels that negatives keep away from the object, and the room around its box they are drawn from. */
const DILATION = 5;

/** @param random values in [0, 1); seeded for repeatable figures */
export function promptFromObject(object: Mask, size: Size, setting: PromptSetting, random: () => number): ImagePrompt {
  const centre = setting.positives > 0 ? innermostPixel(object) : undefined;
  const positives = centre ? [centre] : [];
  if (centre && setting.positives > 1) {
    const [y, x] = centre;
    const others = subtractMasks(object, translateMask(fullMask([1, 1]), y, x));
    positives.push(...randomPixels(others, setting.positives - 1, random));
  }
  const negatives = setting.negatives > 0 ? negativePixels(object, size, setting.negatives, random) : [];
  const toPoint = ([y, x]: YX, positive: boolean): PromptPoint => ({ at: [y + 0.5, x + 0.5], positive });
  return {
    points: [...positives.map((at) => toPoint(at, true)), ...negatives.map((at) => toPoint(at, false))],
    box: setting.box ? object.box : undefined,
  };
}

function negativePixels(object: Mask, size: Size, count: number, random: () => number): YX[] {
  const far = dilateMask(object, DILATION, size);
  const near = subtractMasks(boxMask(extendBox(object.box, DILATION, size)), far);
  if (near.area >= count) return randomPixels(near, count, random);
  return randomPixels(subtractMasks(fullMask(size), far), count, random);
}

/** The object grown by a 3 x 3 square `iterations` times, inside the image. */
export function dilateMask(mask: Mask, iterations: number, size: Size): Mask {
  const [top, left, bottom, right] = mask.box;
  const frame: Size = [bottom - top + 2 * iterations, right - left + 2 * iterations];
  const offset: YX = [top - iterations, left - iterations];
  const grown = dilate({ data: maskToBitmap(mask, frame, offset), shape: frame }, { structure: 'all', iterations });
  return clipMask(maskFromBitmap(grown.data, frame, offset), size);
}

export function boxMask([top, left, bottom, right]: YXYX): Mask {
  return translateMask(fullMask([bottom - top, right - left]), top, left);
}

/** Different pixels of the mask, each as likely as any other; all of them if there are no more than `count`. */
export function randomPixels(mask: Mask, count: number, random: () => number): YX[] {
  const wanted = Math.min(count, mask.area);
  const chosen = new Set<number>();
  // Floyd's sampling: no list of all pixels is made.
  for (let k = mask.area - wanted; k < mask.area; k++) {
    const drawn = Math.floor(random() * (k + 1));
    chosen.add(chosen.has(drawn) ? k : drawn);
  }
  const ranks = [...chosen].sort((a, b) => a - b);
  const spans = maskSpans(mask);
  const pixels: YX[] = [];
  let before = 0;
  for (let i = 0, k = 0; i < spans.length && k < ranks.length; i += 3) {
    const [y, start, end] = [spans[i]!, spans[i + 1]!, spans[i + 2]!];
    for (; k < ranks.length && ranks[k]! < before + end - start; k++) pixels.push([y, start + ranks[k]! - before]);
    before += end - start;
  }
  return pixels;
}
