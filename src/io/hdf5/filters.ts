import { Unzlib } from 'fflate';
import { SamError } from '../../errors.js';
import { decodeBlosc } from '../compression/blosc.js';
import { inflatePrefix } from '../compression/gzip.js';
import { decodeZstd } from '../compression/zstd.js';
import { checkPlausible } from '../region.js';
import { unsupported } from './fields.js';

/** How HDF5 chunks are packed: filters that are undone last to first. What they give is bounded by the size of a chunk. */
export interface Filter {
  /** As registered by the HDF Group. */
  readonly id: number;
  readonly label: string;
  readonly parameters: readonly number[];
}

const DEFLATE = 1;
const SHUFFLE = 2;
const FLETCHER32 = 3;
const LZF = 32000;
const BLOSC = 32001;
const ZSTD = 32015;
const READ: readonly number[] = [DEFLATE, SHUFFLE, FLETCHER32, LZF, BLOSC, ZSTD];
const NAMES: Record<number, string> = {
  4: 'szip',
  5: 'n-bit',
  6: 'scale-offset',
  307: 'bzip2',
  32004: 'lz4',
  32008: 'bitshuffle',
  32013: 'zfp',
  32026: 'blosc2',
};
const FLETCHER_BYTES = 4;
/** Three bytes of LZF make 264 at most. */
const LZF_RATIO = 88;

/** Refuses what cannot be unpacked, by name, before anything is read. */
export function checkFilters(filters: readonly Filter[], name: string): void {
  for (const { id, label } of filters)
    if (!READ.includes(id))
      throw unsupported(name, `compression by ${NAMES[id] ?? (label || 'a filter')} (HDF5 filter ${id})`);
}

/**
 * The bytes of a chunk: exactly `expected` of them. Bit i of `mask` says that filter i was left out when the chunk was
 * written.
 */
export async function unpackChunk(
  packed: Uint8Array,
  filters: readonly Filter[],
  mask: number,
  expected: number,
  elementSize: number,
  name: string,
): Promise<Uint8Array> {
  let bytes = packed;
  for (const [i, { id, parameters }] of [...filters.entries()].reverse()) {
    if (mask & (1 << i)) continue;
    // A checksum that was added before this filter is still in its output.
    const sums = filters.slice(0, i).filter(({ id }) => id === FLETCHER32).length;
    const limit = expected + sums * FLETCHER_BYTES;
    if (id === DEFLATE) bytes = inflatePrefix(Unzlib, bytes, limit, name);
    else if (id === LZF) bytes = decodeLzf(bytes, limit, name);
    else if (id === BLOSC) bytes = await decodeBlosc(bytes, limit);
    else if (id === ZSTD) bytes = await decodeZstd(bytes, limit);
    else if (id === SHUFFLE) bytes = unshuffle(bytes, parameters[0] ?? elementSize);
    else bytes = bytes.subarray(0, Math.max(0, bytes.length - FLETCHER_BYTES));
  }
  if (bytes.length === expected) return bytes;
  throw new SamError(
    'invalid_image',
    `A chunk of ${name} holds ${bytes.length} bytes of ${expected}; it is truncated or damaged.`,
  );
}

/** Byte k of all elements lies together; a remainder that is no whole element is at the end, as it was. */
function unshuffle(bytes: Uint8Array, size: number): Uint8Array {
  const count = Math.floor(bytes.length / size);
  if (size < 2 || count === 0) return bytes;
  const out = bytes.slice();
  for (let byte = 0; byte < size; byte++)
    for (let i = 0, from = byte * count, to = byte; i < count; i++, from++, to += size) out[to] = bytes[from]!;
  return out;
}

/** LibLZF: literal runs, and copies of at least three bytes from at most 8 kB before. */
function decodeLzf(input: Uint8Array, expected: number, name: string): Uint8Array {
  checkPlausible(name, expected, input.length * LZF_RATIO, input.length);
  const out = new Uint8Array(expected);
  let written = 0;
  let at = 0;
  while (at < input.length && written < expected) {
    const control = input[at++]!;
    if (control < 32) {
      const run = input.subarray(at, at + Math.min(control + 1, expected - written));
      out.set(run, written);
      written += run.length;
      at += control + 1;
      continue;
    }
    const more = control >> 5 === 7 ? input[at++] : 0;
    const near = input[at++];
    if (more === undefined || near === undefined)
      throw new SamError('invalid_image', 'LZF data is damaged: it ends within a copy.');
    const length = (control >> 5) + more;
    let from = written - ((control & 31) << 8) - near - 1;
    if (from < 0) throw new SamError('invalid_image', 'LZF data is damaged: it copies from before its beginning.');
    for (const end = Math.min(expected, written + length + 2); written < end; ) out[written++] = out[from++]!;
  }
  return out.subarray(0, written);
}
