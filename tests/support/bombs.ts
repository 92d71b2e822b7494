import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { hdf5Sample } from './hdf5-sample.js';
import { buildTiff, short } from './tiff-builder.js';

/**
 * Files of some kB to a few MB that would unpack to 256 MB where a small picture belongs, by key: a file, or the
 * files of a zarr.
 */
export function bombs(): ReadonlyMap<string, ReadonlyMap<string, Uint8Array>> {
  const nothing = Buffer.alloc(UNPACKED);
  const [gzip, zlib, raw] = [gzipSync(nothing), deflateSync(nothing), deflateRawSync(nothing)];
  const files: [string, ReadonlyMap<string, Uint8Array>][] = [
    ['png', file('a.png', png([['IDAT', zlib]]))],
    [
      'png with a comment',
      file(
        'a.png',
        png([
          ['zTXt', concat(text('Comment\0\0'), zlib)],
          ['iCCP', concat(text('p\0\0'), zlib)],
        ]),
      ),
    ],
    ['nifti', file('a.nii.gz', concat(gzipSync(nifti(16, 16)), gzip))],
    ['npz', file('a.npz', zip([['a.npy', raw, 1 << 20]]))],
    ['npz that says so', file('a.npz', zip([['a.npy', raw, UNPACKED]]))],
    ...(['gzip', 'zlib', 'zstd', 'blosc', 'lz4'] as const).map((codec): [string, ReadonlyMap<string, Uint8Array>] => [
      `zarr ${codec}`,
      zarr(codec, { gzip, zlib, zstd: zstd(), blosc: blosc(), lz4: lz4() }[codec]),
    ]),
    ['tiff deflate', file('a.tif', tiff(8, zlib))],
    ['tiff zstd', file('a.tif', tiff(50000, zstd()))],
    [
      'tiff packbits',
      file(
        'a.tif',
        tiff(
          32773,
          new Uint8Array(1 << 20).map((_, i) => (i % 2 ? 7 : 129)),
        ),
      ),
    ],
    ['hdf5 gzip', file('a.h5', hdf5(zlib))],
    // Chunks by themselves, under the numbers of their filters.
    ['hdf5 lzf', file('32000.chunk', new Uint8Array(1 << 20).fill(0xff))],
    ['hdf5 blosc', file('32001.chunk', blosc())],
    ['hdf5 zstd', file('32015.chunk', zstd())],
    ['tiff lzw', file('a.tif', tiff(5, new Uint8Array(1 << 20).fill(0x80)))],
  ];
  return new Map(files);
}

const UNPACKED = 1 << 28;
const SIDE = 64;
const text = (value: string) => new TextEncoder().encode(value);
const file = (name: string, bytes: Uint8Array) => new Map([[name, bytes]]);

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function uint32(value: number, littleEndian = false): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, littleEndian);
  return bytes;
}

/** 64 x 64 grey, with chunks before the picture or instead of it. */
function png(chunks: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const picture = deflateSync(Buffer.alloc(SIDE * (SIDE + 1)));
  const all = [
    ['IHDR', concat(uint32(SIDE), uint32(SIDE), Uint8Array.of(8, 0, 0, 0, 0))] as const,
    ...chunks,
    ...(chunks.some(([type]) => type === 'IDAT') ? [] : [['IDAT', picture] as const]),
    ['IEND', new Uint8Array(0)] as const,
  ];
  const written = all.map(([type, data]) => concat(uint32(data.length), text(type), data, uint32(0)));
  return concat(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), ...written);
}

/** NIfTI-1, uint8. */
function nifti(height: number, width: number): Uint8Array {
  const bytes = new Uint8Array(352 + height * width);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, 348, true);
  for (const [i, length] of [2, width, height, 1, 1, 1, 1, 1].entries()) view.setInt16(40 + 2 * i, length, true);
  view.setInt16(70, 2, true);
  view.setInt16(72, 8, true);
  view.setFloat32(108, 352, true);
  bytes.set(text('n+1\0'), 344);
  return bytes;
}

/** Of deflated members, each with the size that the directory says it has. */
export function zip(members: readonly (readonly [name: string, packed: Uint8Array, size: number])[]): Uint8Array {
  const locals: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const [name, packed, size] of members) {
    const common = concat(
      Uint8Array.of(20, 0, 0, 0, 8, 0, 0, 0, 0, 0),
      uint32(0),
      uint32(packed.length, true),
      uint32(size, true),
      Uint8Array.of(name.length, 0, 0, 0),
    );
    const local = concat(text('PK\x03\x04'), common, text(name), packed);
    locals.push(local);
    directory.push(
      concat(text('PK\x01\x02'), Uint8Array.of(20, 0), common, new Uint8Array(10), uint32(at, true), text(name)),
    );
    at += local.length;
  }
  const central = concat(...directory);
  const count = members.length;
  const end = concat(
    text('PK\x05\x06'),
    new Uint8Array(4),
    Uint8Array.of(count, 0, count, 0),
    uint32(central.length, true),
    uint32(at, true),
    new Uint8Array(2),
  );
  return concat(...locals, central, end);
}

/** Frames without a size, of blocks that repeat one byte 131,071 times. */
function zstd(): Uint8Array {
  const count = UNPACKED >> 17;
  const blocks = Array.from({ length: count }, (_, i) => {
    const header = (i === count - 1 ? 1 : 0) | (1 << 1) | (131_071 << 3);
    return Uint8Array.of(header & 255, (header >> 8) & 255, header >> 16, 7);
  });
  return concat(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0x50), ...blocks);
}

function blosc(): Uint8Array {
  return concat(
    Uint8Array.of(2, 1, 1, 1),
    uint32(UNPACKED, true),
    uint32(1 << 18, true),
    uint32(64, true),
    new Uint8Array(48),
  );
}

function lz4(): Uint8Array {
  return concat(uint32(UNPACKED, true), new Uint8Array(60));
}

function zarr(codec: string, chunk: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const metadata = {
    zarr_format: 2,
    shape: [SIDE, SIDE],
    chunks: [SIDE, SIDE],
    dtype: '|u1',
    compressor: { id: codec },
    fill_value: 0,
    filters: null,
    order: 'C',
  };
  return new Map([
    ['a.zarr/.zarray', text(JSON.stringify(metadata))],
    ['a.zarr/0.0', chunk],
  ]);
}

function tiff(compression: number, block: Uint8Array): Uint8Array {
  const tags = [short(258, 8), short(259, compression), short(262, 1)];
  return buildTiff([{ width: SIDE, height: SIDE, blocks: [block], tags }]);
}

/** The sample's dataset `raw`, gzipped in chunks of 32 bytes: the first one is this. */
function hdf5(chunk: Uint8Array): Uint8Array {
  const sample = hdf5Sample();
  const bytes = concat(sample, chunk);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  // A node of chunks: 24 bytes, then of each its length, a mask, where it is in 3 axes and in its elements, and its address.
  const node = Buffer.from(sample).indexOf('TREE\x01', 0, 'latin1');
  view.setUint32(node + 24, chunk.length, true);
  view.setBigUint64(node + 24 + 8 + 4 * 8, BigInt(sample.length), true);
  return bytes;
}
