import { SamError } from '../../errors.js';
import { concatBytes } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import type { ByteSource } from '../bytes.js';
import { readAll } from '../bytes.js';
import type { ImageSource } from '../image.js';
import { openNdarray } from '../ndarray.js';
import { checkBlockSize, checkPlausible } from '../region.js';
import { isJpeg } from '../signatures.js';

/**
 * JPEG, decoded by libjpeg-turbo (compiled to JavaScript, loaded when first needed) in every host alike: the same file
 * gives the same pixels in the page, in Node and in Python's Pillow, so embeddings computed anywhere belong to it.
 */
export interface Picture {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export async function openJpeg(source: ByteSource, options: TaskOptions = {}): Promise<ImageSource> {
  const bytes = await readAll(source, options);
  const { data, height, width, channels } = await decodeJpeg(bytes, source.name);
  const shape = channels === 1 ? [height, width] : [height, width, channels];
  return { ...openNdarray({ data, shape, axes: channels === 1 ? 'yx' : 'yxs', name: source.name }), lossy: true };
}

interface JpegHeader {
  readonly height: number;
  readonly width: number;
  readonly components: number;
  readonly precision: number;
}

/** The frame header, so that sizes are known before anything is allocated. */
function jpegHeader(bytes: Uint8Array, name: string): JpegHeader {
  const damaged = (what: string) =>
    new SamError('invalid_image', `${name} is not a complete JPEG: ${what}. Get a complete copy of the file.`);
  if (!isJpeg(bytes)) throw damaged('it does not start like one');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 2; at + 4 <= bytes.length; ) {
    if (bytes[at] !== 0xff) throw damaged('a marker is missing');
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) {
      at++;
      continue;
    }
    const length = view.getUint16(at + 2);
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame) {
      if (at + 10 > bytes.length) break;
      if (![0xc0, 0xc1, 0xc2].includes(marker))
        throw new SamError(
          'unsupported',
          `${name} is a lossless or arithmetic JPEG, which is not read; save it as PNG or TIFF.`,
        );
      return {
        precision: view.getUint8(at + 4),
        height: view.getUint16(at + 5),
        width: view.getUint16(at + 7),
        components: view.getUint8(at + 9),
      };
    }
    if (marker === 0xd9 || marker === 0xda) break;
    at += 2 + Math.max(length, 2);
  }
  throw damaged('it has no frame header');
}

interface JpegDecoder {
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  getFrameInfo(): { width: number; height: number; componentCount: number };
  getDecodedBuffer(): Uint8ClampedArray;
  delete(): void;
}

type JpegModule = { readonly JPEGDecoder: new () => JpegDecoder };
let loading: Promise<JpegModule> | undefined;

async function decoder(): Promise<JpegDecoder> {
  loading ??= import('@cornerstonejs/codec-libjpeg-turbo-8bit/decode').then(({ default: load }) =>
    load({ print: () => {}, printErr: () => {} }),
  ) as Promise<JpegModule>;
  return new (await loading).JPEGDecoder();
}

/** A JPEG as 1 or 3 channels of 8 bits. */
export async function decodeJpeg(bytes: Uint8Array, name: string): Promise<Picture> {
  const header = jpegHeader(bytes, name);
  if (header.precision !== 8 || ![1, 3].includes(header.components))
    throw new SamError(
      'unsupported',
      `${name} is a JPEG of ${header.precision} bits and ${header.components} components (4 are CMYK); only 8 bits, grey or colour, are read. Save it as PNG or TIFF.`,
    );
  checkBlockSize(name, 'a picture', [header.height, header.width, header.components], 1);
  // At least one bit per block of 64 samples.
  checkPlausible(name, header.height * header.width, bytes.length * 512, bytes.length);
  const jpeg = await decoder();
  try {
    jpeg.getEncodedBuffer(bytes.length).set(bytes);
    jpeg.decode();
    const { width, height, componentCount } = jpeg.getFrameInfo();
    const data = new Uint8Array(jpeg.getDecodedBuffer());
    if (data.length !== width * height * componentCount) throw new Error('libjpeg-turbo gave an incomplete picture');
    return { data, width, height, channels: componentCount };
  } catch (cause) {
    throw new SamError('invalid_image', `${name} is a damaged or truncated JPEG; get a complete copy.`, { cause });
  } finally {
    jpeg.delete();
  }
}

/**
 * A TIFF tile as a complete JPEG stream: the tables that all tiles share are put back, and an Adobe marker says so if
 * the components are RGB (libjpeg would take three components without a marker for YCbCr).
 */
export function withJpegTables(tile: Uint8Array, tables: Uint8Array | undefined, storedRgb: boolean): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(0xff, 0xd8)];
  if (storedRgb) parts.push(Uint8Array.of(0xff, 0xee, 0, 14, 0x41, 0x64, 0x6f, 0x62, 0x65, 0, 100, 0, 0, 0, 0, 0));
  if (tables && tables.length > 4) parts.push(tables.subarray(2, tables.length - 2));
  parts.push(tile.subarray(2));
  return concatBytes(parts);
}
