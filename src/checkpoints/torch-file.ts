import { SamError } from '../errors.js';
import type { ByteSource } from '../io/bytes.js';
import { Opaque, PERSISTENT, type PickleValue, readPickle, readPickleAt } from '../io/formats/pickle.js';
import type { ZipArchive, ZipMember } from '../io/zip-archive.js';
import type { TaskOptions } from '../task.js';
import { bytesOf, type ElementType, isElementType, rowMajor, type StoredTensor, stridedTensor } from './tensor.js';

/**
 * Files of `torch.save`, read as data: nothing that the pickle names is imported or run. Tensors stay in the file. Both
 * layouts of torch/serialization.py (2.9): a zip archive with `data.pkl` and one member per storage, and the one before
 * PyTorch 1.6, pickles followed by the storages.
 */

/** What a checkpoint holds: dictionaries become maps, tensors `StoredTensor`, all else is left out. */
export type TorchValue = StoredTensor | ReadonlyMap<string, TorchValue>;

/** Pickles of models are a few hundred kilobytes; with the optimizer's state, some megabytes. */
const MOST_PICKLE_BYTES = 2 ** 26;
/** Dictionaries in dictionaries; checkpoints have two or three levels. */
const MOST_LEVELS = 16;
/** A pickle may hold one dictionary in many places, and in itself. */
const MOST_ENTRIES = 200_000;
/** `torch.serialization.MAGIC_NUMBER`. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;

/** The folder inside a zip of `torch.save`; undefined for other archives. */
export function torchFolder({ members }: ZipArchive): string | undefined {
  for (const name of members.keys()) if (name.endsWith('/data.pkl')) return name.slice(0, -'data.pkl'.length);
  return members.has('data.pkl') ? '' : undefined;
}

export async function readTorchZip(archive: ZipArchive, folder: string, options: TaskOptions = {}) {
  const { name, members } = archive;
  const size = members.get(`${folder}data.pkl`)?.size ?? 0;
  if (size > MOST_PICKLE_BYTES) throw tooLarge(name, size);
  if (members.has(`${folder}byteorder`)) {
    const order = new TextDecoder().decode(await archive.read(`${folder}byteorder`, { ...options, limit: 16 }));
    if (order !== 'little')
      throw new SamError('unsupported', `${name} was saved on a big-endian machine, which is not read.`);
  }
  checkUnpacked(archive, `${folder}data.pkl`);
  const value = readPickle(await archive.read(`${folder}data.pkl`, options), name);
  let unpacked = 0;
  return contentOf(value, name, ({ key, dtype, length }) => {
    const member = `${folder}data/${key}`;
    const stored = members.get(member)?.size ?? 0;
    // Pickles of untyped storages count bytes.
    if (stored < length * bytesOf(dtype)) throw damaged(name, `storage ${key.slice(0, 40)} has ${stored} bytes`);
    const { stored: isPlain } = checkUnpacked(archive, member);
    return async (task) => {
      // What is packed is unpacked whole for every tensor in it.
      if (!isPlain) unpacked += stored;
      if (unpacked > MOST_UNPACKED) throw damaged(name, 'it would take too long to unpack');
      return archive.open(member, task);
    };
  });
}

/** Of all reads of packed storages together. PyTorch itself packs nothing. */
const MOST_UNPACKED = 2 ** 32;
/** Weights are nearly noise: what is large and was packed to less than this part of it is none, and would fill the memory. */
const SMALLEST_PART = 1 / 20;
const LARGE = 2 ** 26;

/** @throws SamError `model_unavailable` for a member that unpacks to what no checkpoint has */
export function checkUnpacked({ name, members }: ZipArchive, member: string): Pick<ZipMember, 'stored' | 'size'> {
  const { stored = true, size = 0, packedSize = 0 } = members.get(member) ?? {};
  if (!stored && size > LARGE && packedSize < size * SMALLEST_PART)
    throw damaged(name, `${member.slice(-40)} unpacks from ${packedSize} to ${size} bytes, which weights do not`);
  return { stored, size };
}

