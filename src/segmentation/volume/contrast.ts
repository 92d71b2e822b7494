import type { Size, Tensor, YXYX } from '../../ndimage/array.js';
import { extendBox } from '../../ndimage/boxes.js';
import { distanceTransform } from '../../ndimage/distance.js';
import type { Mask } from '../../ndimage/mask.js';
import { maskToBitmap } from '../../ndimage/rle.js';

/**
 * How well an object stands out from what is around it. The model hands a mask on from plane to plane long after the
 * object has ended, and is nearly as sure of it; but the pixels under the mask are then like those beside it.
 */

/** Width of the surroundings, as a part of the radius of a disk of the object's area. */
const SURROUNDINGS = 0.4;

/** Pixels along each side that are looked at, at most. */
const SIDE = 160;

/** More difference than so many standard deviations is not seen any better. */
const PLAIN = 3;

/** The part of the plane that `contrastOf` looks at. */
export function surroundingsOf(mask: Mask, size: Size): YXYX {
  return extendBox(mask.box, reachOf(mask), size);
}

/**
 * @param pixels [h, w] or [h, w, c]: the part of the plane that `surroundingsOf` names
 * @param at its place in the plane
 * @returns per channel the difference of the means of object and surroundings in standard deviations (the mean of both
 *   sides' own), from -3 to 3; 0 where there are no surroundings
 */
export function contrastOf(pixels: Tensor, mask: Mask, at: YXYX): number[] {
  const [height, width, channels = 1] = pixels.shape;
  const bitmap = maskToBitmap(mask, [height, width], [at[0], at[1]]);
  // Of large objects some of the pixels say as much.
  const step = Math.ceil(Math.max(height, width) / SIDE);
  const shape = [Math.ceil(height / step), Math.ceil(width / step)];
  const taken = Int32Array.from({ length: shape[0] * shape[1] }, (_, i) => {
    const x = i % shape[1];
    return ((i - x) / shape[1]) * step * width + x * step;
  });
  const outside = Uint8Array.from(taken, (p) => 1 - bitmap[p]);
  const away = distanceTransform({ data: outside, shape }).data;
  const reach = reachOf(mask) / step;
  return Array.from({ length: channels }, (_, channel) => {
    const [object, around] = [new Moments(), new Moments()];
    taken.forEach((p, i) => {
      const value = pixels.data[p * channels + channel];
      if (away[i] <= reach && Number.isFinite(value)) (outside[i] ? around : object).add(value);
    });
    if (object.count === 0 || around.count === 0 || object.mean === around.mean) return 0;
    const deviations = (object.mean - around.mean) / ((object.deviation + around.deviation) / 2);
    return Math.min(PLAIN, Math.max(-PLAIN, deviations));
  });
}

function reachOf({ area }: Mask): number {
  return Math.max(2, Math.round(SURROUNDINGS * Math.sqrt(area / Math.PI)));
}

/** Mean and standard deviation of values that come one by one (Welford 1962). */
class Moments {
  count = 0;
  mean = 0;
  private squares = 0;

  add(value: number): void {
    const before = value - this.mean;
    this.mean += before / ++this.count;
    this.squares += before * (value - this.mean);
  }

  get deviation(): number {
    return Math.sqrt(this.squares / this.count);
  }
}
