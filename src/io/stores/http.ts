import { SamError } from '../../errors.js';
import type { ReadOptions, Store } from '../store.js';
import { checkKey, rangeBounds, readOnly } from './key.js';

export interface HttpStoreOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Object stores answer 403 for a missing key if the reader may not list the bucket. A missing chunk is then silently
   * background, so for chunks this must be asked for; for zarr metadata, which readers probe for, it is always so.
   */
  readonly forbiddenIsMissing?: boolean;
}

/**
 * A folder on a web server, read-only, with range requests. A query string of the base URL (a signature, say) is kept
 * on every request. Cannot list: HTTP has no such thing.
 */
export function httpStore(base: string | URL, options: HttpStoreOptions = {}): Store {
  const root = new URL(base);
  const name = `${root.origin}${root.pathname}`;

  async function request(key: string, range: string | undefined, signal?: AbortSignal): Promise<Response | undefined> {
    const url = new URL(root);
    const path = checkKey(key).split('/').map(encodeURIComponent).join('/');
    url.pathname = `${root.pathname.replace(/\/$/, '')}/${path}`;
    const headers = { ...options.headers, ...(range && { Range: range }) };
    const response = await fetchPatiently(url, { headers, signal }, key);
    if (response.ok) {
      // Servers of single-page programs answer any unknown path with their start page.
      if (response.headers.get('content-type')?.startsWith('text/html') && !/\.html?$/.test(key)) return undefined;
      return response;
    }
    if (response.status === 404 || response.status === 410 || response.status === 416) return undefined;
    if (response.status === 403 && (options.forbiddenIsMissing || METADATA.test(key))) return undefined;
    throw new SamError('storage', `${name} answered ${response.status} ${response.statusText} for "${key}".`, {
      details: { key, status: response.status },
    });
  }

  async function get(key: string, { signal }: ReadOptions = {}): Promise<Uint8Array | undefined> {
    const response = await request(key, undefined, signal);
    return response && bytesOf(response, key);
  }

  async function getRange(
    key: string,
    offset: number,
    length: number,
    { signal }: ReadOptions = {},
  ): Promise<Uint8Array | undefined> {
    // A suffix range that stops before the end is not expressible: fetch to the end and cut.
    const range = offset < 0 ? `bytes=${offset}` : `bytes=${offset}-${offset + length - 1}`;
    const response = await request(key, range, signal);
    if (!response) return undefined;
    const bytes = await bytesOf(response, key);
    if (response.status !== 206) return bytes.subarray(...rangeBounds(bytes.length, offset, length));
    // Some servers take "the last N bytes" for the first; others send ranges of the unpacked file.
    const { start, total } = contentRange(response);
    const asked = offset < 0 ? -offset : length;
    const expected = total === undefined ? undefined : rangeBounds(total, offset, asked)[0];
    if ((start === undefined || start === expected) && bytes.length <= asked) return bytes.subarray(0, length);
    if (offset < 0 && expected !== undefined) return getRange(key, expected, length, { signal });
    const whole = await get(key, { signal });
    return whole?.subarray(...rangeBounds(whole.length, offset, length));
  }

  return {
    name,
    ...readOnly(name),
    get,
    getRange,
    // biome-ignore lint/correctness/useYield: listing is refused, in the shape the interface asks for
    async *list() {
      throw new SamError('unsupported', `${name} cannot be listed: web servers do not say which files they have.`);
    },
  };
}

const METADATA = /(^|\/)(zarr\.json|\.zarray|\.zgroup|\.zattrs|\.zmetadata)$/;
const TRANSIENT = new Set([429, 500, 502, 503, 504]);
const ATTEMPTS = 3;

async function fetchPatiently(url: URL, init: RequestInit, key: string): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await fetch(url, init);
      if (attempt === ATTEMPTS || !TRANSIENT.has(response.status)) return response;
      await response.body?.cancel();
    } catch (error) {
      if (init.signal?.aborted) throw error;
      if (attempt === ATTEMPTS)
        throw new SamError('storage', `Could not reach ${url.origin} for "${key}". Is the address right and online?`, {
          cause: error,
          details: { key },
        });
    }
    await new Promise((resolve) => setTimeout(resolve, 100 * 4 ** attempt));
    init.signal?.throwIfAborted();
  }
}

async function bytesOf(response: Response, key: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') throw error;
    throw new SamError('storage', `The connection broke while reading "${key}".`, { cause: error, details: { key } });
  }
}

/** What a server says it sent, where it says so and lets the page read it. */
function contentRange(response: Response): { readonly start?: number; readonly total?: number } {
  const [, start, total] = /bytes (\d+)-\d+\/(\d+)/.exec(response.headers.get('content-range') ?? '') ?? [];
  return start === undefined ? {} : { start: Number(start), total: Number(total) };
}
