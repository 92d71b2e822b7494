import { unzlibSync } from 'fflate';
import { SamError } from '../../errors.js';
import { decodeZstd } from '../compression/zstd.js';
import { decodeJpeg, withJpegTables } from '../formats/jpeg.js';
import { decodeLzw } from './lzw.js';

/** The compressions of TIFF strips and tiles. Every decoder gives at most the bytes that the tile needs. */
export interface CompressedTile {
  readonly data: Uint8Array;
  readonly expected: number;
  readonly height: number;
  readonly width: number;
  readonly samples: number;
  /** JPEG only: shared tables, and whether the colours are stored as RGB rather than YCbCr. */
  readonly jpegTables?: Uint8Array;
  readonly storedRgb?: boolean;
}

const UNSUPPORTED: Record<number, string> = {
  2: 'CCITT modified Huffman',
  3: 'CCITT fax 3',
  4: 'CCITT fax 4',
  6: 'old-style JPEG (compression 6)',
  33003: 'JPEG 2000',
  33005: 'JPEG 2000',
  34712: 'JPEG 2000',
  34887: 'LERC',
  34892: 'lossy JPEG (DNG)',
  34925: 'LZMA',
  34933: 'PNG',
  50001: 'WebP',
  50002: 'JPEG XL',
  52546: 'JPEG XL',
};

export function checkCompression(compression: number, name: string): void {
  if ([1, 5, 7, 8, 32773, 32946, 50000, 34926].includes(compression)) return;
  const feature = UNSUPPORTED[compression] ?? `number ${compression}`;
  throw new SamError(
    'unsupported',
    `${name} is compressed with ${feature}, which is not read; save it uncompressed or with LZW, deflate, zstd, PackBits or JPEG.`,
    { details: { feature } },
  );
}

/** The most bytes that `bytes` compressed ones can hold. */
export function mostBytes(compression: number, bytes: number): number {
  if (compression === 1) return bytes;
  if (compression === 32773) return 64 * bytes;
  if (compression === 8 || compression === 32946) return 1032 * bytes + 1024;
  if (compression === 5) return 4096 * bytes;
  if (compression === 7) return 2048 * bytes + 1024;
  return 65_536 * bytes;
}

export async function decompressTile(compression: number, tile: CompressedTile): Promise<Uint8Array> {
  const { data, expected } = tile;
  switch (compression) {
    case 1:
      return data.subarray(0, expected);
    case 5:
      return decodeLzw(data, expected);
    case 8:
    case 32946:
      return unzlibSync(data, { out: new Uint8Array(expected) });
    case 32773:
      return decodePackBits(data, expected);
    case 34926:
    case 50000:
      return decodeZstd(data, expected);
    case 7:
      return decodeJpegTile(tile);
    default:
      throw new SamError('unsupported', `TIFF compression ${compression} is not read.`);
  }
}

function decodePackBits(input: Uint8Array, expected: number): Uint8Array {
  const output = new Uint8Array(expected);
  let written = 0;
  for (let at = 0; at < input.length && written < expected; ) {
    const run = (input[at++]! << 24) >> 24;
    if (run >= 0) {
      const literal = input.subarray(at, at + Math.min(run + 1, expected - written));
      output.set(literal, written);
      written += literal.length;
      at += run + 1;
    } else if (run !== -128) {
      const end = Math.min(written + 1 - run, expected);
      output.fill(input[at++] ?? 0, written, end);
      written = end;
    }
  }
  return output.subarray(0, written);
}

/** JPEG tiles may be larger than the tile (whole blocks); the rows and columns beyond are dropped. */
async function decodeJpegTile(tile: CompressedTile): Promise<Uint8Array> {
  const picture = await decodeJpeg(withJpegTables(tile.data, tile.jpegTables, tile.storedRgb === true), 'TIFF tile');
  const { height, width, samples } = tile;
  if (picture.channels !== samples || picture.width < width || picture.height < height)
    throw new SamError(
      'invalid_image',
      `A JPEG tile is ${picture.height} x ${picture.width} with ${picture.channels} samples where ${height} x ${width} with ${samples} belong; the TIFF is damaged.`,
    );
  if (picture.width === width) return picture.data.subarray(0, height * width * samples);
  const rows = new Uint8Array(height * width * samples);
  for (let y = 0; y < height; y++)
    rows.set(
      picture.data.subarray(y * picture.width * samples, (y * picture.width + width) * samples),
      y * width * samples,
    );
  return rows;
}
