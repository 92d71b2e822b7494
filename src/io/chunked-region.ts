import { SamError } from '../errors.js';
import { itemAt } from '../items.js';
import type { TypedArray } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';
import type { LruCache } from './cache.js';
import type { FileDtype } from './elements.js';
import { checkBlockCount, forEachConcurrently, type Region } from './region.js';

/** A region of a plane put together from the chunks of an array (zarr, HDF5), whatever the order of its axes. */
export interface ChunkedArray {
  readonly shape: readonly number[];
  readonly chunks: readonly number[];
  readonly dtype: FileDtype;
  /** Elements of one chunk, with the stride of each axis in elements. */
  chunk(index: readonly number[], options: TaskOptions): Promise<Chunk>;
}

export interface Chunk {
  readonly data: TypedArray;
  readonly strides: readonly number[];
}

/** An array, what its axes are (letters of `tczyx`, one per axis), and those of its chunks that are kept. */
interface CachedArray {
  readonly name: string;
  readonly array: ChunkedArray;
  readonly axes: string;
  readonly cache: LruCache<string, Chunk>;
}

/** Fills `out` with a region of an array. */
export async function readChunkedRegion(
  { name, array, axes, cache }: CachedArray,
  region: Region,
  out: TypedArray,
  options: TaskOptions,
): Promise<TypedArray> {
  const [y0, x0, y1, x1] = region.box;
  const samples = region.channels.length;
  /** By letter: which positions along the axis are wanted, and how far apart they lie in `out`. */
  const wanted = new Map<string, { readonly positions: readonly number[]; readonly step: number }>([
    ['t', { positions: [region.t], step: 0 }],
    ['z', { positions: [region.z], step: 0 }],
    ['c', { positions: region.channels, step: 1 }],
    ['y', { positions: range(y0, y1), step: region.width * samples }],
    ['x', { positions: range(x0, x1), step: samples }],
  ]);
  /** Per axis: the chunk index, and which of the wanted positions lie in that chunk. */
  const perAxis = [...axes].map((letter, i) => {
    const along = wanted.get(letter);
    if (along === undefined) throw new SamError('internal', `An axis "${letter}" of ${name} was asked for.`);
    return split(along.positions, along.step, itemAt(array.chunks, i));
  });
  checkBlockCount(
    name,
    perAxis.reduce((count, parts) => count * parts.length, 1),
  );
  await forEachConcurrently(
    product(perAxis),
    async (parts) => {
      const index = parts.map((part) => part.chunk);
      const chunk = await cache.load(`${region.level}/${index.join('.')}`, async () => {
        const value = await array.chunk(index, options);
        return { value, bytes: value.data.byteLength };
      });
      copy(chunk, parts, out);
    },
    options.signal,
  );
  return out;
}

interface Part {
  readonly chunk: number;
  readonly inside: readonly number[];
  readonly position: readonly number[];
  readonly step: number;
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

function split(positions: readonly number[], step: number, chunk: number): Part[] {
  const parts = new Map<number, { chunk: number; inside: number[]; position: number[]; step: number }>();
  positions.forEach((at, i) => {
    const index = Math.floor(at / chunk);
    const part = parts.get(index) ?? { chunk: index, inside: [], position: [], step };
    parts.set(index, part);
    part.inside.push(at - index * chunk);
    part.position.push(i);
  });
  return [...parts.values()];
}

function* product(perAxis: readonly (readonly Part[])[], chosen: readonly Part[] = []): Generator<readonly Part[]> {
  const next = perAxis[chosen.length];
  if (next === undefined) yield chosen;
  else for (const part of next) yield* product(perAxis, [...chosen, part]);
}

/** Rows that lie together on both sides are copied at once. */
function copy(chunk: Chunk, parts: readonly Part[], out: TypedArray): void {
  const axes = parts.map((part, axis) => ({ ...part, stride: itemAt(chunk.strides, axis) }));
  const last = axes.length - 1;
  const { inside: lastInside, stride: lastStride, step: lastStep } = itemAt(axes, last);
  const [start, first] = [itemAt(lastInside, 0), itemAt(itemAt(axes, last).position, 0)];
  const together = lastStride === 1 && lastStep === 1 && lastInside.every((at, i) => at === start + i);
  const walk = (axis: number, from: number, to: number) => {
    if (axis === last && together) {
      out.set(chunk.data.subarray(from + start, from + start + lastInside.length), to + first);
      return;
    }
    const { inside, position, stride, step } = axes[axis]!;
    for (let i = 0; i < inside.length; i++) {
      const source = from + inside[i]! * stride;
      const target = to + position[i]! * step;
      if (axis === last) out[target] = chunk.data[source]!;
      else walk(axis + 1, source, target);
    }
  };
  walk(0, 0, 0);
}
