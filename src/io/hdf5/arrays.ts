import { type ChunkGrid, parseElement, type StoredChunk } from './element.js';
import { type Cancel, damaged, type Hdf5File } from './fields.js';

/**
 * The two chunk indices of HDF5 that are arrays over the number of a chunk: the fixed array of datasets that cannot grow
 * (specification VII.C) and the extensible array of those that grow along one axis (VII.D). Large blocks of elements
 * are split into pages, each followed by a checksum.
 */
export type ElementAt = (index: number, grid: ChunkGrid, options: Cancel) => Promise<StoredChunk | undefined>;

const CHECKSUM_BYTES = 4;

export async function openFixedArray(file: Hdf5File, address: number, options: Cancel): Promise<ElementAt> {
  const { addressSize, lengthSize, name } = file;
  const header = await file.structure(address, 8 + lengthSize + addressSize, options);
  header.expect('FAHD');
  header.skip(2);
  const elementSize = header.uint(1);
  const pageElements = 2 ** header.uint(1);
  const count = header.length();
  const block = header.address();
  return async (index, grid, options) => {
    if (block === undefined) return undefined;
    if (index >= count) throw damaged(name, 'a chunk beyond its index');
    checkElement(name, elementSize, addressSize, grid);
    const prefix = 6 + addressSize;
    const pages = Math.ceil(count / pageElements);
    const bitmap = count > pageElements ? Math.ceil(pages / 8) : 0;
    const first = prefix + (bitmap > 0 ? bitmap + CHECKSUM_BYTES : 0);
    const page = bitmap > 0 ? Math.floor(index / pageElements) : 0;
    if (bitmap > 0 && !(await hasPage(file, block + prefix, page, options))) return undefined;
    const at = block + first + index * elementSize + page * CHECKSUM_BYTES;
    return parseElement(await file.structure(at, elementSize, options), elementSize, addressSize, grid);
  };
}

/** Pages that were never written are told by a bit each, from the highest of the first byte on. */
async function hasPage(file: Hdf5File, bitmap: number, page: number, options: Cancel): Promise<boolean> {
  const byte = (await file.structure(bitmap + (page >> 3), 1, options)).uint(1);
  return (byte & (128 >> (page & 7))) !== 0;
}

export async function openExtensibleArray(file: Hdf5File, address: number, options: Cancel): Promise<ElementAt> {
  const { addressSize, lengthSize, name } = file;
  const header = await file.structure(address, 12 + 6 * lengthSize + addressSize, options);
  header.expect('EAHD');
  header.skip(2);
  const elementSize = header.uint(1);
  const indexBits = header.uint(1);
  const inIndex = header.uint(1);
  const smallest = header.uint(1);
  const leastPointers = header.uint(1);
  const pageElements = 2 ** header.uint(1);
  header.skip(6 * lengthSize);
  const indexBlock = header.address();
  const powers = [smallest, leastPointers].every((value) => value > 0 && Number.isInteger(Math.log2(value)));
  if (!powers || indexBits > 64) throw damaged(name, 'a damaged chunk index');
  const prefix = 6 + addressSize;
  const offsetBytes = Math.ceil(indexBits / 8);
  const directBlocks = 2 * (leastPointers - 1);
  const directSupers = 2 * Math.log2(leastPointers);
  const read = async (at: number, grid: ChunkGrid, options: Cancel) =>
    parseElement(await file.structure(at, elementSize, options), elementSize, addressSize, grid);
  const pointer = async (at: number, options: Cancel) => (await file.structure(at, addressSize, options)).address();

  return async (index, grid, options) => {
    if (indexBlock === undefined) return undefined;
    checkElement(name, elementSize, addressSize, grid);
    if (index < inIndex) return read(indexBlock + prefix + index * elementSize, grid, options);
    const pointers = indexBlock + prefix + inIndex * elementSize;
    // Super block s holds 2^floor(s / 2) data blocks of 2^ceil(s / 2) times the smallest number of elements.
    const beyond = index - inIndex;
    const level = Math.floor(Math.log2(beyond / smallest + 1));
    const blockElements = smallest * 2 ** Math.ceil(level / 2);
    const inLevel = beyond - smallest * (2 ** level - 1);
    const block = Math.floor(inLevel / blockElements);
    const inBlock = inLevel - block * blockElements;
    const pages = blockElements > pageElements ? blockElements / pageElements : 0;
    let data: number | undefined;
    if (level < directSupers) {
      const before = 2 ** Math.floor(level / 2) * (level % 2 === 0 ? 2 : 3) - 2;
      data = await pointer(pointers + (before + block) * addressSize, options);
    } else {
      const at = pointers + (directBlocks + level - directSupers) * addressSize;
      const superBlock = await pointer(at, options);
      if (superBlock === undefined) return undefined;
      const bitmap = Math.ceil(pages / 8);
      const bitmaps = superBlock + prefix + offsetBytes;
      const blocks = 2 ** Math.floor(level / 2);
      data = await pointer(bitmaps + blocks * bitmap + block * addressSize, options);
      // The bits of all data blocks follow each other, though there is room for whole bytes per data block.
      const bit = block * pages + Math.floor(inBlock / pageElements);
      if (pages > 0 && !(await hasPage(file, bitmaps, bit, options))) return undefined;
    }
    if (data === undefined) return undefined;
    const page = pages > 0 ? Math.floor(inBlock / pageElements) : 0;
    const first = data + prefix + offsetBytes + (pages > 0 ? CHECKSUM_BYTES : 0);
    return read(first + inBlock * elementSize + page * CHECKSUM_BYTES, grid, options);
  };
}

/** The size of an element says whether chunks are packed; it has to agree with the filters of the dataset. */
function checkElement(name: string, elementSize: number, addressSize: number, { filtered }: ChunkGrid): void {
  const extra = elementSize - addressSize;
  if (filtered ? extra < 5 || extra > 12 : extra !== 0) throw damaged(name, 'a damaged chunk index');
}
