import type { YX, YXYX } from '../../ndimage/array.js';
import type { SegmentContext } from '../context.js';
import { gridFor } from '../stated-size.js';

/**
 * The prompts of automatic mask generation: `side` x `side` points at the centres of equal cells of `box`, row by row.
 * Source: `build_point_grid` of segment-anything 1.0.
 *
 * @param grid 0 for these; 1, 2, … for further grids of the same cells, each where the former left most room: at the
 *   corners, at the middles of the sides, then between all these. Points on the border of `box` are left out.
 */
export function pointGrid(side: number, box: YXYX, grid = 0): YX[] {
  const [top, left, bottom, right] = box;
  const [dy, dx] = OFFSETS[grid];
  const points: YX[] = [];
  for (let row = dy === 0 ? 1 : 0; row < side; row++) {
    for (let column = dx === 0 ? 1 : 0; column < side; column++) {
      points.push([top + ((row + dy) / side) * (bottom - top), left + ((column + dx) / side) * (right - left)]);
    }
  }
  return points;
}

/** Places in a cell: after 1, 4 or 8 of these (2 in every half) the points lie evenly. */
const OFFSETS = [
  [0.5, 0.5],
  [0, 0],
  [0, 0.5],
  [0.5, 0],
  [0.25, 0.25],
  [0.75, 0.75],
  [0.25, 0.75],
  [0.75, 0.25],
] as const;

/** How many different grids there are. */
export const GRIDS = OFFSETS.length;

/** 32 points along each side, as in micro-sam; in tiles that go by a stated size, as many as objects of that size need. */
export function defaultGrid({ tiling, objectDiameter }: SegmentContext['embeddings']): number {
  if (!tiling || objectDiameter === undefined) return 32;
  const [height, width] = tiling.tileShape;
  return gridFor([height + 2 * tiling.halo[0], width + 2 * tiling.halo[1]], objectDiameter);
}
