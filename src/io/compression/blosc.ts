import { SamError } from '../../errors.js';

/**
 * Blosc, decoded by numcodecs' WebAssembly build. The size in the header is checked first: the decoder would allocate
 * whatever it says.
 */
export async function decodeBlosc(data: Uint8Array, expected: number): Promise<Uint8Array> {
  const claimed = bloscContentSize(data);
  if (claimed > expected)
    throw new SamError(
      'invalid_image',
      `A Blosc block claims ${claimed} bytes where ${expected} belong; it is damaged.`,
    );
  const { default: Blosc } = await import('numcodecs/blosc');
  return Blosc.fromConfig({ clevel: 0, shuffle: 0, blocksize: 0, cname: 'lz4' }).decode(data);
}

/** The unpacked size that a Blosc header states (16 bytes: versions, flags, type size, then three sizes). */
export function bloscContentSize(data: Uint8Array): number {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (data.length < 16 || view.getUint32(12, true) > data.length)
    throw new SamError('invalid_image', 'A Blosc block is truncated.');
  return view.getUint32(4, true);
}