/** @returns undefined if the file is no legacy file of PyTorch */
export async function readLegacyTorch(source: ByteSource, options: TaskOptions = {}): Promise<TorchValue | undefined> {
  const { name, size } = source;
  const first = await source.read(0, Math.min(16, size), options);
  if (first[0] !== 0x80 || first[2] !== 0x8a || first[3] !== 10) return undefined;
  if (readPickleAt(first, 0, name).value !== LEGACY_MAGIC) return undefined;
  const { value, keys, end } = await legacyPickles(source, options);
  const places = new Map<string, { at: number; length: number }>();
  const sizes = new Map<string, number>();
  contentOf(value, name, ({ key, dtype }) => {
    sizes.set(key, bytesOf(dtype));
    return () => Promise.reject(new SamError('internal', 'Only places are looked for.'));
  });
  let at = end;
  for (const key of keys) {
    if (at + 8 > size) throw damaged(name, 'it ends before its storages do');
    const header = await source.read(at, 8, options);
    const length = Number(new DataView(header.buffer, header.byteOffset).getBigUint64(0, true));
    const bytes = length * (sizes.get(key) ?? 4);
    places.set(key, { at: at + 8, length });
    at += 8 + bytes;
    if (!Number.isSafeInteger(at) || at > size) throw damaged(name, 'it ends before its storages do');
  }
  return contentOf(value, name, ({ key, dtype, length }) => {
    const place = places.get(key);
    if (!place || place.length < length) throw damaged(name, `storage ${key.slice(0, 40)} is not there`);
    const part = partOf(source, place.at, length * bytesOf(dtype));
    return async () => part;
  });
}

/** The object and the keys of its storages: the fourth and fifth of the pickles that the file begins with. */
async function legacyPickles(source: ByteSource, options: TaskOptions) {
  const { name, size } = source;
  for (let length = 2 ** 20; ; length *= 8) {
    const bytes = await source.read(0, Math.min(size, length), options);
    try {
      let end = 0;
      const next = () => {
        const read = readPickleAt(bytes, end, name);
        end = read.end;
        return read.value;
      };
      const [, , , value, keys] = [next(), next(), next(), next(), next()];
      if (!Array.isArray(keys)) throw damaged(name, 'it does not list its storages');
      return { value, keys: keys.map(String), end };
    } catch (error) {
      if (bytes.length === size) throw error;
      if (length >= MOST_PICKLE_BYTES) throw tooLarge(name, length);
    }
  }
}

function partOf(source: ByteSource, at: number, size: number): ByteSource {
  return { name: source.name, size, read: (offset, length, options) => source.read(at + offset, length, options) };
}

interface Storage {
  readonly key: string;
  readonly dtype: ElementType;
  /** In elements of that type. */
  readonly length: number;
}

type Locate = (storage: Storage) => (options: TaskOptions) => Promise<ByteSource>;

function contentOf(value: PickleValue, name: string, locate: Locate): TorchValue {
  let left = MOST_ENTRIES;
  const count = () => {
    if (--left < 0) throw damaged(name, `its dictionaries have more than ${MOST_ENTRIES} entries`);
  };
  const entriesOf = (value: PickleValue, path: string, level: number): TorchValue => {
    if (value instanceof Opaque) {
      const tensor = tensorOf(value, path, name, locate);
      if (tensor) return tensor;
    }
    const state = value instanceof Opaque ? stateOfModule(value, level, count) : value;
    const entries = new Map<string, TorchValue>();
    if (!(state instanceof Map) || level > MOST_LEVELS) return entries;
    for (const [key, inner] of state) {
      count();
      if (typeof key !== 'string' || !(inner instanceof Map || inner instanceof Opaque)) continue;
      entries.set(key, entriesOf(inner, path ? `${path}.${key}` : key, level + 1));
    }
    return entries;
  };
  return entriesOf(value, '', 0);
}

