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

/** Fills `out` with the region of an array whose axes are `axes`: letters of `tczyx`, one per axis. */
export async function readChunkedRegion(
  name: string,
  array: ChunkedArray,
  axes: string,
  region: Region,
  cache: LruCache<string, Chunk>,
  out: TypedArray,
  options: TaskOptions,
): Promise<TypedArray> {
  const [y0, x0, y1, x1] = region.box;
  const wanted: Record<string, readonly number[]> = {
    t: [region.t],
    z: [region.z],
    c: region.channels,
    y: range(y0, y1),
    x: range(x0, x1),
  };
  /** Per axis: the chunk index, and which of the wanted positions lie in that chunk. */
  const perAxis = [...axes].map((axis, i) => split(wanted[axis], array.chunks[i]));
  checkBlockCount(
    name,
    perAxis.reduce((count, parts) => count * parts.length, 1),
  );
  const steps: Record<string, number> = {
    c: 1,
    x: region.channels.length,
    y: region.width * region.channels.length,
    t: 0,
    z: 0,
  };
  await forEachConcurrently(
    product(perAxis),
    async (parts) => {
      const index = parts.map((part) => part.chunk);
      const chunk = await cache.load(`${region.level}/${index.join('.')}`, async () => {
        const value = await array.chunk(index, options);
        return { value, bytes: value.data.byteLength };
      });
      copy(
        chunk,
        parts,
        [...axes].map((axis) => steps[axis]),
        out,
      );
    },
    options.signal,
  );
  return out;
}

interface Part {
  readonly chunk: number;
  readonly inside: readonly number[];
  readonly position: readonly number[];
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

function split(positions: readonly number[], chunk: number): Part[] {
  const parts = new Map<number, { chunk: number; inside: number[]; position: number[] }>();
  positions.forEach((at, i) => {
    const index = Math.floor(at / chunk);
    const part = parts.get(index) ?? { chunk: index, inside: [], position: [] };
    parts.set(index, part);
    part.inside.push(at - index * chunk);
    part.position.push(i);
  });
  return [...parts.values()];
}

function* product(perAxis: readonly (readonly Part[])[], chosen: readonly Part[] = []): Generator<readonly Part[]> {
  if (chosen.length === perAxis.length) yield chosen;
  else for (const part of perAxis[chosen.length]) yield* product(perAxis, [...chosen, part]);
}

/** Rows that lie together on both sides are copied at once. */
function copy(chunk: Chunk, parts: readonly Part[], steps: readonly number[], out: TypedArray): void {
  const last = parts.length - 1;
  const { inside: lastInside } = parts[last];
  const together =
    chunk.strides[last] === 1 && steps[last] === 1 && lastInside.every((at, i) => at === lastInside[0] + i);
  const walk = (axis: number, from: number, to: number) => {
    const { inside, position } = parts[axis];
    const stride = chunk.strides[axis];
    const step = steps[axis];
    if (axis === last && together) {
      const start = from + inside[0];
      out.set(chunk.data.subarray(start, start + inside.length), to + position[0]);
      return;
    }
    for (let i = 0; i < inside.length; i++) {
      const source = from + inside[i] * stride;
      const target = to + position[i] * step;
      if (axis === last) out[target] = chunk.data[source];
      else walk(axis + 1, source, target);
    }
  };
  walk(0, 0, 0);
}
