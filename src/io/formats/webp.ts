import { SamError } from '../../errors.js';
import { unshared } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import { type ByteSource, readAll } from '../bytes.js';
import type { ImageSource } from '../image.js';
import { openNdarray } from '../ndarray.js';
import { checkBlockSize, colourChannels } from '../region.js';

/**
 * WebP: decoded by the browser, in Node by a decoder that node-file.ts installs. Always colour, 8 bits; of an animation the
 * first frame. A browser
 * rounds colours under partial transparency, by at most one.
 */
export interface Rgba {
  readonly width: number;
  readonly height: number;
  /** Four bytes per pixel. */
  readonly data: Uint8ClampedArray | Uint8Array;
}

type WebpDecoder = (bytes: Uint8Array) => Promise<Rgba>;
let decoder: WebpDecoder | undefined;

export function installWebpDecoder(decode: WebpDecoder): void {
  decoder = decode;
}

export async function openWebp(source: ByteSource, options: TaskOptions = {}): Promise<ImageSource> {
  const bytes = await readAll(source, options);
  const { name } = source;
  const { width, height } = webpSize(bytes, name);
  checkBlockSize(name, 'a picture', [height, width, 4], 1);
  const decode = decoder ?? browserDecoder();
  let picture: Rgba;
  try {
    const frame = firstFrame(bytes);
    picture = frame ? onCanvas(await decode(frame.bytes), frame, { width, height }) : await decode(bytes);
  } catch (cause) {
    throw new SamError('invalid_image', `${name} is a damaged or truncated WebP; get a complete copy.`, { cause });
  }
  const pixels = picture.width * picture.height;
  const opaque = picture.data.every((value, i) => i % 4 !== 3 || value === 255);
  const channels = opaque ? 3 : 4;
  const data = new Uint8Array(pixels * channels);
  for (let i = 0; i < pixels; i++)
    for (let channel = 0; channel < channels; channel++) data[i * channels + channel] = picture.data[i * 4 + channel]!;
  const shape = [picture.height, picture.width, channels];
  const image = openNdarray({ data, shape, axes: 'yxs', name, channels: colourChannels(channels) });
  return isLossless(bytes) ? image : { ...image, lossy: true };
}

/** By the chunk that holds the picture, or the first frame. */
function isLossless(bytes: Uint8Array): boolean {
  for (let at = 12; at + 8 <= bytes.length; ) {
    const name = chunkName(bytes, at);
    if (name === 'VP8L' || name === 'VP8 ') return name === 'VP8L';
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at + 4, true);
    at += name === 'ANMF' ? 8 + FRAME_HEADER : 8 + length + (length % 2);
  }
  return false;
}

interface Frame {
  /** A WebP of its own. */
  readonly bytes: Uint8Array;
  readonly x: number;
  readonly y: number;
}

const ANIMATED = 2;
const HAS_ALPHA = 16;
const FRAME_HEADER = 16;

/** The first frame of an animation (RFC 9649, 2.7.1); undefined for pictures that do not move. */
function firstFrame(bytes: Uint8Array): Frame | undefined {
  if (chunkName(bytes, 12) !== 'VP8X' || ((bytes[20] ?? 0) & ANIMATED) === 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 12; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at + 4, true);
    if (chunkName(bytes, at) === 'ANMF') {
      const start = at + 8;
      const uint24 = (offset: number) => view.getUint32(start + offset, true) & 0xffffff;
      const inside = bytes.subarray(start + FRAME_HEADER, Math.min(start + length, bytes.length));
      return {
        bytes: stillPicture(inside, uint24(6), uint24(9)),
        x: uint24(0) * 2,
        y: uint24(3) * 2,
      };
    }
    at += 8 + length + (length % 2);
  }
  throw new Error('an animation without frames');
}

function chunkName(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

/** The chunks of a frame as a file; sizes are less one, as they are stored. */
function stillPicture(chunks: Uint8Array, widthLess1: number, heightLess1: number): Uint8Array {
  const extended = chunkName(chunks, 0) === 'ALPH';
  const out = new Uint8Array(12 + (extended ? 18 : 0) + chunks.length);
  const view = new DataView(out.buffer);
  const name = (at: number, text: string) =>
    out.set(
      [...text].map((letter) => letter.charCodeAt(0)),
      at,
    );
  name(0, 'RIFF');
  view.setUint32(4, out.length - 8, true);
  name(8, 'WEBP');
  if (extended) {
    name(12, 'VP8X');
    view.setUint32(16, 10, true);
    view.setUint32(20, HAS_ALPHA, true);
    view.setUint32(24, widthLess1, true);
    view.setUint16(27, heightLess1 & 0xffff, true);
    out[29] = heightLess1 >> 16;
  }
  out.set(chunks, out.length - chunks.length);
  return out;
}

/** A frame at its place, the rest transparent. */
function onCanvas(frame: Rgba, { x, y }: Frame, { width, height }: { width: number; height: number }): Rgba {
  if (frame.width === width && frame.height === height) return frame;
  const data = new Uint8Array(width * height * 4);
  const columns = Math.min(frame.width, width - x);
  for (let row = 0; row < Math.min(frame.height, height - y); row++) {
    const from = row * frame.width * 4;
    if (columns > 0) data.set(frame.data.subarray(from, from + columns * 4), ((y + row) * width + x) * 4);
  }
  return { width, height, data };
}

function browserDecoder(): WebpDecoder {
  if (typeof createImageBitmap !== 'function' || typeof OffscreenCanvas !== 'function')
    throw new SamError('unsupported', 'WebP cannot be decoded in this program; save the image as PNG or TIFF.', {
      details: { feature: 'WebP' },
    });
  return async (bytes) => {
    const blob = new Blob([unshared(bytes)], { type: 'image/webp' });
    const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d', { willReadFrequently: true });
    if (context === null) throw new Error('no canvas');
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, bitmap.width, bitmap.height);
  };
}

/** The canvas size in the first chunk (RFC 9649): VP8X, VP8L or VP8. */
function webpSize(bytes: Uint8Array, name: string): { width: number; height: number } {
  const damaged = () => new SamError('invalid_image', `${name} is a damaged or truncated WebP; get a complete copy.`);
  if (bytes.length < 30) throw damaged();
  const kind = String.fromCharCode(...bytes.subarray(12, 16));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (kind === 'VP8X')
    return { width: (view.getUint32(24, true) & 0xffffff) + 1, height: (view.getUint32(26, true) >>> 8) + 1 };
  if (kind === 'VP8L') {
    const bits = view.getUint32(21, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
  }
  if (kind === 'VP8 ') return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  throw damaged();
}
