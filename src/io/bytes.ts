import { SamError } from '../errors.js';
import { hasMembers, membersOf } from '../items.js';
import type { TaskOptions } from '../task.js';
import { LruCache } from './cache.js';

/**
 * Random access to the bytes of one file, wherever it lives: memory, a File or Blob; http-bytes.ts adds addresses,
 * node-file.ts files on disk. `read` gives exactly the bytes asked for or fails: a file that ends too
 * early is an error here, once, and not in every reader.
 */
export interface ByteSource {
  readonly name: string;
  readonly size: number;
  /** Progress is told where a read is long and slow. */
  read(offset: number, length: number, options?: TaskOptions): Promise<Uint8Array>;
  close?(): Promise<void>;
}

const SAMPLE_BLOCK = 4096;
const SAMPLE_BLOCKS = 64;

/** At most 64 blocks, first and last among them, by which a file of this many bytes is known again. */
export function* sampleOf(size: number): Generator<{ readonly offset: number; readonly length: number }> {
  const step = Math.max(SAMPLE_BLOCK, Math.floor((size - SAMPLE_BLOCK) / (SAMPLE_BLOCKS - 1)));
  for (let offset = 0; offset < size; offset += step) yield { offset, length: Math.min(SAMPLE_BLOCK, size - offset) };
}

export function isByteSource(value: unknown): value is ByteSource {
  return hasMembers(value) && typeof value.read === 'function' && typeof value.size === 'number';
}

export function memoryBytes(bytes: Uint8Array, name = 'image'): ByteSource {
  return {
    name,
    size: bytes.length,
    async read(offset, length, { signal } = {}) {
      signal?.throwIfAborted();
      checkRange(name, bytes.length, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** A File or Blob, read by slices: a dropped file of many GB is never loaded whole. */
export function blobBytes(blob: Blob, name = String(membersOf(blob).name ?? 'image')): ByteSource {
  return {
    name,
    size: blob.size,
    async read(offset, length, { signal } = {}) {
      signal?.throwIfAborted();
      checkRange(name, blob.size, offset, length);
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        throw new SamError('storage', `${name} can no longer be read; was it moved or changed? Open it again.`, {
          cause,
        });
      }
    },
  };
}

/** Servers that refuse ranges send the whole file; above this size it is refused instead of kept in memory. */
export const MAX_WHOLE_DOWNLOAD = 2 ** 31;

/**
 * Many small reads near each other (headers, directories) as few reads of whole blocks. For metadata: pixel data is read
 * from the source itself.
 */
export function inBlocks(source: ByteSource, blockSize = 65_536, blocks = 64): ByteSource {
  const cache = new LruCache<number, Uint8Array>(blockSize * blocks);
  const block = (index: number, signal?: AbortSignal) =>
    cache.load(index, async () => {
      const offset = index * blockSize;
      const bytes = await source.read(offset, Math.min(blockSize, source.size - offset), { signal });
      return { value: bytes, bytes: bytes.length };
    });
  return {
    name: source.name,
    size: source.size,
    async read(offset, length, { signal } = {}) {
      checkRange(source.name, source.size, offset, length);
      if (length > blockSize * 4) return source.read(offset, length, { signal });
      const first = Math.floor(offset / blockSize);
      if (offset + length <= (first + 1) * blockSize) {
        const bytes = await block(first, signal);
        return bytes.subarray(offset - first * blockSize, offset - first * blockSize + length);
      }
      const out = new Uint8Array(length);
      for (let index = first; index * blockSize < offset + length; index++) {
        const bytes = await block(index, signal);
        const start = Math.max(offset, index * blockSize);
        const end = Math.min(offset + length, index * blockSize + bytes.length);
        out.set(bytes.subarray(start - index * blockSize, end - index * blockSize), start - offset);
      }
      return out;
    },
  };
}

/** All of a file, for formats that can only be decoded whole. */
export function readAll(source: ByteSource, options: TaskOptions = {}): Promise<Uint8Array> {
  if (source.size > MAX_WHOLE_DOWNLOAD)
    throw new SamError(
      'unsupported',
      `${source.name} is ${source.size} bytes; this format has to be read whole and at most ${MAX_WHOLE_DOWNLOAD} can be. Save it as OME-Zarr or TIFF.`,
    );
  return source.read(0, source.size, options);
}

export function checkRange(name: string, size: number, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= size) return;
  throw new SamError(
    'invalid_image',
    `${name} is truncated or damaged: it points to bytes ${offset} to ${offset + length} but ends at ${size}. Get a complete copy of the file.`,
    { details: { offset, length, size } },
  );
}
