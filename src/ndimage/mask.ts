import type { YXYX } from './array.js';

/**
 * One object in one plane: row-major run lengths inside its bounding box, starting with a background run (which may be
 * 0) and alternating. Small to keep, cheap to send, painted on demand. Kernels over masks are in rle.ts.
 */
export interface Mask {
  /** Tight bounding box in the plane, [y0, x0, y1, x1), integers. An empty mask has box [0, 0, 0, 0] and no runs. */
  readonly box: YXYX;
  /** Run lengths over the box in row-major order: background, foreground, background, … ; they sum to the box area. */
  readonly runs: Uint32Array;
  /** Number of foreground pixels. */
  readonly area: number;
}
