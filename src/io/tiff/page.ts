import { SamError } from '../../errors.js';
import type { TypedArray } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import { bytesPerElement, decodeElements, type FileDtype, swapBytes, viewElements } from '../elements.js';
import { checkBlockSize, checkPlausible } from '../region.js';
import { checkCompression, decompressTile, mostBytes } from './codecs.js';
import { TAG, type TiffDirectory, type TiffFile } from './container.js';
import { undoPredictor } from './predictor.js';

/**
 * One page of a TIFF as a grid of blocks (tiles or strips), each decoded on its own. Uncompressed strips are cut into
 * shorter ones, because many programs write a whole plane as one strip.
 */
export interface TiffPage {
  readonly file: TiffFile;
  readonly directory: TiffDirectory;
  readonly width: number;
  readonly height: number;
  /** Samples per pixel; in planar files each has blocks of its own. */
  readonly samples: number;
  readonly planar: boolean;
  /** Of a planar page, the one sample that stands for a page of its own. */
  readonly sample?: number;
  readonly dtype: FileDtype;
  readonly bits: number;
  readonly compression: number;
  readonly photometric: number;
  readonly predictor: number;
  readonly tiled: boolean;
  readonly tileWidth: number;
  readonly tileHeight: number;
  readonly reduced: boolean;
  readonly description: string | undefined;
}

/** One sample of a planar page as a page of its own. */
export function samplePage(page: TiffPage, sample: number): TiffPage {
  return { ...page, samples: 1, sample, photometric: MIN_IS_BLACK };
}

const MIN_IS_BLACK = 1;
const RGB = 2;
const YCBCR = 6;
/** Uncompressed strips are read in pieces of about this many bytes. */
const PIECE_BYTES = 2 ** 20;

export async function readPage(file: TiffFile, directory: TiffDirectory): Promise<TiffPage> {
  const { name, size } = file.source;
  const width = await directory.number(TAG.width, 0);
  const height = await directory.number(TAG.height, 0);
  const samples = await directory.number(TAG.samplesPerPixel, 1);
  if (width < 1 || height < 1 || samples < 1)
    throw new SamError(
      'invalid_image',
      `${name} has a page of ${height} x ${width} pixels; an image needs at least 1 x 1.`,
    );
  const bitsPerSample = directory.count(TAG.bitsPerSample) <= 4096 ? await directory.numbers(TAG.bitsPerSample) : [];
  const bits = bitsPerSample[0] ?? 1;
  const formats = directory.count(TAG.sampleFormat) <= 4096 ? await directory.numbers(TAG.sampleFormat) : [];
  if (bitsPerSample.some((b) => b !== bits) || formats.some((f) => f !== formats[0]))
    throw new SamError(
      'unsupported',
      `${name} has samples of different depths (${bitsPerSample} bits) in one page, which is not read.`,
    );
  const compression = await directory.number(TAG.compression, 1);
  checkCompression(compression, name);
  const photometric = await directory.number(TAG.photometric, samples >= 3 ? RGB : 1);
  if (photometric === YCBCR && compression !== 7)
    throw new SamError('unsupported', `${name} stores YCbCr colours without JPEG, which is not read; save it as RGB.`);
  const tiled = directory.has(TAG.tileWidth) && directory.has(TAG.tileOffsets);
  const planar = samples > 1 && (await directory.number(TAG.planar, 1)) === 2;
  const dtype = dtypeOf(bits, formats[0] ?? 1, name);
  const rowsPerStrip = Math.min(await directory.number(TAG.rowsPerStrip, height), height);
  const tileWidth = tiled ? await directory.number(TAG.tileWidth, 0) : width;
  const fullHeight = tiled ? await directory.number(TAG.tileHeight, 0) : rowsPerStrip;
  if (tileWidth < 1 || fullHeight < 1)
    throw new SamError('invalid_image', `${name} has blocks of ${fullHeight} x ${tileWidth} pixels; it is damaged.`);
  const perPixel = planar ? 1 : samples;
  const rowBytes = Math.ceil((tileWidth * perPixel * bits) / 8);
  const cut = !tiled && compression === 1;
  const tileHeight = cut ? pieceHeight(fullHeight, rowBytes) : fullHeight;
  checkBlockSize(name, 'blocks', [tileHeight, tileWidth, perPixel], Math.max(1, bits / 8));
  const page = {
    file,
    directory,
    width,
    height,
    samples,
    planar,
    dtype,
    bits,
    compression,
    photometric,
    predictor: await directory.number(TAG.predictor, 1),
    tiled,
    tileWidth,
    tileHeight,
    reduced: ((await directory.number(TAG.subfileType, 0)) & 1) === 1,
    description: directory.count(TAG.description) > 0 ? await directory.text(TAG.description) : undefined,
  };
  const blocks = Math.ceil(height / fullHeight) * Math.ceil(width / tileWidth) * (planar ? samples : 1);
  const offsets = directory.count(tiled ? TAG.tileOffsets : TAG.stripOffsets);
  if (offsets < blocks)
    throw new SamError(
      'invalid_image',
      `${name} is ${height} x ${width} pixels in ${blocks} blocks, but lists ${offsets}; it is truncated or damaged.`,
    );
  if (cut) checkPlausible(name, rowBytes * height * (planar ? samples : 1), size, size);
  return page;
}

