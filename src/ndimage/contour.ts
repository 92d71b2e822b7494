import { labelComponents } from './label.js';
import type { Mask } from './mask.js';
import type { Ring } from './rasterize.js';
import { maskToBitmap } from './rle.js';

/**
 * A mask → its outline along the cracks between pixels. Vertices are pixel corners (integers), edges are axis parallel,
 * and rasterizePolygon() of the rings gives the mask back exactly. Rings are simple, as GeoJSON wants them: pixels that
 * touch only at a corner belong to different polygons, and a ring never passes a corner twice.
 */

export interface Outline {
  /** Clockwise on the screen (y down). */
  readonly outer: Ring;
  /** Counter-clockwise. */
  readonly holes: readonly Ring[];
}

/** One outline per 4-connected part, in raster order of their first pixels. */
export function maskOutlines(mask: Mask): Outline[] {
  if (mask.area === 0) return [];
  const [top, left, bottom, right] = mask.box;
  // A frame of background saves the bounds checks.
  const height = bottom - top + 2;
  const width = right - left + 2;
  const bitmap = maskToBitmap(mask, [height, width], [top - 1, left - 1]);
  const loops: { ring: [number, number][]; pixel: number }[] = [];
  const followed = new Uint8Array(bitmap.length); // upper edges already part of a ring
  for (let p = width; p < bitmap.length; p++) {
    if (bitmap[p] && !bitmap[p - width] && !followed[p])
      for (const corners of follow(bitmap, width, p, followed))
        loops.push({ ring: toRing(corners, width, top - 1, left - 1), pixel: p });
  }
  const outer = loops.filter(({ ring }) => signedArea(ring) > 0);
  const holes = loops.filter(({ ring }) => signedArea(ring) < 0);
  if (outer.length === 1 || holes.length === 0)
    return outer.map(({ ring }) => ({ outer: ring, holes: holes.map((hole) => hole.ring) }));
  const part = labelComponents({ data: bitmap, shape: [height, width] }).labels.data;
  return outer.map(({ ring, pixel }) => ({
    outer: ring,
    holes: holes.filter((hole) => part[hole.pixel] === part[pixel]).map((hole) => hole.ring),
  }));
}

/**
 * Walks the crack with the foreground on the right, starting along the upper edge of pixel `start`. Where two pixels
 * touch only at a corner it stays with its own. If it comes by such a corner twice, the loop in between is a ring of its
 * own.
 *
 * @returns one or more loops of corners; a corner is numbered like the pixel to its lower right
 */
function follow(bitmap: Uint8Array, width: number, start: number, followed: Uint8Array): number[][] {
  const step = [1, width, -1, -width]; // east, south, west, north
  // For each direction the pixels ahead of a corner, to the right and to the left of the way on.
  const ahead = [
    [0, -width],
    [-1, 0],
    [-width - 1, -1],
    [-width, -width - 1],
  ];
  const closed: number[][] = [];
  const open: number[] = [];
  const touching = new Map<number, number>(); // corner → its place in `open`
  let corner = start;
  let direction = 0;
  do {
    if (direction === 0) followed[corner] = 1;
    corner += step[direction];
    const onRight = bitmap[corner + ahead[direction][0]];
    const onLeft = bitmap[corner + ahead[direction][1]];
    if (onRight && !onLeft) continue;
    if (!onRight && onLeft) {
      const place = touching.get(corner);
      if (place !== undefined && open[place] === corner) {
        closed.push(open.slice(place));
        open.length = place;
      }
      touching.set(corner, open.length);
    }
    open.push(corner);
    direction = onRight ? (direction + 3) % 4 : (direction + 1) % 4;
  } while (corner !== start || direction !== 0);
  closed.push(open);
  return closed;
}

function toRing(corners: readonly number[], width: number, top: number, left: number): [number, number][] {
  return corners.map((corner) => {
    const y = Math.floor(corner / width);
    return [y + top, corner - y * width + left];
  });
}

/** Twice the enclosed area, positive for clockwise rings on the screen. */
function signedArea(ring: Ring): number {
  let sum = 0;
  for (let i = 0; i < ring.length; i++) {
    const [y0, x0] = ring[i];
    const [y1, x1] = ring[(i + 1) % ring.length];
    sum += x0 * y1 - x1 * y0;
  }
  return sum;
}
