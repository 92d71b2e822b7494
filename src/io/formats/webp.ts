import { SamError } from '../../errors.js';
import type { TaskOptions } from '../../task.js';
import { type ByteSource, readAll } from '../bytes.js';
import type { ImageSource } from '../image.js';
import { openNdarray } from '../ndarray.js';
import { checkBlockSize, colourChannels } from '../region.js';

/**
 * WebP: decoded by the browser, in Node by a decoder that node-file.ts installs. Always colour, 8 bits. A browser
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
    picture = await decode(bytes);
  } catch (cause) {
    throw new SamError('invalid_image', `${name} is a damaged or truncated WebP; get a complete copy.`, { cause });
  }
  const pixels = picture.width * picture.height;
  const opaque = picture.data.every((value, i) => i % 4 !== 3 || value === 255);
  const channels = opaque ? 3 : 4;
  const data = new Uint8Array(pixels * channels);
  for (let i = 0; i < pixels; i++)
    for (let channel = 0; channel < channels; channel++) data[i * channels + channel] = picture.data[i * 4 + channel];
  const shape = [picture.height, picture.width, channels];
  return openNdarray({ data, shape, axes: 'yxs', name, channels: colourChannels(channels) });
}

function browserDecoder(): WebpDecoder {
  if (typeof createImageBitmap !== 'function' || typeof OffscreenCanvas !== 'function')
    throw new SamError('unsupported', 'WebP cannot be decoded in this program; save the image as PNG or TIFF.', {
      details: { feature: 'WebP' },
    });
  return async (bytes) => {
    const blob = new Blob([bytes as Uint8Array<ArrayBuffer>], { type: 'image/webp' });
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
