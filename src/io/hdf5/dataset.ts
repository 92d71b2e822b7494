import { bytesPerElement, type FileDtype } from '../elements.js';
import { damaged, type Fields, type Hdf5File, unsupported } from './fields.js';
import { checkFilters, type Filter } from './filters.js';
import { MESSAGE, type Message, messageOf } from './header.js';

/** What the object header of an HDF5 dataset says (specification IV.A.2): shape, type of numbers, where they are. */
export interface Hdf5Dataset {
  /** With the path in it, for messages. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Lengths the axes may grow to; those of `shape` where they cannot, `Infinity` where nothing bounds them. */
  readonly maxShape: readonly number[];
  readonly dtype: FileDtype;
  readonly littleEndian: boolean;
  /** One element as stored, for chunks that were never written; zero if absent. */
  readonly fill: Uint8Array | undefined;
  readonly storage: Storage;
  readonly filters: readonly Filter[];
}

export type Storage =
  /** As one block; without an address nothing was written yet. */
  | { readonly kind: 'contiguous'; readonly address: number | undefined }
  /** Inside the header. */
  | { readonly kind: 'compact'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'chunked';
      readonly chunks: readonly number[];
      readonly index: ChunkIndexInfo;
      /** Chunks that stick out of the dataset are stored as they are. */
      readonly plainEdges: boolean;
      readonly address: number | undefined;
    };

export type ChunkIndexInfo =
  | { readonly type: 'b-tree 1' | 'implicit' | 'fixed array' | 'extensible array' | 'b-tree 2' }
  /** `bytes` and `mask` if it is filtered. */
  | { readonly type: 'single'; readonly bytes?: number; readonly mask?: number };

/** Lengths of the axes; `undefined` for what is no dataset. Cheap: nothing else is looked at. */
export function datasetShape(file: Hdf5File, messages: readonly Message[]): readonly number[] | undefined {
  const space = messageOf(messages, MESSAGE.dataspace, file.name);
  return space && messageOf(messages, MESSAGE.layout, file.name) ? parseDataspace(file, space).shape : undefined;
}

export function parseDataset(file: Hdf5File, messages: readonly Message[], name: string): Hdf5Dataset {
  const of = (type: number) => messageOf(messages, type, name);
  const space = of(MESSAGE.dataspace);
  const type = of(MESSAGE.datatype);
  const layout = of(MESSAGE.layout);
  if (!space || !type || !layout) throw damaged(name, 'a dataset without a shape, a type or a place');
  if (of(MESSAGE.externalFiles)) throw unsupported(name, 'pixels in external files');
  const { shape, maxShape } = parseDataspace(file, space);
  const { dtype, littleEndian } = datatype(type, name);
  const pipeline = of(MESSAGE.filters);
  const filters = pipeline ? parseFilters(pipeline, name) : [];
  checkFilters(filters, name);
  const storage = parseLayout(layout, name, filters.length > 0);
  if (storage.kind === 'chunked' && storage.chunks.length !== shape.length)
    throw damaged(name, `chunks of [${storage.chunks}] for the shape [${shape}]`);
  const fill = fillValue(of(MESSAGE.fill), of(MESSAGE.oldFill), bytesPerElement(dtype));
  return { name, shape, maxShape, dtype, littleEndian, fill, storage, filters };
}

/** IV.A.2.b */
export function parseDataspace(file: Hdf5File, fields: Fields) {
  const version = fields.uint(1);
  const rank = fields.uint(1);
  const limited = (fields.uint(1) & 1) !== 0;
  const kind = fields.uint(1);
  if (version === 1) fields.skip(4);
  else if (version !== 2) throw damaged(file.name, `a dataspace of version ${version}`);
  if (rank > 32) throw damaged(file.name, `${rank} axes`);
  const shape = Array.from({ length: version === 2 && kind === 2 ? 0 : rank }, () => fields.length());
  const maxShape = limited ? shape.map(() => fields.length()) : shape;
  const unlimited = 256 ** file.lengthSize - 1;
  return { shape, maxShape: maxShape.map((length) => (length >= unlimited ? Number.POSITIVE_INFINITY : length)) };
}

const CLASSES = 'integer,float,time,text,bit field,opaque,compound,reference,enumeration,list,array,complex'.split(',');
const FLOATS: Record<string, FileDtype> = {
  '2/5/10': 'float16',
  '4/8/23': 'float32',
  '8/11/52': 'float64',
};

