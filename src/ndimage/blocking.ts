import { SamError } from '../errors.js';
import type { Size, YX, YXYX } from './array.js';

/**
 * An image cut into tiles with overlap. Inner boxes partition the image, outer boxes are inner ones grown by the halo
 * and cut at the image. Edge tiles are smaller and need not be square. Tiles count row by row (`Blocking` of nifty, which micro-sam uses).
 */
export interface Tiling {
  readonly size: Size;
  readonly tileShape: Size;
  readonly halo: Size;
  /** Number of tiles along y and x. */
  readonly grid: Size;
  readonly tiles: readonly Tile[];
}

export interface Tile {
  readonly inner: YXYX;
  readonly outer: YXYX;
}

/** @throws SamError `invalid_argument` if sizes are no whole numbers, or too small */
export function makeTiling(size: Size, tileShape: Size, halo: Size): Tiling {
  for (const [name, [y, x], least] of [
    ['image size', size, 1],
    ['tile shape', tileShape, 1],
    ['halo', halo, 0],
  ] as const)
    if (!Number.isInteger(y) || !Number.isInteger(x) || y < least || x < least)
      throw new SamError(
        'invalid_argument',
        `The ${name} must be two integers of at least ${least}, got [${y}, ${x}].`,
      );
  const grid: Size = [Math.ceil(size[0] / tileShape[0]), Math.ceil(size[1] / tileShape[1])];
  const tiles: Tile[] = [];
  for (let row = 0; row < grid[0]; row++) {
    for (let column = 0; column < grid[1]; column++) {
      const y0 = row * tileShape[0];
      const x0 = column * tileShape[1];
      const y1 = Math.min(y0 + tileShape[0], size[0]);
      const x1 = Math.min(x0 + tileShape[1], size[1]);
      tiles.push({
        inner: [y0, x0, y1, x1],
        outer: [
          Math.max(y0 - halo[0], 0),
          Math.max(x0 - halo[1], 0),
          Math.min(y1 + halo[0], size[0]),
          Math.min(x1 + halo[1], size[1]),
        ],
      });
    }
  }
  return { size, tileShape, halo, grid, tiles };
}

/** The tile whose inner box holds the pixel at (y, x); positions outside the image go to the nearest tile. */
export function tileAt({ grid, tileShape }: Tiling, [y, x]: YX): number {
  const row = Math.min(Math.max(Math.floor(y / tileShape[0]), 0), grid[0] - 1);
  const column = Math.min(Math.max(Math.floor(x / tileShape[1]), 0), grid[1] - 1);
  return row * grid[1] + column;
}

/** Indices of the tiles whose own part meets a box, row by row. */
export function tilesMeeting({ tiles }: Tiling, [top, left, bottom, right]: YXYX): number[] {
  return [...tiles.keys()].filter((tile) => {
    const [y0, x0, y1, x1] = tiles[tile].inner;
    return y0 < bottom && y1 > top && x0 < right && x1 > left;
  });
}