/** A module saved whole (`torch.save(model)`) as its state dict; undefined for other objects. */
function stateOfModule({ state }: Opaque, level: number, count: () => void) {
  if (!(state instanceof Map) || !(state.get('_parameters') instanceof Map)) return undefined;
  const all = new Map<PickleValue, PickleValue>();
  const addModule = (module: Map<PickleValue, PickleValue>, prefix: string, depth: number) => {
    for (const part of ['_parameters', '_buffers', '_modules']) {
      const members = module.get(part);
      if (!(members instanceof Map)) continue;
      for (const [key, value] of members) {
        count();
        const path = `${prefix}${String(key)}`;
        if (part !== '_modules') all.set(path, value);
        else if (value instanceof Opaque && value.state instanceof Map && depth < MOST_LEVELS)
          addModule(value.state, `${path}.`, depth + 1);
      }
    }
  };
  addModule(state, '', level);
  return all;
}

/** torch/_utils.py: storage, offset, size, stride, whatever else; a parameter holds its tensor. */
function tensorOf(
  { name: callee, args }: Opaque,
  path: string,
  file: string,
  locate: Locate,
  level = 0,
): StoredTensor | undefined {
  if (callee === 'torch._utils._rebuild_parameter' || callee === 'torch.nn.parameter.Parameter') {
    const [inner] = args;
    return inner instanceof Opaque && level === 0 ? tensorOf(inner, path, file, locate, 1) : undefined;
  }
  const version = /^torch\._utils\._rebuild_tensor(_v2|_v3)?$/.exec(callee);
  if (!version) return undefined;
  const [storage, offset, size, stride] = args;
  const [dtypeOfV3] = version[1] === '_v3' ? args.slice(6) : [];
  const found = storageOf(storage, dtypeOfV3);
  if (!found)
    throw new SamError(
      'unsupported',
      `Tensor '${path.slice(0, 100)}' of ${file} has elements of a type that is not read (quantised or complex); save it as float32 or half.`,
    );
  const shape = numbers(size);
  const strides = stride === undefined || stride === null ? rowMajor(shape) : numbers(stride);
  const view = { name: path, shape, strides, offset: Number(offset), length: found.length, dtype: found.dtype };
  return stridedTensor({ ...view, source: locate(found) });
}

/** ('storage', type, key, device, number of elements, view or None), as persistent_id of torch/serialization.py writes it. */
function storageOf(value: PickleValue | undefined, dtypeOfV3: PickleValue | undefined): Storage | undefined {
  const reference = value instanceof Opaque && value.name === PERSISTENT ? value.args[0] : undefined;
  if (!Array.isArray(reference) || reference[0] !== 'storage') return undefined;
  const [, type, key, , count] = reference;
  const typeName = type instanceof Opaque ? type.name : '';
  const length = Number(count);
  if (typeName.endsWith('UntypedStorage')) {
    const dtype = dtypeOfV3 instanceof Opaque ? dtypeOfV3.name.replace(/^torch\./, '') : 'uint8';
    return isElementType(dtype) ? { key: String(key), dtype, length: Math.floor(length / bytesOf(dtype)) } : undefined;
  }
  const dtype = STORAGES[typeName.replace(/^torch\.(cuda\.)?/, '')];
  return dtype && { key: String(key), dtype, length };
}

const STORAGES: Readonly<Record<string, ElementType | undefined>> = {
  FloatStorage: 'float32',
  DoubleStorage: 'float64',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
};

/** torch.Size is a tuple by another name. */
function numbers(value: PickleValue | undefined): number[] {
  if (value instanceof Opaque && Array.isArray(value.args[0])) return numbers(value.args[0]);
  return Array.isArray(value) && value.length <= 16 ? value.map(Number) : [Number.NaN];
}

function damaged(name: string, what: string): SamError {
  return new SamError('model_unavailable', `${name} is a damaged checkpoint: ${what}. Get a complete copy of it.`);
}

function tooLarge(name: string, size: number): SamError {
  return new SamError(
    'unsupported',
    `${name} has more than ${size} bytes of pickled objects, at most ${MOST_PICKLE_BYTES} are read; save its state dict alone.`,
  );
}
