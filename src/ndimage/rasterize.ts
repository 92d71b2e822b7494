import type { Size, YX } from './array.js';
import type { Mask } from './mask.js';
import { EMPTY_MASK, maskFromBitmap, maskFromSpans } from './rle.js';

/**
 * Outlines → pixels. A pixel belongs to a polygon if its centre (r + 0.5, c + 0.5) lies inside by the even-odd rule;
 * edges are half open, so polygons that share an edge share no pixel. Exact inverse of contour.ts.
 */

/** A closed outline, (y, x) in pixels; the last point need not repeat the first. */
export type Ring = readonly YX[];

/** @param rings outer rings and holes in any order; parts outside the [height, width] image are cut */
export function rasterizePolygon(rings: readonly Ring[], [height, width]: Size): Mask {
  // Crossings of each row's centre line, bucketed by row: count, then fill.
  const start = new Int32Array(height + 1);
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i++) {
      const [low, high] = rowsCrossed(ring[i][0], ring[(i + 1) % ring.length][0], height);
      for (let y = low; y < high; y++) start[y + 1]++;
    }
  }
  for (let y = 0; y < height; y++) start[y + 1] += start[y];
  if (start[height] === 0) return EMPTY_MASK;
  const next = start.slice();
  const crossings = new Float64Array(start[height]);
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i++) {
      // Always from the upper end, so that an edge shared by two polygons crosses at the same float in both.
      const a = ring[i];
      const b = ring[(i + 1) % ring.length];
      const [[y0, x0], [y1, x1]] = a[0] < b[0] ? [a, b] : [b, a];
      const [low, high] = rowsCrossed(y0, y1, height);
      const slope = (x1 - x0) / (y1 - y0);
      for (let y = low; y < high; y++) crossings[next[y]++] = x0 + (y + 0.5 - y0) * slope;
    }
  }
  const spans: number[] = [];
  for (let y = 0; y < height; y++) {
    const row = crossings.subarray(start[y], start[y + 1]).sort();
    for (let i = 0; i + 1 < row.length; i += 2) {
      const x0 = Math.max(0, Math.ceil(row[i] - 0.5));
      const x1 = Math.min(width, Math.ceil(row[i + 1] - 0.5));
      if (x0 < x1) spans.push(y, x0, x1);
    }
  }
  return maskFromSpans(spans);
}

/** The rows whose centre lies in [y0, y1), clipped to the image. */
function rowsCrossed(y0: number, y1: number, height: number): [number, number] {
  const low = Math.ceil(Math.min(y0, y1) - 0.5);
  const high = Math.ceil(Math.max(y0, y1) - 0.5);
  return [Math.max(0, low), Math.min(height, high)];
}

/** A brush stroke: every pixel whose centre is within `radius` of the path; a single point paints a disk. */
export function rasterizeStroke(path: readonly YX[], radius: number, [height, width]: Size): Mask {
  if (path.length === 0) return EMPTY_MASK;
  let [minY, minX] = path[0];
  let [maxY, maxX] = path[0];
  for (const [y, x] of path) {
    minY = Math.min(minY, y);
    maxY = Math.max(maxY, y);
    minX = Math.min(minX, x);
    maxX = Math.max(maxX, x);
  }
  const top = Math.max(0, Math.floor(minY - radius));
  const left = Math.max(0, Math.floor(minX - radius));
  const bottom = Math.min(height, Math.ceil(maxY + radius));
  const right = Math.min(width, Math.ceil(maxX + radius));
  if (top >= bottom || left >= right) return EMPTY_MASK;
  const stride = right - left;
  const painted = new Uint8Array((bottom - top) * stride);
  for (let i = 0; i < path.length; i++) {
    const [y0, x0] = path[Math.max(0, i - 1)];
    const [y1, x1] = path[i];
    const dy = y1 - y0;
    const dx = x1 - x0;
    const squaredLength = dy * dy + dx * dx;
    const first = Math.max(top, Math.floor(Math.min(y0, y1) - radius));
    const last = Math.min(bottom, Math.ceil(Math.max(y0, y1) + radius));
    const begin = Math.max(left, Math.floor(Math.min(x0, x1) - radius));
    const end = Math.min(right, Math.ceil(Math.max(x0, x1) + radius));
    for (let r = first; r < last; r++) {
      for (let c = begin; c < end; c++) {
        const py = r + 0.5 - y0;
        const px = c + 0.5 - x0;
        const along = squaredLength === 0 ? 0 : Math.min(1, Math.max(0, (py * dy + px * dx) / squaredLength));
        const ey = py - along * dy;
        const ex = px - along * dx;
        if (ey * ey + ex * ex <= radius * radius) painted[(r - top) * stride + c - left] = 1;
      }
    }
  }
  return maskFromBitmap(painted, [bottom - top, stride], [top, left]);
}
