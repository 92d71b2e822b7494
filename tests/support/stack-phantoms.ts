import { encodeTiff } from '../../src/io/tiff/writer.js';
import type { YX } from '../../src/ndimage/array.js';
import { seededRandom } from './random.js';

/**
 * Small stacks with known objects, for stories in the browser: bright cells with a soft edge on a dark, noisy ground. A
 * pixel belongs to the cell whose outline holds its centre.
 */
export interface StackPhantom {
  readonly data: Uint16Array;
  /** Ids of the cells. */
  readonly labels: Uint16Array;
  /** [planes, H, W] */
  readonly shape: readonly [number, number, number];
}

export interface Disc {
  readonly id: number;
  readonly at: YX;
  readonly radius: number;
  readonly brightness: number;
}

export const SIDE = 192;

/** @param cells the discs of a plane */
export function stackPhantom(planes: number, cells: (plane: number) => readonly Disc[], seed = 5): StackPhantom {
  const data = new Uint16Array(planes * SIDE * SIDE);
  const labels = new Uint16Array(data.length);
  const next = seededRandom(seed);
  for (let plane = 0, i = 0; plane < planes; plane++) {
    const discs = cells(plane);
    for (let y = 0; y < SIDE; y++)
      for (let x = 0; x < SIDE; x++, i++) {
        let light = 120;
        for (const { id, at, radius, brightness } of discs) {
          const inside = radius - Math.hypot(y + 0.5 - at[0], x + 0.5 - at[1]);
          if (inside > 0) labels[i] = id;
          light += brightness / (1 + Math.exp(-inside / 0.8));
        }
        data[i] = light + 60 * next() + 0.12 * light * (next() - 0.5);
      }
  }
  return { data, labels, shape: [planes, SIDE, SIDE] };
}

/**
 * Two cells on top of each other (1 in slices 2 to 5, 2 in slices 6 and 7, counted from 1) and a third one beside them:
 * whoever follows cell 1 upwards runs into cell 2, unless told.
 */
export function twoCellsInDepth(): StackPhantom {
  return stackPhantom(8, (z) => [
    ...(z >= 1 && z <= 4 ? [{ id: 1, at: [84, 80] as const, radius: 25 - Math.abs(z - 3), brightness: 1800 }] : []),
    ...(z >= 5 && z <= 6 ? [{ id: 2, at: [86, 82] as const, radius: 23, brightness: 1300 }] : []),
    ...(z >= 2 && z <= 6 ? [{ id: 3, at: [140, 146] as const, radius: 20, brightness: 1500 }] : []),
  ]);
}

/** The frame in which the daughters of `dividingCell` appear, counted from 0. */
export const DIVISION = 3;

/** Cell 1 moves and divides into 2 and 3; cell 4 lies beside it, and nothing happens to it. */
export function dividingCell(): StackPhantom {
  return stackPhantom(6, (t) => [
    ...(t < DIVISION
      ? [{ id: 1, at: [90, 50 + 7 * t] as const, radius: 20, brightness: 1700 }]
      : [
          { id: 2, at: [68 - 5 * (t - DIVISION), 70 + 3 * (t - DIVISION)] as const, radius: 15, brightness: 1700 },
          { id: 3, at: [112 + 5 * (t - DIVISION), 70 + 3 * (t - DIVISION)] as const, radius: 15, brightness: 1700 },
        ]),
    { id: 4, at: [150, 160] as const, radius: 18, brightness: 1500 },
  ]);
}

export function phantomTiff({ data, shape }: StackPhantom, axes: 'zyx' | 'tyx'): Promise<Uint8Array> {
  return encodeTiff({ data, shape: [...shape] }, { axes, description: 'imagej' });
}

/** Intersection over union of a mask, the plane of a result, with a cell of the phantom. */
export function planeIou(
  mask: ArrayLike<number>,
  id: number,
  truth: StackPhantom,
  plane: number,
  cell: number,
): number {
  const pixels = truth.shape[1] * truth.shape[2];
  let both = 0;
  let either = 0;
  for (let i = plane * pixels; i < (plane + 1) * pixels; i++) {
    const [a, b] = [mask[i] === id, truth.labels[i] === cell];
    if (a && b) both++;
    if (a || b) either++;
  }
  return either === 0 ? 1 : both / either;
}

/** Planes in which a label image [planes, H, W] holds the id. */
export function planesWith(labels: ArrayLike<number>, id: number, pixels: number): number[] {
  const found = new Set<number>();
  for (let i = 0; i < labels.length; i++) if (labels[i] === id) found.add(Math.floor(i / pixels));
  return [...found].sort((a, b) => a - b);
}
