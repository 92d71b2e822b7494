import { crc32cOfMany } from '../io/compression/crc32c.js';
import type { Store } from '../io/store.js';
import { chunkKey, writeChunk, type ZarrArray } from '../io/zarr/writer.js';
import { sizeOf, type TypedArray } from '../ndimage/array.js';

/** Zarr arrays of what belongs to one plane each, `shape` or `[planes, ...shape]`: one raw chunk with a checksum a plane. */
export function planeArray(
  shape: readonly number[],
  planes: number | undefined,
  dtype: 'float16' | 'float32',
): ZarrArray {
  return {
    version: 3,
    shape: planes === undefined ? shape : [planes, ...shape],
    chunks: planes === undefined ? shape : [1, ...shape],
    dtype,
    compression: 'none',
    checksum: true,
  };
}

/** The bytes of a plane in a buffer of their own; `undefined` if they are missing or damaged. */
export async function readPlane(
  store: Store,
  path: string,
  array: ZarrArray,
  plane: number,
): Promise<ArrayBuffer | undefined> {
  const length = sizeOf(array.chunks) * (array.dtype === 'float16' ? 2 : 4);
  const bytes = await store.get(chunkKey(path, array, indexOf(array, plane)));
  if (bytes?.length !== length + 4) return undefined;
  const data = bytes.slice(0, length);
  const checksum = new DataView(bytes.buffer, bytes.byteOffset + length).getUint32(0, true);
  return (await crc32cOfMany(data)) === checksum ? (data.buffer as ArrayBuffer) : undefined;
}

export function writePlane(
  store: Store,
  path: string,
  array: ZarrArray,
  plane: number,
  data: TypedArray,
): Promise<void> {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return writeChunk(store, path, array, indexOf(array, plane), bytes);
}

/** The first axis counts planes where chunks are one long there and the array is not of one plane alone. */
function indexOf({ chunks }: ZarrArray, plane: number): number[] {
  return chunks.map((_, axis) => (axis === 0 && chunks.length === 5 ? plane : 0));
}
