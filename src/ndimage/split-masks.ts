import type { Size, Tensor, YX } from './array.js';
import { distanceTransform } from './distance.js';
import { labelComponents, labelSizes } from './label.js';
import type { Mask } from './mask.js';
import { rasterizeStroke } from './rasterize.js';
import { maskFromBitmap, maskToBitmap } from './rle.js';
import { watershed } from './watershed.js';

/** One object cut into several, in 2D and 3D. Its masks come and go as plane → mask; planes between them may be empty. */
export type PlaneMasks = ReadonlyMap<number, Mask>;

/** A place in an object: pixel (y, x) of a plane. */
export interface Seed {
  readonly plane: number;
  readonly at: YX;
}

/**
 * Cuts along a line, which in a volume is a curtain through all planes. The pixels under the line go to the nearer part,
 * and so do splinters. Undefined if the line does not take the object apart.
 *
 * @param path (y, x) positions in pixels
 * @param size of the planes, [height, width]
 * @returns the parts, the largest first; what the line does not reach stays with the largest
 */
export function splitByLine(masks: PlaneMasks, path: readonly YX[], size: Size): PlaneMasks[] | undefined {
  const block = new Block(masks, 0);
  const { data, shape } = block.bitmap;
  const wall = block.paint(rasterizeStroke(path, WALL_RADIUS, size));
  const rest = data.map((value, p) => (wall[p % wall.length] ? 0 : value));
  const { labels } = labelComponents({ data: rest, shape });
  const sizes = labelSizes(labels);
  const splinter = Math.max(4, 0.005 * data.reduce((sum, value) => sum + value, 0));
  const whole = labelComponents(block.bitmap).labels;
  const parts = new Map<number, Set<number>>();
  labels.data.forEach((part, p) => {
    if (part === 0) return;
    if ((sizes.get(part) ?? 0) < splinter) labels.data[p] = 0;
    else parts.set(whole.data[p], (parts.get(whole.data[p]) ?? new Set()).add(part));
  });
  const cut = new Set([...parts.values()].filter((pieces) => pieces.size > 1).flatMap((pieces) => [...pieces]));
  if (cut.size === 0) return undefined;
  const flat = { data: new Float32Array(data.length), shape };
  const grown = watershed(flat, labels, block.bitmap);
  const [largest] = [...cut].sort((a, b) => (sizes.get(b) ?? 0) - (sizes.get(a) ?? 0));
  return block.parts(
    grown.data.map((part) => (cut.has(part) ? part : largest)),
    largest,
  );
}

/**
 * Cuts between two or more places by a watershed of the distance to the outline: at the neck between two round parts,
 * and halfway where there is no neck. Undefined if a place lies outside of the object, or two are the same pixel.
 *
 * @returns the parts in the order of the places; what is not connected to any of them stays with the first
 */
export function splitBySeeds(masks: PlaneMasks, places: readonly Seed[]): PlaneMasks[] | undefined {
  const block = new Block(masks, 1);
  const { data, shape } = block.bitmap;
  const at = places.map((place) => block.index(place));
  if (at.some((p) => p === undefined || data[p] === 0) || new Set(at).size < places.length) return undefined;
  const depth = distanceTransform(block.bitmap);
  const climbs = (at as number[]).map((p) => climb(depth, p));
  const peaks = new Set(climbs.map((path) => path.at(-1)));
  const hasNeck = peaks.size === places.length;
  const seeds = new Uint32Array(data.length);
  climbs.forEach((path, k) => {
    for (const p of hasNeck ? path : path.slice(0, 1)) seeds[p] = k + 1;
  });
  const heights = { data: hasNeck ? depth.data.map((value) => -value) : new Float32Array(data.length), shape };
  const { data: labels } = watershed(heights, { data: seeds, shape }, block.bitmap);
  return block.parts(
    labels.map((part) => part || 1),
    1,
  );
}

/** Reaches every pixel that the line touches, so that no path over faces is left through it. */
const WALL_RADIUS = 0.75;

/** The way from a pixel to where the outline is farthest, always to the farther neighbour. */
function climb({ data, shape }: Tensor<Float32Array>, start: number): number[] {
  const [depth, height, width] = shape.length === 3 ? shape : [1, ...shape];
  const path = [start];
  for (;;) {
    const p = path[path.length - 1];
    const [x, y, z] = [p % width, Math.floor(p / width) % height, Math.floor(p / (width * height))];
    let best = p;
    for (let dz = -1; dz <= 1; dz++)
      for (let dy = -1; dy <= 1; dy++)
        for (let dx = -1; dx <= 1; dx++) {
          const [nz, ny, nx] = [z + dz, y + dy, x + dx];
          if (nz < 0 || ny < 0 || nx < 0 || nz >= depth || ny >= height || nx >= width) continue;
          const q = (nz * height + ny) * width + nx;
          if (data[q] > data[best]) best = q;
        }
    if (best === p) return path;
    path.push(best);
  }
}

/** The object as a bitmap [planes, height, width] of its bounding box. */
class Block {
  readonly bitmap: Tensor<Uint8Array>;
  private readonly first: number;
  private readonly offset: YX;
  private readonly size: Size;

  /** @param margin empty pixels around it, in the plane */
  constructor(masks: PlaneMasks, margin: number) {
    const planes = [...masks.keys()];
    const boxes = [...masks.values()].map(({ box }) => box);
    this.first = Math.min(...planes);
    const depth = Math.max(...planes) - this.first + 1;
    this.offset = [Math.min(...boxes.map(([y]) => y)) - margin, Math.min(...boxes.map(([, x]) => x)) - margin];
    this.size = [
      Math.max(...boxes.map(([, , y]) => y)) + margin - this.offset[0],
      Math.max(...boxes.map(([, , , x]) => x)) + margin - this.offset[1],
    ];
    const area = this.size[0] * this.size[1];
    const data = new Uint8Array(depth * area);
    for (const [plane, mask] of masks) data.set(this.paint(mask), (plane - this.first) * area);
    this.bitmap = { data, shape: depth === 1 ? this.size : [depth, ...this.size] };
  }

  /** One plane. */
  paint(mask: Mask): Uint8Array {
    return maskToBitmap(mask, this.size, this.offset);
  }

  index({ plane, at: [y, x] }: Seed): number | undefined {
    const [height, width] = this.size;
    const [row, column] = [Math.floor(y) - this.offset[0], Math.floor(x) - this.offset[1]];
    const inside = plane >= this.first && row >= 0 && column >= 0 && row < height && column < width;
    const p = ((plane - this.first) * height + row) * width + column;
    return inside && p < this.bitmap.data.length ? p : undefined;
  }

  /** The masks of each value in `labels` under the object, `first` before the others, which go by their value. */
  parts(labels: Uint32Array, first: number): Map<number, Mask>[] {
    const { data } = this.bitmap;
    const area = this.size[0] * this.size[1];
    const values = [...new Set(labels.filter((_, p) => data[p] !== 0))].sort((a, b) => a - b);
    return [first, ...values.filter((value) => value !== first)].map((value) => {
      const masks = new Map<number, Mask>();
      for (let z = 0; z * area < data.length; z++) {
        const part = data
          .slice(z * area, (z + 1) * area)
          .map((on, p) => (on && labels[z * area + p] === value ? 1 : 0));
        const mask = maskFromBitmap(part, this.size, this.offset);
        if (mask.area > 0) masks.set(this.first + z, mask);
      }
      return masks;
    });
  }
}
