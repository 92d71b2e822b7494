import { SamError } from '../../errors.js';
import { contentRange, type HttpAnswer, type HttpOptions, httpGet } from '../http.js';
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
export function httpStore(base: string | URL, { headers, forbiddenIsMissing }: HttpStoreOptions = {}): Store {
  const root = new URL(base);
  const name = `${root.origin}${root.pathname}`;

  /** Undefined for a key that is not there. */
  async function request(key: string, options: Pick<HttpOptions, 'range' | 'signal'>): Promise<HttpAnswer | undefined> {
    const url = new URL(root);
    const path = checkKey(key).split('/').map(encodeURIComponent).join('/');
    url.pathname = `${root.pathname.replace(/\/$/, '')}/${path}`;
    const failure = (text: string, cause?: unknown) =>
      new SamError('storage', `"${key}" of ${name} ${text}.`, { cause, details: { key } });
    const answer = await httpGet(url, { headers, ...options, failure });
    if (answer.ok) {
      // Servers of single-page programs answer any unknown path with their start page.
      if (answer.headers.get('content-type')?.startsWith('text/html') && !/\.html?$/.test(key)) return undefined;
      return answer;
    }
    if (answer.status === 404 || answer.status === 410 || answer.status === 416) return undefined;
    if (answer.status === 403 && (forbiddenIsMissing || METADATA.test(key))) return undefined;
    throw new SamError('storage', `${name} answered ${answer.status} ${answer.statusText} for "${key}".`, {
      details: { key, status: answer.status },
    });
  }

  async function get(key: string, { signal }: ReadOptions = {}): Promise<Uint8Array | undefined> {
    return (await request(key, { signal }))?.bytes;
  }

  async function getRange(
    key: string,
    offset: number,
    length: number,
    { signal }: ReadOptions = {},
  ): Promise<Uint8Array | undefined> {
    // A suffix range that stops before the end is not expressible: fetch to the end and cut.
    const range = offset < 0 ? { offset } : { offset, length };
    const answer = await request(key, { range, signal });
    if (!answer) return undefined;
    const { bytes } = answer;
    if (answer.status !== 206) return bytes.subarray(...rangeBounds(bytes.length, offset, length));
    // Some servers take "the last N bytes" for the first; others send ranges of the unpacked file.
    const { start, total } = contentRange(answer);
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
