import { SamError } from '../../errors.js';

/**
 * Zstandard, decoded by numcodecs' WebAssembly build. The size in the frame header is checked first: the decoder would
 * allocate whatever it says.
 */
export async function decodeZstd(data: Uint8Array, expected: number): Promise<Uint8Array> {
  const claimed = zstdContentSize(data);
  if (claimed !== undefined && claimed > expected)
    throw new SamError(
      'invalid_image',
      `A zstd block claims ${claimed} bytes where ${expected} belong; it is damaged.`,
    );
  const { default: Zstd } = await import('numcodecs/zstd');
  return (await Zstd.fromConfig({}).decode(data)).subarray(0, expected);
}

/** The decompressed size that a zstd frame states (RFC 8878 section 3.1.1.1); undefined if it does not. */
export function zstdContentSize(data: Uint8Array): number | undefined {
  if (data.length < 6 || data[0] !== 0x28 || data[1] !== 0xb5 || data[2] !== 0x2f || data[3] !== 0xfd)
    throw new SamError('invalid_image', 'A block that should be zstd does not start like zstd; the file is damaged.');
  const descriptor = data[4];
  const single = (descriptor & 0x20) !== 0;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6];
  const at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][descriptor & 3];
  if (sizeBytes === 0) return undefined;
  if (at + sizeBytes > data.length) throw new SamError('invalid_image', 'A zstd block is truncated.');
  let size = 0;
  for (let i = sizeBytes - 1; i >= 0; i--) size = size * 256 + data[at + i];
  return sizeBytes === 2 ? size + 256 : size;
}
