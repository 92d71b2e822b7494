import { type ByteSource, memoryBytes } from '../../src/io/bytes.js';
import { openImage } from '../../src/io/open.js';
import type { TypedArray } from '../../src/ndimage/array.js';
import { type Page, short } from './tiff-builder.js';

/** Small pages for tests of TIFF, and ways to look at what is read of them. */
export const HEIGHT = 21;
export const WIDTH = 37;

export async function readWhole(bytes: Uint8Array) {
  const image = await openImage(memoryBytes(bytes, 'test.tif'));
  return { image, ...(await image.readRegion({})) };
}

export function bytesOf(values: TypedArray | BigInt64Array | BigUint64Array, bigEndian = false): Uint8Array {
  const bytes = new Uint8Array(values.buffer.slice(values.byteOffset, values.byteOffset + values.byteLength));
  const size = values.BYTES_PER_ELEMENT;
  if (bigEndian) for (let i = 0; i < bytes.length; i += size) bytes.subarray(i, i + size).reverse();
  return bytes;
}

export function page(
  blocks: readonly Uint8Array[],
  bits: number,
  format: number,
  compression: number,
  extra: Partial<Page> = {},
): Page {
  const tags = [short(258, bits), short(259, compression), short(262, 1), short(339, format), ...(extra.tags ?? [])];
  return { width: WIDTH, height: HEIGHT, blocks, ...extra, tags };
}

export function counting(source: ByteSource): { source: ByteSource; read: () => number } {
  let bytes = 0;
  return {
    read: () => bytes,
    source: {
      ...source,
      read(offset, length, options) {
        bytes += length;
        return source.read(offset, length, options);
      },
    },
  };
}

/** Overwrites the value of a tag in the first directory of a little-endian TIFF. */
export function patchLong(bytes: Uint8Array, tag: number, value: number): void {
  const view = new DataView(bytes.buffer);
  const start = view.getUint32(4, true);
  for (let i = 0; i < view.getUint16(start, true); i++)
    if (view.getUint16(start + 2 + i * 12, true) === tag) view.setUint32(start + 10 + i * 12, value, true);
}
