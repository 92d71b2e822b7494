import { SamError } from '../../errors.js';

/**
 * Zstandard, decoded by numcodecs' WebAssembly build. The size in the frame header is checked first: the decoder would
 * allocate whatever it says.
 */
export async function decodeZstd(data: Uint8Array, expected: number): Promise<Uint8Array> {
  checkZstd(data, expected);
  const { default: Zstd } = await import('numcodecs/zstd');
  return (await Zstd.fromConfig({}).decode(data)).subarray(0, expected);
}

/**
 * Frames that do not state their size are bounded by their blocks, of which each gives at most 128 kB. Written in one go,
 * all but the last are full.
 *
 * @throws SamError `invalid_image` for what would unpack to far more than `expected` bytes
 */
export function checkZstd(data: Uint8Array, expected: number): void {
  const claimed = zstdContentSize(data);
  const most = claimed ?? mostOfBlocks(data);
  if (most > (claimed === undefined ? 2 * expected + UNSTATED_SLACK : expected))
    throw new SamError('invalid_image', `A zstd block claims ${most} bytes where ${expected} belong; it is damaged.`);
}

const LARGEST_BLOCK = 128 << 10;
const UNSTATED_SLACK = 32 << 20;

/** Sum over the blocks of all frames (RFC 8878 section 3.1.1.2): type 0 as they are, 1 one byte repeated, 2 compressed. */
function mostOfBlocks(data: Uint8Array): number {
  let most = 0;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  for (let at = 0; at + 6 <= data.length; ) {
    const skippable = data[at + 1] === 0x2a && data[at + 2] === 0x4d && data[at + 3] === 0x18;
    if (skippable) {
      if (at + 8 > data.length) throw truncated();
      at += 8 + view.getUint32(at + 4, true);
      continue;
    }
    const descriptor = view.getUint8(at + 4);
    const { before, sizeBytes } = frameHeader(descriptor);
    at += before + sizeBytes;
    for (let last = false; !last && at + 3 <= data.length; ) {
      const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
      const [type, size] = [(header >> 1) & 3, header >> 3];
      last = (header & 1) === 1;
      at += 3 + (type === 1 ? 1 : size);
      most += type === 2 ? LARGEST_BLOCK : size;
    }
    if ((descriptor & 4) !== 0) at += 4;
  }
  return most;
}

/** The decompressed size that a zstd frame states (RFC 8878 section 3.1.1.1); undefined if it does not. */
function zstdContentSize(data: Uint8Array): number | undefined {
  if (data.length < 6 || data[0] !== 0x28 || data[1] !== 0xb5 || data[2] !== 0x2f || data[3] !== 0xfd)
    throw new SamError('invalid_image', 'A block that should be zstd does not start like zstd; the file is damaged.');
  const { before, sizeBytes } = frameHeader(data[4] ?? 0);
  if (sizeBytes === 0) return undefined;
  if (before + sizeBytes > data.length) throw truncated();
  const size = data.subarray(before, before + sizeBytes).reduceRight((value, byte) => value * 256 + byte, 0);
  return sizeBytes === 2 ? size + 256 : size;
}

/** How many bytes of a frame state its decompressed size, and how many are before them: magic number, window, dictionary. */
function frameHeader(descriptor: number): { readonly before: number; readonly sizeBytes: number } {
  const single = (descriptor & 0x20) !== 0;
  const dictionaryBytes = (1 << (descriptor & 3)) >> 1;
  const flag = descriptor >> 6;
  return { before: 5 + (single ? 0 : 1) + dictionaryBytes, sizeBytes: flag > 0 ? 1 << flag : single ? 1 : 0 };
}

function truncated(): SamError {
  return new SamError('invalid_image', 'A zstd block is truncated.');
}