/** A divisor of the strip's height where there is one near, so that pieces never cross strips. */
function pieceHeight(stripHeight: number, rowBytes: number): number {
  const wanted = Math.max(1, Math.floor(PIECE_BYTES / Math.max(1, rowBytes)));
  if (stripHeight <= wanted) return stripHeight;
  for (let rows = wanted; rows > wanted / 2; rows--) if (stripHeight % rows === 0) return rows;
  return wanted;
}

function dtypeOf(bits: number, format: number, name: string): FileDtype {
  const unsupported = (what: string) =>
    new SamError('unsupported', `${name} holds ${what}, which is not read; convert it to 8, 16 or 32 bit.`, {
      details: { bits, format },
    });
  if (format === 3) {
    if (bits === 16 || bits === 32 || bits === 64) return `float${bits}`;
    throw unsupported(`${bits}-bit floating point numbers`);
  }
  if (format === 2) {
    if (bits === 8 || bits === 16 || bits === 32 || bits === 64) return `int${bits}`;
    throw unsupported(`${bits}-bit signed integers`);
  }
  if (format === 5 || format === 6) throw unsupported('complex numbers');
  if (bits === 64) return 'uint64';
  if (bits >= 1 && bits <= 32) return bits <= 8 ? 'uint8' : bits <= 16 ? 'uint16' : 'uint32';
  throw unsupported(`${bits}-bit integers`);
}

export function samplesPerBlock(page: TiffPage): number {
  return page.planar ? 1 : page.samples;
}

export function isRgb(page: TiffPage): boolean {
  const colour = page.photometric === RGB || page.photometric === YCBCR;
  return colour && (page.samples === 3 || page.samples === 4);
}

/** Which block of the grid; for planar pages, of which sample. */
export interface BlockPlace {
  readonly row: number;
  readonly column: number;
  readonly sample: number;
  /** The page's data lie further on in the file (ImageJ stacks that list one page and hold many). */
  readonly shift: number;
}

/** A block of the grid, for planar pages of one sample: `[tileHeight, tileWidth, samples]`; the last strip is shorter. */
export async function readBlock(
  page: TiffPage,
  { row, column, sample: asked, shift }: BlockPlace,
  options: TaskOptions,
): Promise<{ data: TypedArray; height: number }> {
  const sample = page.sample ?? asked;
  const { tileWidth, tileHeight, tiled, compression, bits, file } = page;
  const samples = samplesPerBlock(page);
  const height = tiled ? tileHeight : Math.min(tileHeight, page.height - row * tileHeight);
  const rowBytes = Math.ceil((tileWidth * samples * bits) / 8);
  const expected = rowBytes * height;
  if (!tiled && compression === 1) {
    const bytes = await readRows(page, { first: row * tileHeight, count: height, rowBytes, sample, shift }, options);
    return { data: await finish(page, bytes, height), height };
  }
  const across = Math.ceil(page.width / tileWidth);
  const down = Math.ceil(page.height / tileHeight);
  const index = (page.planar ? sample * across * down : 0) + row * across + column;
  const [offset, length] = await blockRange(page, index, options);
  // A block that is not there (sparse files) is all zeros.
  if (length === 0) return { data: await finish(page, new Uint8Array(expected), height, true), height };
  checkPlausible(file.source.name, expected, mostBytes(compression, length), length);
  const stored = await file.source.read(
    offset + shift,
    compression === 1 ? Math.min(length, expected) : length,
    options,
  );
  const data = (await page.directory.number(TAG.fillOrder, 1)) === 2 ? reverseBits(stored) : stored;
  const bytes = await decompressTile(compression, {
    data,
    expected,
    height,
    width: tileWidth,
    samples,
    jpegTables: compression === 7 ? await page.directory.bytes(TAG.jpegTables) : undefined,
    storedRgb: page.photometric === RGB,
  });
  if (bytes.length < expected)
    throw new SamError(
      'invalid_image',
      `${file.source.name} is truncated or damaged: a block holds ${bytes.length} bytes of ${expected}.`,
    );
  return { data: await finish(page, bytes, height), height };
}

