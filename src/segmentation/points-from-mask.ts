import type { Size } from '../ndimage/array.js';
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
 * negative points. Source: `_compute_points_from_mask` of micro-sam 1.8. The crop is at least one pixel larger than the
 * mask, so that the outline is never cut off. As in micro-sam a point is the index of its pixel, and goes to the
 * model like that, unless centres of pixels are asked for.
 */
export interface PointsFromMaskOptions {
  /** Room for negative points around the mask: pixels if >= 1, else a fraction of its sides. */
  readonly boxExtension?: number;
  /** Only the innermost positive point. */
  readonly singlePoint?: boolean;
  /** At most so many positive and so many negative points, the farthest from the outline. */
  readonly maxPoints?: number;
  /** Points are the centres of their pixels. */
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
  const least: Mask['box'] = [mask.box[0] - 1, mask.box[1] - 1, mask.box[2] + 1, mask.box[3] + 1];
  const extended = extendBox(mask.box, boxExtension, size);
  const top = Math.min(least[0], extended[0]);
  const left = Math.min(least[1], extended[1]);
  const height = Math.max(least[2], extended[2]) - top;
  const width = Math.max(least[3], extended[3]) - left;
  const shape = [height, width];
  const inside = maskToBitmap(mask, [height, width], [top, left]);
  const notOutline = dilate({ data: inside, shape }).data.map((value, p) => (value && !inside[p] ? 0 : 1));
  const distance = gaussianFilter(distanceTransform({ data: notOutline, shape }), SIGMA).data;
  const only = (side: 0 | 1) => ({ data: distance.map((value, p) => (inside[p] === side ? value : 0)), shape });
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
