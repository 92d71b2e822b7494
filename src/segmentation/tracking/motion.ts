import type { YX } from '../../ndimage/array.js';
import type { Mask } from '../../ndimage/mask.js';
import { maskCentroid } from '../../ndimage/rle.js';

/**
 * Linear motion with exponential smoothing, in pixels per frame: where an object will be if it keeps moving as it did.
 * Source: the motion model of micro-sam's `track_across_frames` (1.8); it needs two earlier frames.
 */
export class MotionModel {
  private last?: YX;
  private velocity?: YX;

  /** @param smoothing weight of the past: 0 follows the last step only, 1 never changes */
  constructor(private readonly smoothing: number) {}

  observe(mask: Mask): void {
    if (mask.area === 0) return;
    const center = maskCentroid(mask);
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