interface RowsPlace extends Pick<BlockPlace, 'sample' | 'shift'> {
  readonly first: number;
  readonly count: number;
  readonly rowBytes: number;
}

/** Rows of an uncompressed plane, wherever its strips lie; neighbouring strips are read together. */
async function readRows(
  page: TiffPage,
  { first, count, rowBytes, sample, shift }: RowsPlace,
  options: TaskOptions,
): Promise<Uint8Array> {
  const rowsPerStrip = Math.min(await page.directory.number(TAG.rowsPerStrip, page.height), page.height);
  const strips = Math.ceil(page.height / rowsPerStrip);
  const out = new Uint8Array(count * rowBytes);
  for (let row = first; row < first + count; ) {
    const strip = Math.floor(row / rowsPerStrip);
    const end = Math.min(first + count, (strip + 1) * rowsPerStrip);
    const [offset] = await blockRange(page, (page.planar ? sample * strips : 0) + strip, options);
    const start = offset + shift + (row - strip * rowsPerStrip) * rowBytes;
    const bytes = await page.file.source.read(start, (end - row) * rowBytes, options);
    out.set(bytes, (row - first) * rowBytes);
    row = end;
  }
  return (await page.directory.number(TAG.fillOrder, 1)) === 2 ? reverseBits(out) : out;
}

async function blockRange(
  page: TiffPage,
  index: number,
  options: TaskOptions,
): Promise<[offset: number, length: number]> {
  const offsets = await page.directory.numbers(page.tiled ? TAG.tileOffsets : TAG.stripOffsets, options);
  const lengths = await page.directory.numbers(page.tiled ? TAG.tileByteCounts : TAG.stripByteCounts, options);
  const offset = offsets[index];
  if (offset === undefined)
    throw new SamError(
      'invalid_image',
      `${page.file.source.name} lists ${offsets.length} blocks and lacks one of them.`,
    );
  // Old writers leave the byte counts of uncompressed or single-strip pages out.
  return [offset, lengths[index] ?? Math.max(0, page.file.source.size - offset)];
}

async function finish(page: TiffPage, bytes: Uint8Array, height: number, empty = false): Promise<TypedArray> {
  const { bits, dtype, tileWidth, predictor, file } = page;
  const samples = samplesPerBlock(page);
  if (bits % 8 !== 0) return unpackBits(bytes, bits, tileWidth * samples, height);
  const size = bytesPerElement(dtype);
  if (bits !== size * 8) return widen(bytes, bits / 8, dtype, file.littleEndian);
  if (predictor === 1 || empty || page.compression === 7) return decodeElements(bytes, dtype, file.littleEndian);
  const own = bytes.slice();
  if (predictor === 2 && !file.littleEndian) swapBytes(own, size);
  undoPredictor(predictor, own, { height, width: tileWidth, samples, size, name: file.source.name });
  return viewElements(own.buffer, dtype, tileWidth * samples * height);
}

/** Samples of 1 to 31 bits, packed from the high bit, rows padded to whole bytes. */
function unpackBits(bytes: Uint8Array, bits: number, perRow: number, height: number): TypedArray {
  const out =
    bits <= 8
      ? new Uint8Array(perRow * height)
      : bits <= 16
        ? new Uint16Array(perRow * height)
        : new Uint32Array(perRow * height);
  const rowBytes = Math.ceil((perRow * bits) / 8);
  for (let y = 0, to = 0; y < height; y++) {
    let bit = y * rowBytes * 8;
    for (let x = 0; x < perRow; x++, to++) {
      let value = 0;
      for (let left = bits; left > 0; ) {
        const here = Math.min(left, 8 - (bit & 7));
        const part = (bytes[bit >>> 3]! >> (8 - (bit & 7) - here)) & ((1 << here) - 1);
        value = value * 2 ** here + part;
        bit += here;
        left -= here;
      }
      out[to] = value;
    }
  }
  return out;
}

/** 24-bit samples in 32. */
function widen(bytes: Uint8Array, size: number, dtype: FileDtype, littleEndian: boolean): TypedArray {
  const length = Math.floor(bytes.length / size);
  const wide = bytesPerElement(dtype);
  const own = new Uint8Array(length * wide);
  for (let i = 0; i < length; i++)
    for (let byte = 0; byte < size; byte++)
      own[i * wide + byte] = bytes[i * size + (littleEndian ? byte : size - 1 - byte)]!;
  return viewElements(own.buffer, dtype, length);
}

function reverseBits(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte) => {
    let b = ((byte & 0xf0) >> 4) | ((byte & 0x0f) << 4);
    b = ((b & 0xcc) >> 2) | ((b & 0x33) << 2);
    return ((b & 0xaa) >> 1) | ((b & 0x55) << 1);
  });
}
