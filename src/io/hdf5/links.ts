import { openBTree2 } from './btree2.js';
import { type Cancel, damaged, type Fields, type Hdf5File } from './fields.js';
import { MESSAGE, type Message, messageOf, readHeader } from './header.js';
import { openFractalHeap } from './heap.js';

/**
 * The links of an HDF5 group, in all three ways they are stored: a symbol table (specification III.B, until HDF5 1.8),
 * messages of the group itself, and a heap with an index for groups with many. External links are left out.
 */
export interface Link {
  readonly name: string;
  /** The address of an object header, or the path that a soft link leads to. */
  readonly target: number | string;
}

/** Fuller groups are damaged or hold no images. */
const MAX_LINKS = 10_000;
const MAX_DEPTH = 16;

export async function readLinks(
  file: Hdf5File,
  messages: readonly Message[],
  options: Cancel,
): Promise<Map<string, Link['target']>> {
  const links = new Map<string, Link['target']>();
  for await (const { name, target } of everyLink(file, messages, options)) {
    links.set(name, target);
    if (links.size > MAX_LINKS) throw damaged(file.name, `a group with more than ${MAX_LINKS} members`);
  }
  return links;
}

async function* everyLink(file: Hdf5File, messages: readonly Message[], options: Cancel): AsyncGenerator<Link> {
  const table = messageOf(messages, MESSAGE.symbolTable, file.name);
  if (table) yield* symbolTable(file, table, options);
  for (const { type, fields } of messages) {
    if (type !== MESSAGE.link) continue;
    fields.at = 0;
    const link = parseLink(fields);
    if (link) yield link;
  }
  const info = messageOf(messages, MESSAGE.linkInfo, file.name);
  if (info) yield* denseLinks(file, info, options);
}

/** A link message (IV.A.2.g). */
function parseLink(fields: Fields): Link | undefined {
  fields.skip(1);
  const flags = fields.uint(1);
  const kind = flags & 8 ? fields.uint(1) : 0;
  fields.skip((flags & 4 ? 8 : 0) + (flags & 16 ? 1 : 0));
  const name = fields.text(fields.uint(1 << (flags & 3)));
  if (kind === 0) {
    const target = fields.address();
    return target === undefined ? undefined : { name, target };
  }
  return kind === 1 ? { name, target: fields.text(fields.uint(2)) } : undefined;
}

/** A link info message (IV.A.2.c): where the heap and the index over names are, if there are any. */
async function* denseLinks(file: Hdf5File, info: Fields, options: Cancel): AsyncGenerator<Link> {
  info.skip(1);
  if (info.uint(1) & 1) info.skip(8);
  const heapAddress = info.address();
  const indexAddress = info.address();
  if (heapAddress === undefined || indexAddress === undefined) return;
  const heap = await openFractalHeap(file, heapAddress, options);
  const index = await openBTree2(file, indexAddress, options);
  for await (const record of index.find(() => 0, options)) {
    record.skip(4);
    const link = parseLink(await heap.object(record, options));
    if (link) yield link;
  }
}

async function* symbolTable(file: Hdf5File, message: Fields, options: Cancel): AsyncGenerator<Link> {
  const tree = message.address();
  const heap = message.address();
  if (tree === undefined || heap === undefined) return;
  const header = await file.structure(heap, 8 + 2 * file.lengthSize + file.addressSize, options);
  header.expect('HEAP');
  header.skip(4);
  const length = header.length();
  header.length();
  const names = await file.structure(header.address() ?? 0, length, options);
  const nameAt = (offset: number) => {
    names.at = 0;
    names.skip(offset);
    return names.text(names.left);
  };
  yield* symbolNodes(file, tree, nameAt, options);
}

/** A B-tree of version 1 over the nodes of a symbol table (III.A.1, III.B). */
async function* symbolNodes(
  file: Hdf5File,
  address: number,
  nameAt: (offset: number) => string,
  options: Cancel,
  seen = new Set<number>(),
): AsyncGenerator<Link> {
  options.signal?.throwIfAborted();
  if (seen.has(address)) throw damaged(file.name, 'a group that goes in circles');
  seen.add(address);
  const prefix = await file.structure(address, 8, options);
  const leaf = prefix.bytes[0] === 0x53;
  prefix.expect(leaf ? 'SNOD' : 'TREE');
  prefix.skip(2);
  const count = prefix.uint(2);
  if (!leaf) {
    const { addressSize, lengthSize } = file;
    const node = await file.structure(address, 8 + 2 * addressSize + count * (addressSize + lengthSize), options);
    node.skip(8 + 2 * addressSize);
    for (let i = 0; i < count; i++) {
      node.length();
      const child = node.address();
      if (child !== undefined) yield* symbolNodes(file, child, nameAt, options, seen);
    }
    return;
  }
  const node = await file.structure(address, 8 + count * (24 + 2 * file.addressSize), options);
  node.skip(8);
  for (let i = 0; i < count; i++) {
    const name = nameAt(node.uint(file.addressSize));
    const target = node.address();
    const soft = node.uint(4) === 2;
    node.skip(4);
    const scratch = node.part(16);
    if (soft) yield { name, target: nameAt(scratch.uint(4)) };
    else if (target !== undefined) yield { name, target };
  }
}

/** The object header at `path` ('/' between names), through soft links; `undefined` if there is none. */
export async function findObject(
  file: Hdf5File,
  path: string,
  options: Cancel,
  depth = MAX_DEPTH,
): Promise<readonly Message[] | undefined> {
  let messages: readonly Message[] = await readHeader(file, file.root, options);
  const names = path.split('/').filter((part) => part !== '' && part !== '.');
  for (const [i, name] of names.entries()) {
    const target = (await readLinks(file, messages, options)).get(name);
    if (target === undefined || depth === 0) return undefined;
    if (typeof target === 'string') {
      const start = target.startsWith('/') ? [] : names.slice(0, i);
      return findObject(file, [...start, target, ...names.slice(i + 1)].join('/'), options, depth - 1);
    }
    messages = await readHeader(file, target, options);
  }
  return messages;
}