/** IV.A.2.d; enumerations, which h5py writes for booleans, are read as the integers they are. */
export function datatype(fields: Fields, name: string): { dtype: FileDtype; littleEndian: boolean } {
  const head = fields.uint(1);
  const flags = fields.uint(1);
  fields.skip(2);
  const size = fields.uint(4);
  const kind = head & 15;
  if (kind === 8) return datatype(fields, name);
  const littleEndian = (flags & 1) === 0;
  if (kind === 0 || kind === 1) {
    const offset = fields.uint(2);
    const bits = fields.uint(2);
    let dtype: FileDtype | undefined;
    if (kind === 0) {
      const integers: readonly FileDtype[] =
        flags & 8 ? ['int8', 'int16', 'int32', 'int64'] : ['uint8', 'uint16', 'uint32', 'uint64'];
      dtype = integers.find((integer) => bytesPerElement(integer) === size);
    } else {
      fields.skip(1);
      const exponent = fields.uint(1);
      fields.skip(1);
      dtype = FLOATS[`${size}/${exponent}/${fields.uint(1)}`];
    }
    if (dtype === undefined || offset !== 0 || bits !== 8 * size || (kind === 1 && (flags & 65) === 65))
      throw unsupported(name, `numbers of ${bits} bits in ${size} bytes`);
    return { dtype, littleEndian };
  }
  throw unsupported(name, `values of the type "${CLASSES[kind] ?? kind}"`);
}

/** IV.A.2.e and f: the newer message counts where both are there. */
function fillValue(fields: Fields | undefined, old: Fields | undefined, size: number): Uint8Array | undefined {
  if (fields) {
    const version = fields.uint(1);
    const flags = fields.uint(1);
    let defined = (flags & 32) !== 0;
    if (version < 3) {
      fields.skip(1);
      defined = fields.uint(1) > 0 || version === 1;
    }
    if (!defined) return undefined;
  }
  const message = fields ?? old;
  return message && message.left >= 4 && message.uint(4) === size ? message.take(size).slice() : undefined;
}

/** IV.A.2.i */
function parseLayout(fields: Fields, name: string, filtered: boolean): Storage {
  const version = fields.uint(1);
  if (version < 3) return oldLayout(fields, name);
  if (version > 5) throw unsupported(name, `a data layout of version ${version}`);
  const kind = fields.uint(1);
  if (kind === 0) return { kind: 'compact', bytes: fields.take(fields.uint(2)) };
  if (kind === 1) return { kind: 'contiguous', address: fields.address() };
  if (kind !== 2) throw unsupported(name, kind === 3 ? 'pixels of other datasets (a virtual dataset)' : 'a new layout');
  if (version === 3) return chunkedByBTree(fields, fields.uint(1));
  const flags = fields.uint(1);
  const rank = fields.uint(1);
  const chunks = chunkShape(fields, rank, fields.uint(1));
  const index = chunkIndex(fields, name, filtered && (flags & 2) !== 0);
  return { kind: 'chunked', chunks, index, plainEdges: (flags & 1) !== 0, address: fields.address() };
}

function chunkIndex(fields: Fields, name: string, filtered: boolean): ChunkIndexInfo {
  const type = fields.uint(1);
  switch (type) {
    case 1:
      return filtered ? { type: 'single', bytes: fields.length(), mask: fields.uint(4) } : { type: 'single' };
    case 2:
      return { type: 'implicit' };
    case 3:
      fields.skip(1);
      return { type: 'fixed array' };
    case 4:
      fields.skip(5);
      return { type: 'extensible array' };
    case 5:
      fields.skip(6);
      return { type: 'b-tree 2' };
    default:
      throw unsupported(name, `a chunk index of type ${type}`);
  }
}

/** Versions 1 and 2, of before HDF5 1.6.3. */
function oldLayout(fields: Fields, name: string): Storage {
  const rank = fields.uint(1);
  const kind = fields.uint(1);
  fields.skip(5);
  if (kind === 1) return { kind: 'contiguous', address: fields.address() };
  if (kind !== 2) throw unsupported(name, 'an old compact layout');
  return chunkedByBTree(fields, rank);
}

function chunkedByBTree(fields: Fields, rank: number): Storage {
  const address = fields.address();
  const chunks = chunkShape(fields, rank, 4);
  return { kind: 'chunked', chunks, index: { type: 'b-tree 1' }, plainEdges: false, address };
}

/** The last length is that of an element, in bytes. */
function chunkShape(fields: Fields, rank: number, width: number): readonly number[] {
  return Array.from({ length: rank }, () => fields.uint(width)).slice(0, -1);
}

/** IV.A.2.l */
function parseFilters(fields: Fields, name: string): readonly Filter[] {
  const version = fields.uint(1);
  const count = fields.uint(1);
  if (version !== 1 && version !== 2) throw damaged(name, `filters of version ${version}`);
  if (version === 1) fields.skip(6);
  return Array.from({ length: count }, () => {
    const id = fields.uint(2);
    const nameLength = version === 1 || id >= 256 ? fields.uint(2) : 0;
    fields.skip(2);
    const values = fields.uint(2);
    const label = fields.text(nameLength);
    const parameters = Array.from({ length: values }, () => fields.uint(4));
    if (version === 1 && values % 2 === 1) fields.skip(4);
    return { id, label, parameters };
  });
}
