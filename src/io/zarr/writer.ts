import { itemAt } from '../../items.js';
import { type Dtype, sizeOf, type Tensor, type TypedArray } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import { compress } from '../compression/compress.js';
import { crc32cOfMany } from '../compression/crc32c.js';
import type { Store } from '../store.js';

/**
 * Groups and arrays of zarr v2 and v3, written: what zarrita lacks (it creates no v2, encodes no gzip and adds no
 * checksum) and no more. C order, little-endian, fill value 0, '/' between the parts of a chunk's key.
 */
export interface ZarrArray {
  readonly version: 2 | 3;
  readonly shape: readonly number[];
  readonly chunks: readonly number[];
  readonly dtype: Dtype | 'float16';
  readonly compression: 'gzip' | 'none';
  /** Append a CRC-32C to every chunk (v3 only): readers then know a damaged chunk from a good one. */
  readonly checksum?: boolean;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly dimensionNames?: readonly string[];
}

export async function writeGroup(
  store: Store,
  path: string,
  version: 2 | 3,
  attributes: Readonly<Record<string, unknown>>,
): Promise<void> {
  if (version === 3) {
    await setJson(store, join(path, 'zarr.json'), { zarr_format: 3, node_type: 'group', attributes });
  } else {
    await setJson(store, join(path, '.zattrs'), attributes);
    await setJson(store, join(path, '.zgroup'), { zarr_format: 2 });
  }
}

export async function writeArrayMetadata(store: Store, path: string, array: ZarrArray): Promise<void> {
  if (array.version === 3) {
    await setJson(store, join(path, 'zarr.json'), v3Metadata(array));
    return;
  }
  const { shape, chunks, dtype, compression, attributes = {} } = array;
  if (Object.keys(attributes).length > 0) await setJson(store, join(path, '.zattrs'), attributes);
  await setJson(store, join(path, '.zarray'), {
    zarr_format: 2,
    shape,
    chunks,
    dtype: V2_TYPES[dtype],
    compressor: compression === 'gzip' ? { id: 'gzip', level: 6 } : null,
    fill_value: 0,
    order: 'C',
    filters: null,
    dimension_separator: '/',
  });
}

/** The zarr.json of an array. */
export function v3Metadata(array: ZarrArray): Record<string, unknown> {
  const { shape, chunks, dtype, compression, attributes = {} } = array;
  return {
    zarr_format: 3,
    node_type: 'array',
    shape,
    data_type: dtype,
    chunk_grid: { name: 'regular', configuration: { chunk_shape: chunks } },
    chunk_key_encoding: { name: 'default', configuration: { separator: '/' } },
    fill_value: 0,
    codecs: [
      // One-byte types have no byte order, and some readers mind being told one.
      dtype.endsWith('int8') ? { name: 'bytes' } : { name: 'bytes', configuration: { endian: 'little' } },
      ...(compression === 'gzip' ? [{ name: 'gzip', configuration: { level: 6 } }] : []),
      ...(array.checksum ? [{ name: 'crc32c' }] : []),
    ],
    ...(array.dimensionNames && { dimension_names: array.dimensionNames }),
    attributes,
  };
}

/** Writes one chunk, given as its full (padded) little-endian bytes. */
export async function writeChunk(
  store: Store,
  path: string,
  array: ZarrArray,
  index: readonly number[],
  raw: Uint8Array,
): Promise<void> {
  const packed = array.compression === 'gzip' ? await compress(raw, 'gzip') : raw;
  await store.set(chunkKey(path, array, index), array.checksum ? await withChecksum(packed) : packed);
}

export function chunkKey(path: string, { version }: Pick<ZarrArray, 'version'>, index: readonly number[]): string {
  return join(path, version === 3 ? `c/${index.join('/')}` : index.join('/'));
}

/** A whole array, chunk by chunk; chunks of nothing but 0 are left out, as the fill value stands for them. */
export async function writeArray(
  store: Store,
  path: string,
  array: ZarrArray,
  { data }: Tensor,
  { signal }: TaskOptions = {},
): Promise<void> {
  await writeArrayMetadata(store, path, array);
  for (const index of indices(array.shape.map((length, axis) => Math.ceil(length / itemAt(array.chunks, axis))))) {
    signal?.throwIfAborted();
    const chunk = cutChunk(data, array, index);
    if (chunk.some((value) => value !== 0))
      await writeChunk(store, path, array, index, new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  }
}

const V2_TYPES: Readonly<Record<ZarrArray['dtype'], string>> = {
  int8: '|i1',
  uint8: '|u1',
  int16: '<i2',
  uint16: '<u2',
  int32: '<i4',
  uint32: '<u4',
  float16: '<f2',
  float32: '<f4',
  float64: '<f8',
};

function setJson(store: Store, key: string, value: unknown): Promise<void> {
  return store.set(key, new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`));
}

const join = (path: string, name: string) => (path === '' ? name : `${path}/${name}`);

async function withChecksum(bytes: Uint8Array): Promise<Uint8Array> {
  const out = new Uint8Array(bytes.length + 4);
  out.set(bytes);
  new DataView(out.buffer).setUint32(bytes.length, await crc32cOfMany(bytes), true);
  return out;
}

/** All index tuples below `counts`, last axis fastest. */
function* indices(counts: readonly number[]): Generator<number[]> {
  const index = counts.map(() => 0);
  for (let left = sizeOf(counts); left > 0; left--) {
    yield [...index];
    for (let axis = counts.length - 1; axis >= 0; axis--) {
      const next = itemAt(index, axis) + 1;
      index[axis] = next === counts[axis] ? 0 : next;
      if (next !== counts[axis]) break;
    }
  }
}

/** The chunk at `index`, padded with 0 where it reaches over the edge of the array. */
function cutChunk(data: TypedArray, { shape, chunks }: ZarrArray, index: readonly number[]): TypedArray {
  const out = new (data.constructor as new (length: number) => TypedArray)(sizeOf(chunks));
  const rank = shape.length;
  const start = index.map((i, axis) => i * itemAt(chunks, axis));
  const extent = chunks.map((length, axis) => Math.min(length, itemAt(shape, axis) - itemAt(start, axis)));
  const rowLength = itemAt(extent, rank - 1);
  for (const row of indices(extent.slice(0, -1))) {
    let from = 0;
    let to = 0;
    for (let axis = 0; axis < rank; axis++) {
      const within = row[axis] ?? 0;
      from = from * itemAt(shape, axis) + itemAt(start, axis) + within;
      to = to * itemAt(chunks, axis) + within;
    }
    out.set(data.subarray(from, from + rowLength), to);
  }
  return out;
}
