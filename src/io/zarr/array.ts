import * as zarr from 'zarrita';
import { SamError } from '../../errors.js';
import { itemAt, membersOf } from '../../items.js';
import { sizeOf, type TypedArray } from '../../ndimage/array.js';
import { halfToFloat, toHalf } from '../../ndimage/half.js';
import type { ChunkedArray } from '../chunked-region.js';
import { bytesPerElement, exactNumbers, type FileDtype } from '../elements.js';
import { checkBlockSize } from '../region.js';
import type { ReadOptions, Store } from '../store.js';
import { chunkKeys } from './chunk-keys.js';
import { checkCodecs, withLimits } from './codecs.js';
import { parseJson, stringifyJson } from './json.js';
import { zarritaStore } from './zarrita-store.js';

/** One zarr array, v2 or v3: its metadata, checked, and its chunks, decoded by zarrita. */
export interface ZarrArray extends ChunkedArray {
  readonly path: string;
  /** Inner chunks where the array is sharded. */
  readonly chunks: readonly number[];
  readonly dimensionNames: readonly (string | null)[] | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface ZarrNode {
  readonly version: 2 | 3;
  readonly kind: 'array' | 'group';
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export async function readNode(store: Store, path: string, options: ReadOptions = {}): Promise<ZarrNode | undefined> {
  const at = (file: string) => (path === '' ? file : `${path}/${file}`);
  const v3 = await readJson(store, at('zarr.json'), options);
  if (v3) {
    const attributes = isRecord(v3.attributes) ? v3.attributes : {};
    return { version: 3, kind: v3.node_type === 'array' ? 'array' : 'group', attributes, metadata: v3 };
  }
  const array = await readJson(store, at('.zarray'), options);
  const group = array ? undefined : await readJson(store, at('.zgroup'), options);
  const attributes = await readJson(store, at('.zattrs'), options);
  const metadata = array ?? group ?? (attributes ? {} : undefined);
  return metadata && { version: 2, kind: array ? 'array' : 'group', attributes: attributes ?? {}, metadata };
}

async function readJson(store: Store, key: string, options: ReadOptions): Promise<Record<string, unknown> | undefined> {
  const bytes = await store.get(key, options);
  if (bytes === undefined) return undefined;
  try {
    const value = parseJson(new TextDecoder().decode(bytes));
    if (isRecord(value)) return value;
  } catch {
    // told below
  }
  throw new SamError('invalid_image', `${key} of ${store.name} is not JSON; the zarr is damaged.`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** How dtypes are called in v2 (without byte order) and v3, and which zarrita is told to read them as. */
const DTYPES: Record<string, readonly [FileDtype, readAs: FileDtype]> = {
  b1: ['bool', 'uint8'],
  i1: ['int8', 'int8'],
  u1: ['uint8', 'uint8'],
  i2: ['int16', 'int16'],
  u2: ['uint16', 'uint16'],
  i4: ['int32', 'int32'],
  u4: ['uint32', 'uint32'],
  i8: ['int64', 'int64'],
  u8: ['uint64', 'uint64'],
  f2: ['float16', 'uint16'],
  f4: ['float32', 'float32'],
  f8: ['float64', 'float64'],
};

export async function openZarrArray(store: Store, path: string, node: ZarrNode): Promise<ZarrArray> {
  const where = `${store.name}${path ? `/${path}` : ''}`;
  const { dtype, metadata } = readableMetadata(node, where);
  checkCodecs(metadata, node.version, where);
  const array = await openPatched(store, path, metadata, node.version, where);
  const { shape, chunks } = array;
  if (shape.length === 0 || shape.some((length) => !Number.isSafeInteger(length) || length < 1))
    throw new SamError(
      'invalid_image',
      `${where} has the shape [${shape}]; an image needs at least one pixel along every axis.`,
    );
  if (chunks.length !== shape.length)
    throw new SamError(
      'invalid_image',
      `${where} has chunks [${chunks}] for the shape [${shape}]; its metadata are damaged.`,
    );
  checkBlockSize(where, 'chunks', chunks, bytesPerElement(dtype));
  const names = node.version === 3 ? node.metadata.dimension_names : node.attributes._ARRAY_DIMENSIONS;
  const elements = sizeOf(chunks);
  return {
    path,
    shape,
    chunks,
    dtype,
    dimensionNames: Array.isArray(names) ? names : undefined,
    attributes: node.attributes,
    async chunk(index, { signal }) {
      const { data, stride } = await array.getChunk([...index], { signal }).catch((error: unknown) => {
        throw decodeError(error);
      });
      const values = data as TypedArray | BigInt64Array | BigUint64Array;
      if (values.length !== elements)
        throw new SamError(
          'invalid_image',
          `Chunk [${index}] of ${where} holds ${values.length} values of ${elements}; it is truncated or damaged.`,
        );
      return { data: numbersOf(values, dtype), strides: stride };
    },
  };
}

function numbersOf(values: TypedArray | BigInt64Array | BigUint64Array, dtype: FileDtype): TypedArray {
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) return exactNumbers(values);
  return dtype === 'float16' ? Float32Array.from(values, halfToFloat) : values;
}

/** Metadata zarrita can read everywhere: booleans and half floats as the integers they are stored as. */
function readableMetadata(node: ZarrNode, where: string): { dtype: FileDtype; metadata: Record<string, unknown> } {
  const { metadata, version } = node;
  const stored = version === 2 ? metadata.dtype : metadata.data_type;
  const key = String(stored).replace(/^[<>|=]/, '');
  const known = version === 2 ? DTYPES[key] : Object.values(DTYPES).find(([name]) => name === key);
  if (known === undefined || typeof stored !== 'string')
    throw new SamError(
      'unsupported',
      `${where} holds ${JSON.stringify(stored)?.slice(0, 60)}, which is not read; booleans, integers and floating point numbers are.`,
    );
  checkSharding(metadata, where);
  const [dtype, readAs] = known;
  if (dtype === readAs) return { dtype, metadata: { ...metadata } };
  const fill = fillBits(metadata.fill_value, dtype, where);
  if (version === 3) return { dtype, metadata: { ...metadata, data_type: readAs, fill_value: fill } };
  const order = stored.startsWith('>') ? '>' : readAs === 'uint8' ? '|' : '<';
  return { dtype, metadata: { ...metadata, dtype: `${order}${readAs === 'uint8' ? 'u1' : 'u2'}`, fill_value: fill } };
}

/** The bits of empty pixels of booleans and half floats. Zarr v3 may give those of a float as they are: "0x7e00". */
function fillBits(fill: unknown, dtype: FileDtype, where: string): number {
  if (fill === null || fill === undefined || fill === false) return 0;
  if (fill === true) return 1;
  if (typeof fill === 'string' && /^0x[0-9a-f]{4}$/i.test(fill)) return Number(fill);
  const value = typeof fill === 'number' || /^(NaN|-?Infinity)$/.test(String(fill)) ? Number(fill) : undefined;
  if (value === undefined)
    throw new SamError(
      'invalid_image',
      `${where} has ${JSON.stringify(fill)} as the value of its empty pixels, which is not a number.`,
    );
  return dtype === 'float16' ? itemAt(toHalf(Float32Array.of(value)), 0) : value;
}

/** Shards have to be whole numbers of chunks, and their index has to be of a sane size. */
function checkSharding(metadata: Readonly<Record<string, unknown>>, where: string): void {
  const inner = shardingOf(metadata)?.chunk_shape;
  if (inner === undefined) return;
  const outer = membersOf(membersOf(metadata.chunk_grid).configuration).chunk_shape;
  const whole =
    Array.isArray(outer) &&
    Array.isArray(inner) &&
    outer.length === inner.length &&
    outer.every((length, i) => Number.isInteger(length / inner[i]) && length >= inner[i] && inner[i] >= 1);
  const count = whole ? sizeOf(outer.map((length, i) => length / inner[i])) : Number.NaN;
  if (!(count <= 2 ** 24))
    throw new SamError(
      'invalid_image',
      `${where} has shards [${outer}] of chunks [${inner}]; its metadata are damaged.`,
    );
}

function shardingOf(metadata: Readonly<Record<string, unknown>>): Record<string, unknown> | undefined {
  const codecs = Array.isArray(metadata.codecs) ? metadata.codecs : [];
  const sharding = codecs.find((codec) => isRecord(codec) && codec.name === 'sharding_indexed')?.configuration;
  return isRecord(sharding) ? sharding : undefined;
}

async function openPatched(
  store: Store,
  path: string,
  metadata: Record<string, unknown>,
  version: 2 | 3,
  where: string,
): Promise<zarr.Array<zarr.DataType, zarr.Readable>> {
  const plain = zarritaStore(store);
  const json = new TextEncoder().encode(stringifyJson(withLimits(metadata, version)));
  const prefix = path === '' ? '' : `${path}/`;
  const own = `/${prefix}${version === 3 ? 'zarr.json' : '.zarray'}`;
  const { key: like, stated } = firstKey(metadata, version);
  const chunks = chunkKeys(store, prefix, like, stated, where);
  const indexFirst = shardingOf(metadata)?.index_location === 'start';
  const patched = {
    ...plain,
    get: async (...[key, options]: Parameters<typeof plain.get>) =>
      key === own ? json : chunks.get(key.slice(1), options),
    async getRange(...[key, asked, options]: Parameters<typeof plain.getRange>) {
      // zarrita looks for the index of a shard at its end, wherever it is.
      const range = indexFirst && 'suffixLength' in asked ? { offset: 0, length: asked.suffixLength } : asked;
      const bytes = await plain.getRange(key, range, options);
      if (bytes === undefined) await chunks.check(options);
      return bytes;
    },
  };
  const location = zarr.root(patched).resolve(path);
  try {
    return version === 3
      ? await zarr.open.v3(location, { kind: 'array' })
      : await zarr.open.v2(location, { kind: 'array', attrs: false });
  } catch (cause) {
    if (cause instanceof SamError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new SamError('invalid_image', `The zarr metadata of ${where} are damaged or not known here: ${message}`, {
      cause,
    });
  }
}

/** The key of the first chunk as the metadata have it, and whether they really say so. */
function firstKey(metadata: Readonly<Record<string, unknown>>, version: 2 | 3): { key: string; stated: boolean } {
  const rank = Array.isArray(metadata.shape) ? metadata.shape.length : 0;
  const zeros = Array.from({ length: rank }, () => '0');
  if (version === 2) {
    const separator = metadata.dimension_separator;
    return { key: zeros.join(separator === '/' ? '/' : '.'), stated: separator === '/' || separator === '.' };
  }
  const encoding = isRecord(metadata.chunk_key_encoding) ? metadata.chunk_key_encoding : {};
  const configuration = isRecord(encoding.configuration) ? encoding.configuration : {};
  const old = encoding.name === 'v2';
  const separator = typeof configuration.separator === 'string' ? configuration.separator : old ? '.' : '/';
  return { key: (old ? zeros : ['c', ...zeros]).join(separator), stated: true };
}

/** zarrita wraps what a codec throws; ours says it better. */
function decodeError(error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof SamError ? cause : error;
}
