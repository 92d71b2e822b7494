import type { YX } from '../../ndimage/array.js';
import type { Mask } from '../../ndimage/mask.js';
import { maskSpans } from '../../ndimage/rle.js';

/** Mean (y, x) of the pixel centres of a mask that is not empty, in pixels. */
export function centerOfMass(mask: Mask): YX {
  const spans = maskSpans(mask);
  let y = 0;
  let x = 0;
  for (let i = 0; i < spans.length; i += 3) {
    const length = spans[i + 2] - spans[i + 1];
    y += (spans[i] + 0.5) * length;
    x += ((spans[i + 1] + spans[i + 2]) / 2) * length;
  }
  return [y / mask.area, x / mask.area];
}

/**
 * Linear motion with exponential smoothing, in pixels per frame: where an object will be if it keeps moving as it did.
 * Source: the motion model of micro-sam's interactive tracking (spec 8.1); it needs two earlier frames.
 */
export class MotionModel {
  private last?: YX;
  private velocity?: YX;

  /** @param smoothing weight of the past: 0 follows the last step only, 1 never changes */
  constructor(private readonly smoothing: number) {}

  observe(mask: Mask): void {
    if (mask.area === 0) return;
    const center = centerOfMass(mask);
    if (this.last) {
      const step: YX = [center[0] - this.last[0], center[1] - this.last[1]];
      const a = this.smoothing;
      const past = this.velocity;
      this.velocity = past ? [a * past[0] + (1 - a) * step[0], a * past[1] + (1 - a) * step[1]] : step;
    }
    this.last = center;
  }

  /** Whole pixels to shift the last mask by, [0, 0] until two frames were seen. */
  get shift(): readonly [number, number] {
    return this.velocity ? [Math.round(this.velocity[0]), Math.round(this.velocity[1])] : [0, 0];
  }
}
