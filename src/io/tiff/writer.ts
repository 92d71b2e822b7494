import { SamError } from '../../errors.js';
import { itemAt } from '../../items.js';
import { concatBytes, dtypeOf, type Tensor, type TypedArray } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import { compress } from '../compression/compress.js';
import { metresPer, type PixelSize } from '../pixel-size.js';
import { imageJDescription, omeDescription, type StackMeaning } from './description.js';
import { type IfdEntry, layOutTiff, rational, type TiffPage } from './layout.js';

/**
 * Image and label arrays → TIFF: one page per plane, strips, zlib ("Adobe deflate") compression, pixel size as
 * resolution tags and in the description. Becomes BigTIFF beyond 4 GB. The numbers are never touched: the page type is
 * the array's type.
 */
export interface TiffWriteOptions extends TaskOptions {
  /**
   * What the axes of `shape` are: some of t, z, c, y, x in this order, with s at the end for the colours of a picture.
   * Default 'yx' or 'zyx'.
   */
  readonly axes?: string;
  /** Who is to understand the stack: ImageJ (default), OME readers, or nobody in particular. */
  readonly description?: 'imagej' | 'ome' | 'none';
  readonly pixelSize?: PixelSize;
  readonly name?: string;
  readonly channelNames?: readonly string[];
  /** Values shown black and white, for ImageJ. */
  readonly range?: readonly [low: number, high: number];
  readonly compression?: 'deflate' | 'none';
  /** Force or forbid BigTIFF; by default it is used when the file needs it. */
  readonly big?: boolean;
}

/** A whole TIFF file. */
export async function encodeTiff(image: Tensor, options: TiffWriteOptions = {}): Promise<Uint8Array> {
  return concatBytes(await tiffParts(image, options));
}

/** The same file as parts to be written one after the other, for files that fit no single array. */
async function tiffParts(image: Tensor, options: TiffWriteOptions = {}): Promise<Uint8Array[]> {
  const stack = meaningOf(image, options);
  const { sizes, rgb } = stack;
  const samples = rgb ? 3 : 1;
  const pages = sizes.t * sizes.z * sizes.c;
  const rowLength = sizes.x * samples;
  const rowsPerStrip = Math.max(
    1,
    Math.min(sizes.y, Math.floor(STRIP_BYTES / (rowLength * image.data.BYTES_PER_ELEMENT))),
  );
  const compressed = options.compression !== 'none';
  const written: TiffPage[] = [];
  for (let page = 0; page < pages; page++) {
    options.signal?.throwIfAborted();
    const strips: Promise<Uint8Array>[] = [];
    for (let row = 0; row < sizes.y; row += rowsPerStrip) {
      const begin = (page * sizes.y + row) * rowLength;
      const end = (page * sizes.y + Math.min(sizes.y, row + rowsPerStrip)) * rowLength;
      const raw = littleEndianBytes(image.data, begin, end);
      strips.push(compressed ? compress(raw, 'deflate') : Promise.resolve(raw));
    }
    written.push({
      strips: await Promise.all(strips),
      entries: pageEntries(stack, { compressed, rowsPerStrip, description: page === 0 ? textOf(stack, options) : '' }),
    });
    options.onProgress?.({ done: page + 1, total: pages, message: `Writing page ${page + 1} of ${pages}` });
  }
  return layOutTiff(written, options.big);
}

/** Large enough that compression is good, small enough that a region can be read without its page. */
const STRIP_BYTES = 1 << 18;

function meaningOf({ data, shape }: Tensor, options: TiffWriteOptions): StackMeaning {
  const axes = options.axes ?? (shape.length === 3 ? 'zyx' : 'yx');
  const fits = /^t?z?c?yxs?$/.test(axes) && axes.length === shape.length && shape.every((length) => length >= 1);
  if (!fits)
    throw new SamError('invalid_argument', `A TIFF of shape [${shape}] cannot have the axes "${axes}".`, {
      details: { shape, axes },
    });
  const length = (axis: string) => (axes.includes(axis) ? itemAt(shape, axes.indexOf(axis)) : 1);
  const rgb = axes.endsWith('s');
  if (rgb && (length('s') !== 3 || length('c') !== 1))
    throw new SamError('unsupported', `Colour pictures have 3 samples and no channel axis, got "${axes}" [${shape}].`);
  return {
    name: options.name ?? 'image',
    dtype: dtypeOf(data),
    sizes: { t: length('t'), z: length('z'), c: length('c'), y: length('y'), x: length('x') },
    rgb,
    pixelSize: options.pixelSize,
    channelNames: options.channelNames,
    range: options.range,
  };
}

function textOf(stack: StackMeaning, { description = 'imagej' }: TiffWriteOptions): string {
  if (description === 'none') return '';
  return description === 'ome' ? omeDescription(stack) : imageJDescription(stack);
}

/** The tags of a page but for its strips. */
function pageEntries(
  { sizes, rgb, dtype, pixelSize }: StackMeaning,
  { compressed, rowsPerStrip, description }: { compressed: boolean; rowsPerStrip: number; description: string },
): IfdEntry[] {
  const samples = rgb ? 3 : 1;
  const perSample = (value: number) => new Array<number>(samples).fill(value);
  const isImageJ = description.startsWith('ImageJ=');
  // ImageJ reads the resolution in the unit of its description; everyone else in centimetres.
  const metres = pixelSize && metresPer(pixelSize.unit);
  const perUnit = isImageJ || metres === undefined ? 1 : metres * 100;
  return [
    { tag: 256, type: 'long', values: [sizes.x] },
    { tag: 257, type: 'long', values: [sizes.y] },
    { tag: 258, type: 'short', values: perSample(BITS[dtype]) },
    { tag: 259, type: 'short', values: [compressed ? 8 : 1] },
    { tag: 262, type: 'short', values: [rgb ? 2 : 1] },
    ...(description ? [{ tag: 270, type: 'ascii', text: description } as const] : []),
    { tag: 277, type: 'short', values: [samples] },
    { tag: 278, type: 'long', values: [rowsPerStrip] },
    ...(pixelSize
      ? ([
          { tag: 282, type: 'rational', values: rational(1 / (pixelSize.x * perUnit)) },
          { tag: 283, type: 'rational', values: rational(1 / (pixelSize.y * perUnit)) },
          { tag: 296, type: 'short', values: [isImageJ || metres === undefined ? 1 : 3] },
        ] as const)
      : []),
    { tag: 284, type: 'short', values: [1] },
    { tag: 305, type: 'ascii', text: 'micro-sam-imjoy' },
    { tag: 339, type: 'short', values: perSample(dtype.startsWith('float') ? 3 : dtype.startsWith('int') ? 2 : 1) },
  ];
}

const BITS = { int8: 8, uint8: 8, int16: 16, uint16: 16, int32: 32, uint32: 32, float32: 32, float64: 64 } as const;

/** Every machine that runs JavaScript today is little-endian, and so is the file. */
function littleEndianBytes(data: TypedArray, begin: number, end: number): Uint8Array {
  const size = data.BYTES_PER_ELEMENT;
  return new Uint8Array(data.buffer, data.byteOffset + begin * size, (end - begin) * size);
}
