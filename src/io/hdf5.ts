import { SamError } from '../errors.js';
import { sizeOf, type TypedArray } from '../ndimage/array.js';
import { type ByteSource, readAll } from './bytes.js';
import { exactNumbers } from './elements.js';
import type { ImageSource } from './image.js';
import { openNdarray } from './ndarray.js';
import type { OpenOptions } from './open.js';
import { checkBlockSize, checkPlausible } from './region.js';

/**
 * A dataset of an HDF5 file by key, through jsfive (loaded when needed): the file and then the dataset are read whole.
 * Without a key a file with one image-like dataset opens; with several the error lists them.
 */
interface Node {
  readonly keys?: readonly string[];
  get?(key: string): Node | null;
  readonly shape?: readonly number[];
  readonly dtype?: unknown;
  readonly value?: unknown;
  /** Not part of jsfive's interface, but nothing else tells the chunk shape. */
  readonly _dataobjects?: { readonly chunks?: readonly number[] | null };
}

const CONSTRUCTORS: Record<string, new (values: ArrayLike<number>) => TypedArray> = {
  i1: Int8Array,
  u1: Uint8Array,
  i2: Int16Array,
  u2: Uint16Array,
  i4: Int32Array,
  u4: Uint32Array,
  f2: Float32Array,
  f4: Float32Array,
  f8: Float64Array,
};
/** Groups deeper or files fuller than this are not searched for datasets. */
const MAX_DEPTH = 12;
const MAX_NODES = 10_000;

export async function openHdf5(source: ByteSource, options: OpenOptions = {}): Promise<ImageSource> {
  const bytes = await readAll(source, options);
  const { File } = await import('jsfive');
  const { name } = source;
  const root: Node = new File(bytes.slice().buffer, name);
  const datasets = findDatasets(root);
  const key = options.key?.replace(/^\/+|\/+$/g, '');
  const images = [...datasets].filter(([, node]) => (node.shape?.length ?? 0) >= 2);
  const keys = images.map(([path]) => path);
  if (key === undefined && keys.length !== 1)
    throw new SamError(
      keys.length === 0 ? 'unsupported' : 'invalid_argument',
      keys.length === 0
        ? `${name} holds no dataset with two or more axes.`
        : `${name} holds several datasets; say which one is the image: ${keys.slice(0, 20).join(', ')}.`,
      { details: { keys } },
    );
  const path = key ?? keys[0];
  const dataset = datasets.get(path);
  if (dataset === undefined)
    throw new SamError(
      'not_found',
      `${name} has no dataset "${path}"; it has ${keys.slice(0, 20).join(', ') || 'none'}.`,
      {
        details: { keys },
      },
    );
  options.signal?.throwIfAborted();
  const { data, shape } = readDataset(dataset, `${name}/${path}`, bytes.length);
  return { ...openNdarray({ data, shape, name }), images: keys };
}

function findDatasets(root: Node): Map<string, Node> {
  const found = new Map<string, Node>();
  let visited = 0;
  const visit = (node: Node, path: string, depth: number) => {
    if (node.shape !== undefined) {
      found.set(path, node);
      return;
    }
    if (depth > MAX_DEPTH) return;
    for (const key of node.keys ?? []) {
      if (++visited > MAX_NODES) return;
      const child = node.get?.(key);
      if (child) visit(child, path === '' ? key : `${path}/${key}`, depth + 1);
    }
  };
  visit(root, '', 0);
  return found;
}

function readDataset(dataset: Node, name: string, fileSize: number): { data: TypedArray; shape: readonly number[] } {
  const shape = [...(dataset.shape ?? [])].map(Number);
  const dtype = typeof dataset.dtype === 'string' ? dataset.dtype.replace(/^[<>|=]/, '') : 'not a number';
  // jsfive makes a list of all values and walks through all of each chunk, whatever the file holds; deflate packs at most 1032 to one.
  checkBlockSize(name, 'a dataset', shape, 8);
  checkPlausible(name, sizeOf(shape), fileSize * 1032, fileSize);
  checkPlausible(name, sizeOf(dataset._dataobjects?.chunks ?? []), fileSize * 1032, fileSize);
  const values = dataset.value;
  if (!Array.isArray(values) && !ArrayBuffer.isView(values))
    throw new SamError('unsupported', `${name} does not hold numbers but ${dtype}; choose another dataset.`);
  const numbers = values as unknown as ArrayLike<number>;
  if (numbers.length !== sizeOf(shape))
    throw new SamError('invalid_image', `${name} is damaged: ${numbers.length} values for the shape [${shape}].`);
  if (dtype === 'i8' || dtype === 'u8') {
    const wide = dtype === 'i8' ? BigInt64Array : BigUint64Array;
    return { data: exactNumbers(wide.from(Array.from(numbers, BigInt))), shape };
  }
  const Values = CONSTRUCTORS[dtype];
  if (Values === undefined)
    throw new SamError('unsupported', `${name} holds ${dtype}, which is not read; convert it to 8, 16 or 32 bit.`);
  const data = new Values(numbers);
  return { data, shape };
}
