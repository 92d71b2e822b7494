import type { Size, YX } from '../ndimage/array.js';
import { innermostPixel } from '../ndimage/distance.js';
import type { Mask } from '../ndimage/mask.js';
import { subtractMasks } from '../ndimage/mask-sets.js';
import { rasterizePolygon, rasterizeStroke } from '../ndimage/rasterize.js';

/** Points that stand for what a hand has drawn, for a model that knows points. All (y, x), in pixels. */

/** Along a stroke, from its first to its last place, evenly spaced; those outside of the image are left out. */
export function pointsAlong(path: readonly YX[], size: Size, most = MOST_POINTS): YX[] {
  const reached = [0];
  for (let k = 1; k < path.length; k++)
    reached.push(reached[k - 1] + Math.hypot(path[k][0] - path[k - 1][0], path[k][1] - path[k - 1][1]));
  const length = reached[reached.length - 1];
  const count = Math.min(most, 1 + Math.floor(length / SPACING_PX));
  const points: YX[] = [];
  for (let k = 0, i = 1; k < count; k++) {
    const at = count === 1 ? length / 2 : (k * length) / (count - 1);
    while (i < path.length - 1 && reached[i] < at) i++;
    const [from, to] = [path[Math.max(0, i - 1)], path[Math.min(i, path.length - 1)]];
    const span = reached[Math.min(i, path.length - 1)] - reached[Math.max(0, i - 1)];
    const part = span > 0 ? (at - reached[i - 1]) / span : 0;
    points.push([from[0] + part * (to[0] - from[0]), from[1] + part * (to[1] - from[1])]);
  }
  return points.filter(([y, x]) => y >= 0 && x >= 0 && y < size[0] && x < size[1]);
}

/** Inside of an outline: the innermost place, then that of what is left around it, as far as the area asks for. */
export function pointsInside(ring: readonly YX[], size: Size, most = MOST_INSIDE): YX[] {
  let rest: Mask = rasterizePolygon([ring], size);
  const radius = Math.max(2, Math.sqrt(rest.area / (Math.PI * most)));
  const points: YX[] = [];
  while (points.length < most && rest.area > 0) {
    const [y, x] = innermostPixel(rest);
    points.push([y + 0.5, x + 0.5]);
    rest = subtractMasks(rest, rasterizeStroke([[y + 0.5, x + 0.5]], radius, size));
  }
  return points;
}

/** More points than this say nothing new of one object. */
const MOST_POINTS = 8;
const MOST_INSIDE = 4;
const SPACING_PX = 6;
