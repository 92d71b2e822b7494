import { sizeOf } from '../../ndimage/array.js';
import { bytesPerElement, decodeElements } from '../elements.js';
import { openBTree2 } from './btree2.js';
import { datatype, parseDataspace } from './dataset.js';
import { type Cancel, damaged, Fields, type Hdf5File } from './fields.js';
import { MESSAGE, type Message, messageOf } from './header.js';
import { openFractalHeap } from './heap.js';

/**
 * Attributes of HDF5 objects: numbers and text, in the header of the object or, where there are many, in a heap beside it
 * (specification IV.A.2.m and v). All else, such as references, is left out, and so is what is damaged: the image can be
 * read without.
 */
export type Attributes = Readonly<Record<string, readonly number[] | readonly string[]>>;

export async function readAttributes(
  file: Hdf5File,
  messages: readonly Message[],
  options: Cancel,
): Promise<Attributes> {
  const found: Record<string, readonly number[] | readonly string[]> = {};
  for await (const fields of everyAttribute(file, messages, options)) {
    try {
      fields.at = 0;
      const [name, values] = await attribute(file, fields, options);
      found[name] = values;
    } catch {
      options.signal?.throwIfAborted();
    }
  }
  return found;
}

/**
 * An attribute that is text, whichever way it is stored: one string, or an array of single letters as Imaris writes.
 * Undefined if it is absent or numbers.
 */
export function textOf(attributes: Attributes, name: string): string | undefined {
  const values = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  if (values === undefined || !values.every((value) => typeof value === 'string')) return undefined;
  return values.join('').trim();
}

async function* everyAttribute(file: Hdf5File, messages: readonly Message[], options: Cancel): AsyncGenerator<Fields> {
  for (const { type, fields } of messages) if (type === MESSAGE.attribute) yield fields;
  try {
    const info = messageOf(messages, MESSAGE.attributeInfo, file.name);
    if (info) yield* denseAttributes(file, info, options);
  } catch {
    options.signal?.throwIfAborted();
  }
}

async function* denseAttributes(file: Hdf5File, info: Fields, options: Cancel): AsyncGenerator<Fields> {
  info.skip(1);
  if (info.uint(1) & 1) info.skip(2);
  const heapAddress = info.address();
  const indexAddress = info.address();
  if (heapAddress === undefined || indexAddress === undefined) return;
  const heap = await openFractalHeap(file, heapAddress, options);
  const index = await openBTree2(file, indexAddress, options);
  for await (const record of index.find(() => 0, options)) yield heap.object(record, options);
}

async function attribute(
  file: Hdf5File,
  fields: Fields,
  options: Cancel,
): Promise<[string, readonly number[] | readonly string[]]> {
  const version = fields.uint(1);
  const shared = fields.uint(1);
  if (version > 1 && shared !== 0) throw damaged(file.name, 'an attribute of a shared type');
  const [nameLength, typeLength, spaceLength] = [fields.uint(2), fields.uint(2), fields.uint(2)];
  if (version === 3) fields.skip(1);
  const padded = (length: number) => (version === 1 ? Math.ceil(length / 8) * 8 : length);
  const name = fields.text(padded(nameLength));
  const type = fields.part(padded(typeLength));
  const { shape } = parseDataspace(file, fields.part(padded(spaceLength)));
  const count = sizeOf(shape);
  const head = type.from(0, 2);
  const kind = head.uint(1) & 15;
  if (kind === FIXED_TEXT) {
    type.skip(4);
    const size = type.uint(4);
    return [name, texts(count, () => fields.text(size))];
  }
  if (kind === VARIABLE_LENGTH) {
    if ((head.uint(1) & 15) !== 1) throw damaged(file.name, 'a list of lists');
    const pointers = texts(count, () => [fields.uint(4), fields.address(), fields.uint(4)] as const);
    const values: string[] = [];
    for (const [length, address, index] of pointers)
      values.push(address === undefined || length === 0 ? '' : await globalText(file, address, index, length, options));
    return [name, values];
  }
  const { dtype, littleEndian } = datatype(type, name);
  return [name, Array.from(decodeElements(fields.take(count * bytesPerElement(dtype)), dtype, littleEndian))];
}

const FIXED_TEXT = 3;
const VARIABLE_LENGTH = 9;
const MAX_TEXTS = 4096;

function texts<T>(count: number, next: () => T): T[] {
  return Array.from({ length: Math.min(count, MAX_TEXTS) }, next);
}

/** Text of variable length lies in a collection of objects that are found by number (III.E). */
async function globalText(
  file: Hdf5File,
  address: number,
  index: number,
  length: number,
  options: Cancel,
): Promise<string> {
  const prefix = 8 + file.lengthSize;
  const head = await file.structure(address, prefix, options);
  head.expect('GCOL');
  head.skip(4);
  const collection = await file.structure(address, head.length(), options);
  collection.skip(prefix);
  const header = 8 + file.lengthSize;
  while (collection.left >= header) {
    const number = collection.uint(2);
    collection.skip(6);
    const size = collection.length();
    // Number 0 is the free space at the end.
    if (number === 0) break;
    if (number === index) return new Fields(collection.take(Math.min(size, length)), file.name).text(length);
    collection.skip(Math.ceil(size / 8) * 8);
  }
  throw damaged(file.name, 'text that is not where it should be');
}
