import { convertIndexedToRgb, decode } from 'fast-png';
import { SamError } from '../../errors.js';
import type { TaskOptions } from '../../task.js';
import { type ByteSource, readAll } from '../bytes.js';
import type { ImageSource } from '../image.js';
import { openNdarray } from '../ndarray.js';
import { asImageErrors, checkBlockSize, checkPlausible } from '../region.js';

/**
 * PNG of 1 to 16 bits. Compressed as one stream, so it is decoded whole when opened. Palettes become RGB; an alpha
 * channel stays the last channel.
 */
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const CHANNELS: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

export function isPng(head: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => head[i] === byte);
}

export async function openPng(source: ByteSource, options: TaskOptions = {}): Promise<ImageSource> {
  const { name } = source;
  const bytes = await readAll(source, options);
  checkHeader(bytes, name);
  return asImageErrors(name, async () => {
    const picture = decode(bytes);
    const { height, width, depth, palette } = picture;
    const channels = palette ? palette[0].length : picture.channels;
    let data: ArrayBufferView & ArrayLike<number> = picture.data;
    if (palette) data = convertIndexedToRgb(picture);
    else if (depth < 8) data = unpack(data, width * channels, height, depth);
    if (data.length !== height * width * channels)
      throw new SamError('invalid_image', `${name} is a truncated PNG; get a complete copy of the file.`);
    const values =
      data instanceof Uint16Array ? data : new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.length);
    if (channels === 1) return openNdarray({ data: values, shape: [height, width], axes: 'yx', name });
    return openNdarray({ data: values, shape: [height, width, channels], axes: 'yxs', name });
  });
}

/** Size, depth and colour type are checked before the decoder allocates anything. */
function checkHeader(bytes: Uint8Array, name: string): void {
  if (bytes.length < 33)
    throw new SamError('invalid_image', `${name} is a truncated PNG; get a complete copy of the file.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const channels = CHANNELS[bytes[25]];
  if (channels === undefined)
    throw new SamError('invalid_image', `${name} is a damaged PNG: colour type ${bytes[25]}.`);
  if (width === 0 || height === 0)
    throw new SamError('invalid_image', `${name} is ${height} x ${width} pixels; an image needs at least 1 x 1.`);
  const depth = bytes[24];
  checkBlockSize(name, 'a picture', [height, width, channels], Math.max(1, depth / 8));
  const packed = (height * width * channels * depth) / 8;
  checkPlausible(name, packed, bytes.length * 1032, bytes.length);
}

/** Grey values of 1, 2 or 4 bits, rows padded to whole bytes; kept as stored, not stretched to 255. */
function unpack(packed: ArrayLike<number>, perRow: number, height: number, depth: number): Uint8Array {
  const rowBytes = Math.ceil((perRow * depth) / 8);
  const out = new Uint8Array(perRow * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < perRow; x++) {
      const bit = x * depth;
      const byte = packed[y * rowBytes + (bit >> 3)];
      out[y * perRow + x] = (byte >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
    }
  return out;
}
