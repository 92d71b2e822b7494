import { SamError } from '../errors.js';
import { LruCache } from './cache.js';

/**
 * Random access to the bytes of one file, wherever it lives: memory, a File or Blob, an HTTP address that answers range
 * requests; node-file.ts adds files on disk. `read` gives exactly the bytes asked for or fails: a file that ends too
 * early is an error here, once, and not in every reader.
 */
export interface ByteSource {
  readonly name: string;
  readonly size: number;
  read(offset: number, length: number, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
  close?(): Promise<void>;
}

export function isByteSource(value: unknown): value is ByteSource {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as ByteSource).read === 'function' &&
    typeof (value as ByteSource).size === 'number'
  );
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
export function blobBytes(blob: Blob, name = (blob as Partial<File>).name ?? 'image'): ByteSource {
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
const PROBE_LENGTH = 65_536;

/** A file behind an address. Asks for ranges; where the server sends the whole file instead, that copy is kept. */
export async function httpBytes(url: string, options: { readonly signal?: AbortSignal } = {}): Promise<ByteSource> {
  const name = nameOfUrl(url);
  const first = await fetchBytes(url, options.signal, [0, PROBE_LENGTH]);
  const size = totalSize(first);
  if (first.status === 416) return memoryBytes(new Uint8Array(0), name);
  // Where a server unpacks on the way (.gz as a content encoding), ranges are of something else than what arrives.
  const ranged = first.status === 206 && size !== undefined && !first.headers.get('content-encoding');
  const head = ranged ? await body(first, url) : undefined;
  if (head === undefined || size === undefined || head.length !== Math.min(PROBE_LENGTH, size)) {
    if (first.status === 206) await first.body?.cancel().catch(() => undefined);
    const whole = first.status === 206 ? await fetchBytes(url, options.signal) : first;
    const length = Number(whole.headers.get('content-length') ?? 0);
    if (length > MAX_WHOLE_DOWNLOAD)
      throw new SamError(
        'unsupported',
        `${url} is ${length} bytes and its server does not answer range requests; download it and open the file.`,
      );
    return memoryBytes(await body(whole, url), name);
  }
  return {
    name,
    size,
    async read(offset, length, { signal } = {}) {
      signal?.throwIfAborted();
      checkRange(name, size, offset, length);
      if (length === 0) return new Uint8Array(0);
      if (offset + length <= head.length) return head.subarray(offset, offset + length);
      const response = await fetchBytes(url, signal, [offset, length]);
      const bytes = await body(response, url);
      if (response.status === 206 && bytes.length === length) return bytes;
      if (response.status === 200 && bytes.length === size) return bytes.subarray(offset, offset + length);
      throw new SamError(
        'invalid_image',
        `${url} sent ${bytes.length} bytes where ${length} were asked for; it may have changed. Open it again.`,
      );
    },
  };
}

/** The whole, or a range of it. */
async function fetchBytes(
  url: string,
  signal?: AbortSignal,
  range?: readonly [offset: number, length: number],
): Promise<Response> {
  const headers = range && { range: `bytes=${range[0]}-${range[0] + range[1] - 1}` };
  let response: Response;
  try {
    response = await fetch(url, { headers, signal });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new SamError('not_found', `${url} cannot be reached; check the address and that the server allows CORS.`, {
      cause,
    });
  }
  if (response.ok || response.status === 416) return response;
  throw new SamError('not_found', `${url} answered ${response.status} ${response.statusText}.`, {
    details: { status: response.status },
  });
}

async function body(response: Response, url: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    if (cause instanceof DOMException) throw cause;
    throw new SamError('not_found', `The connection to ${url} broke off; try again.`, { cause });
  }
}

function totalSize(response: Response): number | undefined {
  const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  return total === undefined ? undefined : Number(total);
}

export function nameOfUrl(url: string): string {
  const path = url.split(/[?#]/)[0].replace(/\/+$/, '');
  return decodeURIComponentOrKeep(path.slice(path.lastIndexOf('/') + 1)) || url;
}

function decodeURIComponentOrKeep(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

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
export function readAll(source: ByteSource, options: { readonly signal?: AbortSignal } = {}): Promise<Uint8Array> {
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
