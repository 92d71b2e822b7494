import { type Cancel, damaged, type Fields, type Hdf5File, unsupported } from './fields.js';

/**
 * A fractal heap (specification III.G): where large groups keep their links. Objects are found by an identifier that
 * holds their place in one long address space, which a table of blocks of doubling size maps to the file.
 */
export interface FractalHeap {
  object(id: Fields, options: Cancel): Promise<Fields>;
}

const MAX_DEPTH = 8;

export async function openFractalHeap(file: Hdf5File, address: number, options: Cancel): Promise<FractalHeap> {
  const { addressSize, lengthSize, name } = file;
  const header = await file.structure(address, 22 + 12 * lengthSize + 3 * addressSize, options);
  header.expect('FRHP');
  header.skip(3);
  if (header.uint(2) > 0) throw unsupported(name, 'a group with compressed links');
  header.skip(1);
  const largestObject = header.uint(4);
  header.skip(lengthSize + addressSize + lengthSize + addressSize + 8 * lengthSize);
  const width = header.uint(2);
  const first = header.length();
  const largestDirect = header.length();
  const offsetBytes = Math.ceil(header.uint(2) / 8);
  header.skip(2);
  const root = header.address();
  const rootRows = header.uint(2);
  const log = Math.log2(largestDirect / first);
  if (root === undefined || width === 0 || first === 0 || !Number.isInteger(log) || log < 0 || offsetBytes > 8)
    throw damaged(name, 'a damaged heap');
  const directRows = log + 2;
  const lengthBytes = Math.min(bytesFor(largestDirect), bytesFor(largestObject));
  const sizeOfRow = (row: number) => first * 2 ** Math.max(0, row - 1);

  /** The address of the byte at `offset` of the heap, which lies in the block at `address` that has `rows` rows. */
  async function locate(address: number, rows: number, offset: number, options: Cancel, depth = 0): Promise<number> {
    if (rows === 0) return address + offset;
    if (depth > MAX_DEPTH) throw damaged(name, 'a damaged heap');
    let start = 0;
    let row = 0;
    while (row < rows && offset >= start + width * sizeOfRow(row)) start += width * sizeOfRow(row++);
    if (row >= rows) throw damaged(name, 'a link outside its heap');
    const column = Math.floor((offset - start) / sizeOfRow(row));
    const entry = row * width + column;
    const prefix = 5 + addressSize + offsetBytes;
    const block = await file.structure(address, prefix + (entry + 1) * addressSize, options);
    block.expect('FHIB');
    block.skip(prefix - 4 + entry * addressSize);
    const child = block.address();
    if (child === undefined) throw damaged(name, 'a link outside its heap');
    const inside = offset - start - column * sizeOfRow(row);
    const childRows = row < directRows ? 0 : Math.log2(sizeOfRow(row) / (first * width)) + 1;
    return locate(child, childRows, inside, options, depth + 1);
  }

  return {
    async object(id, options) {
      const kind = (id.uint(1) >> 4) & 3;
      if (kind !== 0) throw unsupported(name, 'a group with very long or very short links');
      const offset = id.uint(offsetBytes);
      const length = id.uint(lengthBytes);
      return file.structure(await locate(root, rootRows, offset, options), length, options);
    },
  };
}

function bytesFor(limit: number): number {
  return Math.floor(Math.log2(Math.max(1, limit)) / 8) + 1;
}
