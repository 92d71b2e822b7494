import type { YX, YXYX } from '../../ndimage/array.js';

/**
 * The prompts of automatic mask generation: `side` x `side` points at the centres of equal cells of `box`, row by row.
 * Source: `build_point_grid` of segment-anything; micro-sam spec 5.2.
 */
export function pointGrid(side: number, box: YXYX): YX[] {
  const [top, left, bottom, right] = box;
  const points: YX[] = [];
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      points.push([top + ((row + 0.5) / side) * (bottom - top), left + ((column + 0.5) / side) * (right - left)]);
    }
  }
  return points;
}
