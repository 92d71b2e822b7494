import { itemAt } from '../../items.js';
import { openExtensibleArray, openFixedArray } from './arrays.js';
import { firstIndex, openBTree2 } from './btree2.js';
import type { ChunkIndexInfo } from './dataset.js';
import { type ChunkGrid, parseElement, type StoredChunk } from './element.js';
import { type Cancel, damaged, type Fields, type Hdf5File } from './fields.js';

/**
 * Where the chunks of an HDF5 dataset are. There are six kinds of index, by age and by how the dataset may grow
 * (specification III.A, VII.A to VII.E); each finds one chunk by reading the few nodes that lead to it.
 */
/** The chunk at a place in the grid of chunks; `undefined` if it was never written. */
export type ChunkIndex = (place: readonly number[], options: Cancel) => Promise<StoredChunk | undefined>;

export async function openChunkIndex(
  file: Hdf5File,
  info: ChunkIndexInfo,
  address: number | undefined,
  grid: ChunkGrid,
  options: Cancel,
): Promise<ChunkIndex> {
  if (address === undefined) return async () => undefined;
  const { chunkBytes } = grid;
  switch (info.type) {
    case 'single':
      return async () => ({ address, bytes: info.bytes ?? chunkBytes, mask: info.mask ?? 0 });
    case 'implicit':
      return async (place) => ({ address: address + chunkBytes * numberOf(place, grid), bytes: chunkBytes, mask: 0 });
    case 'fixed array': {
      const element = await openFixedArray(file, address, options);
      return (place, options) => element(numberOf(place, grid), grid, options);
    }
    case 'extensible array': {
      const element = await openExtensibleArray(file, address, options);
      return (place, options) => element(numberOf(place, grid), grid, options);
    }
    case 'b-tree 1':
      return (place, options) => findInBTree1(file, address, place, grid, options);
    case 'b-tree 2':
      return openChunkBTree2(file, address, grid, options);
  }
}

/** Chunks are counted in C order over the largest shape; an axis that nothing bounds is counted first. */
function numberOf(place: readonly number[], { maxShape, chunks }: ChunkGrid): number {
  const axes = place.map((_, axis) => axis);
  const endless = maxShape.indexOf(Number.POSITIVE_INFINITY);
  if (endless > 0) axes.unshift(...axes.splice(endless, 1));
  return axes.reduce(
    (number, axis, i) =>
      (i === 0 ? 0 : number * Math.ceil(itemAt(maxShape, axis) / itemAt(chunks, axis))) + itemAt(place, axis),
    0,
  );
}

/** Type 10 or 11: the place in the grid is the key. */
async function openChunkBTree2(file: Hdf5File, address: number, grid: ChunkGrid, options: Cancel): Promise<ChunkIndex> {
  const rank = grid.chunks.length;
  const tree = await openBTree2(file, address, options);
  const size = tree.recordSize - 8 * rank;
  if (size < file.addressSize + (grid.filtered ? 5 : 0)) throw damaged(file.name, 'a damaged B-tree');
  return async (place, options) => {
    const compare = (record: Fields) => {
      record.skip(size);
      return comparePlaces(place, () => record.uint(8));
    };
    for await (const record of tree.find(compare, options)) return parseElement(record, size, file.addressSize, grid);
    return undefined;
  };
}

function comparePlaces(place: readonly number[], next: () => number): number {
  for (const at of place) {
    const other = next();
    if (at !== other) return at - other;
  }
  return 0;
}

/** Version 1 (III.A.1): each key is the first pixel of the chunks from there on, in C order. */
async function findInBTree1(
  file: Hdf5File,
  address: number,
  place: readonly number[],
  grid: ChunkGrid,
  options: Cancel,
): Promise<StoredChunk | undefined> {
  const { addressSize, name } = file;
  const first = place.map((at, axis) => at * itemAt(grid.chunks, axis));
  const keyBytes = 8 + 8 * (place.length + 1);
  let node: number | undefined = address;
  for (let above = 256; node !== undefined; ) {
    const head = await file.structure(node, 8, options);
    head.expect('TREE');
    const kind = head.uint(1);
    const level = head.uint(1);
    if (kind !== 1 || level >= above) throw damaged(name, 'a damaged chunk index');
    above = level;
    const before = 8 + 2 * addressSize;
    const count = head.uint(2);
    const entries = await file.structure(node, before + count * (keyBytes + addressSize), options);
    const size = keyBytes + addressSize;
    const order = (i: number) => {
      const key = entries.from(before + i * size + 8, size - 8);
      return comparePlaces(first, () => key.uint(8));
    };
    // The last entry that begins at or before the chunk: it is the chunk, or leads to it.
    const last = firstIndex(count, (i) => order(i) < 0) - 1;
    if (last < 0 || (level === 0 && order(last) !== 0)) return undefined;
    const entry = entries.from(before + last * size, size);
    const bytes = entry.uint(4);
    const mask = entry.uint(4);
    entry.skip(keyBytes - 8);
    node = entry.address();
    if (level > 0) continue;
    if (node === undefined) return undefined;
    return { address: node, bytes: grid.filtered ? bytes : grid.chunkBytes, mask };
  }
  return undefined;
}
