import type { Size } from '../../ndimage/array.js';
import type { Mask } from '../../ndimage/mask.js';
import { maskSpans } from '../../ndimage/rle.js';

/**
 * The surfaces of the objects of a volume as points, to be looked at from any side (draw.ts). The volume is made coarser
 * until it is small, with cubes for voxels, so that the points of any volume can be turned by hand without delay.
 */
export interface Surface {
  /** (x, y, z) of each point, from the middle of the volume, in cubes; z grows with the slices. */
  readonly points: Float32Array;
  /** Unit vectors out of the objects, in the same order. */
  readonly normals: Float32Array;
  /** Which object each point is of: a position in the list that was given. */
  readonly objects: Uint32Array;
  /** Depth, height and width of the volume in cubes. */
  readonly shape: readonly [depth: number, height: number, width: number];
}

/** The longest side, in cubes. */
const MOST = 160;

/**
 * @param objects the masks of each by slice; where two meet the later one has the place
 * @param spacing distance of slices in pixels of a slice
 */
export function surfaceOf(
  objects: readonly ReadonlyMap<number, Mask>[],
  { size, slices, spacing }: { readonly size: Size; readonly slices: number; readonly spacing: number },
): Surface {
  const cube = Math.max(1, Math.max(...size, slices * spacing) / MOST);
  const cubes = (length: number) => Math.max(1, Math.round(length / cube));
  const [depth, height, width] = [cubes(slices * spacing), cubes(size[0]), cubes(size[1])];
  const grid = new Uint32Array(depth * height * width);
  const sliceOf = (z: number) => Math.min(slices - 1, Math.floor(((z + 0.5) * slices) / depth));
  for (const [index, masks] of objects.entries())
    for (let z = 0; z < depth; z++) {
      const mask = masks.get(sliceOf(z));
      if (mask)
        fill(grid.subarray(z * height * width, (z + 1) * height * width), [height, width], mask, size, index + 1);
    }
  return { ...pointsOf(grid, depth, height, width), shape: [depth, height, width] };
}

/** Cubes of which a pixel near the middle is in the mask. */
function fill(plane: Uint32Array, [height, width]: Size, mask: Mask, size: Size, value: number): void {
  const spans = maskSpans(mask);
  const [sy, sx] = [height / size[0], width / size[1]];
  for (let i = 0; i < spans.length; i += 3) {
    const y = Math.min(height - 1, Math.floor((spans[i]! + 0.5) * sy));
    const from = Math.floor((spans[i + 1]! + 0.5) * sx);
    const to = Math.min(width - 1, Math.floor((spans[i + 2]! - 0.5) * sx));
    plane.fill(value, y * width + from, y * width + to + 1);
  }
}

/** Cubes that touch another object or nothing; their normals point to where the most of that is. */
function pointsOf(grid: Uint32Array, depth: number, height: number, width: number): Omit<Surface, 'shape'> {
  const at = (z: number, y: number, x: number) =>
    z < 0 || y < 0 || x < 0 || z >= depth || y >= height || x >= width ? 0 : grid[(z * height + y) * width + x];
  const points: number[] = [];
  const normals: number[] = [];
  const objects: number[] = [];
  for (let z = 0, i = 0; z < depth; z++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++, i++) {
        const own = grid[i]!;
        if (own === 0) continue;
        const inside =
          at(z - 1, y, x) === own &&
          at(z + 1, y, x) === own &&
          at(z, y - 1, x) === own &&
          at(z, y + 1, x) === own &&
          at(z, y, x - 1) === own &&
          at(z, y, x + 1) === own;
        if (inside) continue;
        let [nx, ny, nz] = [0, 0, 0];
        for (let dz = -2; dz <= 2; dz++)
          for (let dy = -2; dy <= 2; dy++)
            for (let dx = -2; dx <= 2; dx++)
              if (at(z + dz, y + dy, x + dx) !== own) {
                nx += dx;
                ny += dy;
                nz += dz;
              }
        const length = Math.hypot(nx, ny, nz);
        points.push(x - (width - 1) / 2, y - (height - 1) / 2, z - (depth - 1) / 2);
        normals.push(...(length > 0 ? [nx / length, ny / length, nz / length] : [0, 0, -1]));
        objects.push(own - 1);
      }
  return {
    points: Float32Array.from(points),
    normals: Float32Array.from(normals),
    objects: Uint32Array.from(objects),
  };
}
