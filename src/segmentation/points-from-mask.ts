import type { Size, YXYX } from '../ndimage/array.js';
import { extendBox } from '../ndimage/boxes.js';
import { distanceTransform } from '../ndimage/distance.js';
import { gaussianFilter } from '../ndimage/gaussian.js';
import type { Mask } from '../ndimage/mask.js';
import { dilate } from '../ndimage/morphology.js';
import { localMaxima } from '../ndimage/peaks.js';
import { maskToBitmap } from '../ndimage/rle.js';
import type { PromptPoint } from './image-prompt.js';

/**
 * Point prompts that describe a mask: maxima of the smoothed distance to its outline, inside as positive and outside as
 * negative points. Source: `_compute_points_from_mask` of micro-sam 1.8: only the outline inside the extended box counts,
 * so that without an extension the points move towards the sides of the box, and a point is the index of its pixel and
 * goes to the model like that. A mask that fills its box has no outline in it; there, and where centres of pixels are
 * asked for, the box gets a pixel of room. (micro-sam's distances are those to the box's corner then.)
 */
export interface PointsFromMaskOptions {
  /** Room for negative points around the mask: pixels if >= 1, else a fraction of its sides. */
  readonly boxExtension?: number;
  /** Only the innermost positive point. */
  readonly singlePoint?: boolean;
  /** At most so many positive and so many negative points, the farthest from the outline. */
  readonly maxPoints?: number;
  /** Points are the centres of their pixels, and all of the outline counts. */
  readonly centred?: boolean;
}

const SIGMA = 1;
const POSITIVE_DISTANCE = 3;
const NEGATIVE_DISTANCE = 5;

/** @param mask not empty, inside the [height, width] image */
export function pointsFromMask(
  mask: Mask,
  size: Size,
  { boxExtension = 0, singlePoint = false, maxPoints = Infinity, centred = false }: PointsFromMaskOptions = {},
): PromptPoint[] {
  const extended = extendBox(mask.box, boxExtension, size);
  const tight = outlineIn(extended, mask);
  const { top, left, height, width, inside, notOutline } =
    centred || !tight.notOutline.includes(0) ? outlineIn(withRoom(extended, mask), mask) : tight;
  const distance = gaussianFilter(distanceTransform({ data: notOutline, shape: [height, width] }), SIGMA).data;
  const only = (side: 0 | 1) => ({
    data: distance.map((value, p) => (inside[p] === side ? value : 0)),
    shape: [height, width],
  });
  const shift = centred ? 0.5 : 0;
  const toPoint = (y: number, x: number, positive: boolean): PromptPoint => ({
    at: [y + top + shift, x + left + shift],
    positive,
  });
  if (singlePoint) {
    const { data } = only(1);
    let best = 0;
    for (let p = 1; p < data.length; p++) if (data[p] > data[best]) best = p;
    return [toPoint(Math.floor(best / width), best % width, true)];
  }
  const inImage = ({ at }: PromptPoint) => at[0] >= 0 && at[1] >= 0 && at[0] < size[0] && at[1] < size[1];
  const points = (side: 0 | 1, apart: number) =>
    localMaxima(only(side), apart)
      .map(([y, x]) => toPoint(y, x, side === 1))
      .filter(inImage)
      .slice(0, maxPoints);
  return [...points(1, POSITIVE_DISTANCE), ...points(0, NEGATIVE_DISTANCE)];
}

/** The box, at least a pixel larger than the mask. */
function withRoom(box: YXYX, { box: [top, left, bottom, right] }: Mask): YXYX {
  return [
    Math.min(box[0], top - 1),
    Math.min(box[1], left - 1),
    Math.max(box[2], bottom + 1),
    Math.max(box[3], right + 1),
  ];
}

/** The mask cut out of a box; its outline are the background pixels beside it, 0 in `notOutline`. */
function outlineIn([top, left, bottom, right]: YXYX, mask: Mask) {
  const shape: Size = [bottom - top, right - left];
  const inside = maskToBitmap(mask, shape, [top, left]);
  const notOutline = dilate({ data: inside, shape }).data.map((value, p) => (value && !inside[p] ? 0 : 1));
  return { top, left, height: shape[0], width: shape[1], inside, notOutline };
}
