import type { YX } from './array.js';
import type { Mask } from './mask.js';
import { maskSpans } from './rle.js';

/**
 * Convex hull of the middles of the pixels' edges, as skimage.morphology.convex_hull_image offsets them: a single pixel
 * has a diamond around it. Clockwise on the screen, coordinates in pixels.
 */
function maskHull(mask: Mask): YX[] {
  const spans = maskSpans(mask);
  const points: YX[] = [];
  for (let i = 0; i < spans.length; i += 3) {
    const [y, x0, x1] = spans.subarray(i, i + 3);
    points.push([y, x0 + 0.5], [y, x1 - 0.5], [y + 0.5, x0], [y + 0.5, x1], [y + 1, x0 + 0.5], [y + 1, x1 - 0.5]);
  }
  return convexHull(points);
}

/** Andrew's monotone chain; collinear points are left out. */
export function convexHull(points: readonly YX[]): YX[] {
  const sorted = [...points].sort((a, b) => a[1] - b[1] || a[0] - b[0]);
  if (sorted.length < 3) return sorted;
  const chain = (ordered: readonly YX[]) => {
    const hull: YX[] = [];
    for (const point of ordered) {
      while (hull.length >= 2 && turn(hull[hull.length - 2], hull[hull.length - 1], point) <= 0) hull.pop();
      hull.push(point);
    }
    return hull.slice(0, -1);
  };
  return [...chain(sorted), ...chain(sorted.reverse())];
}

/** Positive if a → b → c turns clockwise on the screen (y down). */
function turn(a: YX, b: YX, c: YX): number {
  return (b[1] - a[1]) * (c[0] - a[0]) - (b[0] - a[0]) * (c[1] - a[1]);
}

/** Pixels whose centre lies in the hull of the mask or on its rim. */
export function hullArea(mask: Mask): number {
  if (mask.area === 0) return 0;
  const hull = maskHull(mask);
  const [top, , bottom] = mask.box;
  let area = 0;
  for (let y = top; y < bottom; y++) {
    const at = y + 0.5;
    let low = Infinity;
    let high = -Infinity;
    for (let i = 0; i < hull.length; i++) {
      const [y0, x0] = hull[i];
      const [y1, x1] = hull[(i + 1) % hull.length];
      if (Math.min(y0, y1) > at || Math.max(y0, y1) < at) continue;
      const crossings = y0 === y1 ? [x0, x1] : [x0 + ((at - y0) * (x1 - x0)) / (y1 - y0)];
      low = Math.min(low, ...crossings);
      high = Math.max(high, ...crossings);
    }
    const rim = 1e-9; // centres on the rim count in spite of rounding
    if (high >= low) area += Math.floor(high - 0.5 + rim) - Math.ceil(low - 0.5 - rim) + 1;
  }
  return area;
}
