import { itemAt } from '../../items.js';
import { type Cancel, damaged, type Fields, type Hdf5File } from './fields.js';

/**
 * B-trees of version 2 (specification III.A.2): records of one size in the order of their keys. They list the links of
 * large groups and the chunks of datasets that can grow along several axes.
 */
export interface BTree2 {
  readonly recordSize: number;
  /**
   * Records for which `compare` gives 0, in order. `compare` says whether what is looked for comes before (negative),
   * at, or after (positive) a record; subtrees that cannot hold it are not read.
   */
  find(compare: (record: Fields) => number, options: Cancel): AsyncGenerator<Fields>;
}

interface Node {
  readonly address: number;
  readonly records: number;
  readonly depth: number;
}

interface Search extends Cancel {
  readonly compare: (record: Fields) => number;
  readonly seen: Set<number>;
}

const MAX_DEPTH = 16;
const RECORDS_AT = 6;
const MAX_NODE_BYTES = 65_536;

export async function openBTree2(file: Hdf5File, address: number, options: Cancel): Promise<BTree2> {
  const header = await file.structure(address, 18 + file.addressSize, options);
  header.expect('BTHD');
  header.skip(2);
  const nodeSize = header.uint(4);
  const recordSize = header.uint(2);
  const depth = header.uint(2);
  header.skip(2);
  const root = header.address();
  const records = header.uint(2);
  if (depth > MAX_DEPTH || recordSize === 0 || nodeSize < 10 + recordSize || nodeSize > MAX_NODE_BYTES)
    throw damaged(file.name, 'a damaged B-tree');
  const widths = pointerWidths(nodeSize, recordSize, depth, file.addressSize);

  async function* walk(node: Node, search: Search): AsyncGenerator<Fields> {
    search.signal?.throwIfAborted();
    if (search.seen.has(node.address)) throw damaged(file.name, 'a B-tree that goes in circles');
    search.seen.add(node.address);
    const fields = await file.structure(node.address, nodeSize, search);
    fields.expect(node.depth === 0 ? 'BTLF' : 'BTIN');
    const width = itemAt(widths, node.depth);
    const pointer = file.addressSize + width.records + width.total;
    const children = RECORDS_AT + node.records * recordSize;
    const record = (i: number) => fields.from(RECORDS_AT + i * recordSize, recordSize);
    const order = (i: number) => search.compare(record(i));
    for (let i = firstIndex(node.records, (i) => order(i) <= 0); i <= node.records; i++) {
      if (node.depth > 0) {
        const child = fields.from(children + i * pointer, pointer);
        const address = child.address();
        if (address !== undefined)
          yield* walk({ address, records: child.uint(width.records), depth: node.depth - 1 }, search);
      }
      if (i === node.records || order(i) < 0) return;
      yield record(i);
    }
  }

  return {
    recordSize,
    async *find(compare, { signal }) {
      if (root !== undefined && records > 0)
        yield* walk({ address: root, records, depth }, { compare, signal, seen: new Set() });
    },
  };
}

/** Bytes of the counts beside the child pointers of each depth: as many as the largest possible count needs. */
function pointerWidths(nodeSize: number, recordSize: number, depth: number, addressSize: number) {
  const usable = nodeSize - 10;
  const widths = [{ records: 0, total: 0 }];
  let most = Math.floor(usable / recordSize);
  let mostBelow = most;
  for (let level = 1; level <= depth; level++) {
    const width = { records: bytesFor(most), total: level > 1 ? bytesFor(mostBelow) : 0 };
    widths.push(width);
    const pointer = addressSize + width.records + width.total;
    most = Math.floor((usable - pointer) / (recordSize + pointer));
    mostBelow = (most + 1) * mostBelow + most;
  }
  return widths;
}

function bytesFor(value: number): number {
  return Math.max(1, Math.ceil(Math.log2(value + 1) / 8));
}

/** The first index below `count` for which `reached` is true, or `count`; true for all after the first. */
export function firstIndex(count: number, reached: (i: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (reached(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
