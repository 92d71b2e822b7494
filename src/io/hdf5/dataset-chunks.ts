import { itemAt } from '../../items.js';
import { allocate, sizeOf } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import type { Chunk, ChunkedArray } from '../chunked-region.js';
import { bytesPerElement, decodeElements, memoryDtype } from '../elements.js';
import { checkBlockSize } from '../region.js';
import { openChunkIndex } from './chunks.js';
import type { Hdf5Dataset } from './dataset.js';
import type { Hdf5File } from './fields.js';
import { unpackChunk } from './filters.js';

/** A dataset as an array of chunks, however it is stored. */
export async function chunkedDataset(
  file: Hdf5File,
  dataset: Hdf5Dataset,
  options: TaskOptions,
): Promise<ChunkedArray> {
  const { name, shape, maxShape, dtype, littleEndian, storage, filters } = dataset;
  if (storage.kind === 'compact' || (storage.kind === 'contiguous' && storage.address !== undefined))
    return contiguousChunks(file, dataset);
  const elementSize = bytesPerElement(dtype);
  const fill = dataset.fill ? decodeElements(dataset.fill, dtype, littleEndian) : allocate(memoryDtype(dtype), 1);
  const unwritten: Chunk = { data: fill, strides: shape.map(() => 0) };
  // One that was never written is a single chunk that is not there.
  if (storage.kind !== 'chunked') return { shape, chunks: shape, dtype, chunk: async () => unwritten };
  const { chunks } = storage;
  checkBlockSize(name, 'chunks', chunks, elementSize);
  const chunkBytes = sizeOf(chunks) * elementSize;
  const strides = stridesOf(chunks);
  const grid = { shape, maxShape, chunks, chunkBytes, filtered: filters.length > 0 };
  const find = await openChunkIndex(file, storage.index, storage.address, grid, options);
  return {
    shape,
    chunks,
    dtype,
    async chunk(place, { signal }) {
      const stored = await find(place, { signal });
      if (stored === undefined) return unwritten;
      const whole = place.every((at, axis) => (at + 1) * itemAt(chunks, axis) <= itemAt(shape, axis));
      const packed = await file.pixels(stored.address, stored.bytes, { signal });
      const used = storage.plainEdges && !whole ? [] : filters;
      const bytes = await unpackChunk(packed, used, stored.mask, chunkBytes, elementSize, name);
      return { data: decodeElements(bytes, dtype, littleEndian), strides };
    },
  };
}

/** Pieces of about this many bytes are read at once of a dataset that is one block. */
const PIECE_BYTES = 2 ** 20;

/** A dataset that is one block, cut along its first axes into pieces that lie together. */
function contiguousChunks(file: Hdf5File, { shape, dtype, littleEndian, storage }: Hdf5Dataset): ChunkedArray {
  const size = bytesPerElement(dtype);
  const strides = stridesOf(shape);
  const cut = strides.findIndex((stride) => stride * size <= PIECE_BYTES);
  const rowLength = itemAt(strides, cut);
  const rows = Math.max(1, Math.floor(PIECE_BYTES / (rowLength * size)));
  const chunks = shape.map((length, axis) => (axis < cut ? 1 : axis === cut ? Math.min(length, rows) : length));
  return {
    shape,
    chunks,
    dtype,
    async chunk(place, { signal }) {
      const first = place.reduce((sum, at, axis) => sum + at * itemAt(chunks, axis) * itemAt(strides, axis), 0);
      const most = itemAt(chunks, cut);
      const count = Math.min(most, itemAt(shape, cut) - itemAt(place, cut) * most) * rowLength;
      const bytes =
        storage.kind === 'compact'
          ? storage.bytes.subarray(first * size, (first + count) * size)
          : await file.pixels(
              (storage.kind === 'contiguous' ? (storage.address ?? 0) : 0) + first * size,
              count * size,
              {
                signal,
              },
            );
      return { data: decodeElements(bytes, dtype, littleEndian), strides };
    },
  };
}

function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
}
