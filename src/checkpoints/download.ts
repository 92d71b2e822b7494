import { sha1 } from '@noble/hashes/legacy.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { SamError } from '../errors.js';
import { type ByteSource, checkRange } from '../io/bytes.js';
import { LruCache } from '../io/cache.js';
import { contentRange, type HttpAnswer, nameOfUrl, withoutLogin } from '../io/http.js';
import { getBytes } from '../io/http-bytes.js';
import type { Store } from '../io/store.js';
import { deleteAll, listKeys } from '../io/stores/prefix.js';
import type { TaskOptions } from '../task.js';
import { SHORTEST_HASHED, Xxh128 } from './xxh128.js';

/** A file that was fetched whole, and lies in a store until it is discarded. */
export interface Download extends ByteSource {
  discard(): Promise<void>;
}

export interface DownloadOptions extends TaskOptions {
  /** 32 hexadecimal digits; what has another hash is refused and not kept. */
  readonly xxh128?: string;
  /** What is asked for at once, and written: so much is in memory, and so much is lost with a connection. Default: 16 MB. */
  readonly partBytes?: number;
}

const PART = 16 << 20;
/** What was begun and never asked for again is removed after this time, in milliseconds. */
const ABANDONED_MS = 7 * 24 * 3_600_000;

/** How often a file may become another while it is fetched. */
const MOST_CHANGES = 2;

/** `downloads/<address>/about`: the file whose parts `downloads/<address>/0`, `/1`, … are. */
interface About {
  readonly size: number;
  readonly partBytes: number;
  /** ETag or date, as the server gives it. */
  readonly version: string;
  readonly begun: number;
}

/**
 * Fetches a file into a store, part by part. What a broken connection, a closed page or *Cancel* left is gone on from when
 * it is asked for again, if it is still the same file at its server. Where the server answers no ranges, the file comes
 * in one piece, and anew each time.
 *
 * @throws SamError `not_found` if it cannot be fetched, `model_unavailable` if its hash is another
 */
export async function download(store: Store, url: string, options: DownloadOptions = {}): Promise<Download> {
  const key = bytesToHex(sha1(new TextEncoder().encode(url))).slice(0, 16);
  const folder = `${DOWNLOADS}${key}/`;
  await removeAbandoned(store, folder);
  const file = { store, folder, name: nameOfUrl(url), part: options.partBytes ?? PART };
  const source = storedParts(file, await fetchParts(file, url, options));
  const discard = () => deleteAll(store, folder);
  const problem = options.xxh128 && (await hashProblem(source, options.xxh128, options));
  if (!problem) return { ...source, discard };
  await discard();
  throw new SamError('model_unavailable', `${withoutLogin(url).address} is damaged or another file: ${problem}`, {
    details: { url: withoutLogin(url).address },
  });
}

const DOWNLOADS = 'downloads/';

const REQUEST = {
  use: 'import',
  afterFailure: 'What has arrived is kept; the next attempt resumes from there.',
} as const;

/** Where the parts of a file lie. */
interface Parts {
  readonly store: Store;
  readonly folder: string;
  readonly name: string;
  /** Bytes of each but the last. */
  readonly part: number;
}

/** @returns the size of the file, all of which is in the store then */
async function fetchParts(parts: Parts, url: string, options: TaskOptions): Promise<number> {
  const { store, folder, name, part: partBytes } = parts;
  const { signal, onProgress } = options;
  let about = await aboutOf(store, folder);
  if (about?.partBytes !== partBytes) {
    await deleteAll(store, folder);
    about = undefined;
  }
  let changes = 0;
  for (let part = about ? await countParts(store, folder) : 0; !about || part * partBytes < about.size; part++) {
    signal?.throwIfAborted();
    const at = part * partBytes;
    const tell = ({ done }: { done: number }) =>
      onProgress?.({ done: at + done, total: Math.max(about?.size ?? 0, at + done), message: `Loading ${name}` });
    const length = about ? Math.min(partBytes, about.size - at) : partBytes;
    const range = { offset: at, length };
    const answer = await getBytes(url, { ...REQUEST, range, signal, ...(onProgress && { onProgress: tell }) });
    const now = rangeOf(answer, at, partBytes);
    if (!now) return keepWhole(parts, await wholeOf(url, answer, options));
    if (about && (now.size !== about.size || now.version !== about.version)) {
      if (++changes > MOST_CHANGES)
        throw new SamError('not_found', `${withoutLogin(url).address} changes while it is fetched; try again later.`);
      await deleteAll(store, folder); // another file lies there now
      about = undefined;
      part = -1;
      continue;
    }
    if (!about) {
      about = { ...now, partBytes, begun: Date.now() };
      await store.set(`${folder}about`, new TextEncoder().encode(JSON.stringify(about)));
    }
    await store.set(`${folder}${part}`, answer.bytes);
  }
  return about.size;
}

/** What the answer is a part of; undefined if it is no such part of a file whose size is known. */
function rangeOf(answer: HttpAnswer, at: number, most: number): Pick<About, 'size' | 'version'> | undefined {
  const { start, total } = contentRange(answer);
  const { headers, status, bytes } = answer;
  // Where a server unpacks on the way, ranges are of something else than what arrives.
  if (status !== 206 || total === undefined || start !== at || headers.get('content-encoding')) return undefined;
  if (bytes.length !== Math.min(most, total - at)) return undefined;
  return { size: total, version: headers.get('etag') ?? headers.get('last-modified') ?? '' };
}

async function wholeOf(url: string, answer: HttpAnswer, options: TaskOptions): Promise<Uint8Array> {
  return (answer.status === 200 ? answer : await getBytes(url, { ...options, ...REQUEST })).bytes;
}

async function keepWhole({ store, folder, part }: Parts, bytes: Uint8Array): Promise<number> {
  await deleteAll(store, folder);
  // Without a word about it, it is fetched anew should this come to nothing.
  for (let i = 0; i * part < bytes.length; i++) await store.set(`${folder}${i}`, bytes.slice(i * part, (i + 1) * part));
  return bytes.length;
}

/** How many of the first parts are there. */
async function countParts(store: Store, folder: string): Promise<number> {
  const keys = new Set(await listKeys(store, folder));
  let count = 0;
  while (keys.has(`${folder}${count}`)) count++;
  return count;
}

async function aboutOf(store: Store, folder: string): Promise<About | undefined> {
  const bytes = await store.get(`${folder}about`);
  if (!bytes) return undefined;
  try {
    const { size, partBytes, version, begun } = JSON.parse(new TextDecoder().decode(bytes));
    const isWhole = Number.isSafeInteger(size) && typeof version === 'string';
    return isWhole ? { size, partBytes, version, begun } : undefined;
  } catch {
    return undefined; // nobody else writes here; fetched anew
  }
}

function storedParts({ store, folder, name, part }: Parts, size: number): ByteSource {
  const cache = new LruCache<number, Uint8Array>(4 * (part + 1024));
  const stored = (index: number) =>
    cache.load(index, async () => {
      const value = await store.get(`${folder}${index}`);
      const expected = Math.min(part, size - index * part);
      if (value?.length === expected) return { value, bytes: expected };
      throw new SamError('storage', `What was fetched of ${name} is gone or damaged; fetch it again.`);
    });
  return {
    name,
    size,
    async read(offset, length, { signal } = {}) {
      checkRange(name, size, offset, length);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        signal?.throwIfAborted();
        const at = (offset + done) % part;
        const some = (await stored(Math.floor((offset + done) / part))).subarray(at, at + length - done);
        bytes.set(some, done);
        done += some.length;
      }
      return bytes;
    },
  };
}

async function hashProblem(
  source: ByteSource,
  expected: string,
  { signal, onProgress }: TaskOptions,
): Promise<string | undefined> {
  if (source.size < SHORTEST_HASHED) return `it has only ${source.size} bytes. It is not kept.`;
  const hash = new Xxh128();
  for (let at = 0; at < source.size; at += PART) {
    const bytes = await source.read(at, Math.min(PART, source.size - at), { signal });
    hash.update(bytes);
    onProgress?.({ done: at + bytes.length, total: source.size, message: `Checking ${source.name}` });
  }
  const got = hash.digest();
  return got === expected
    ? undefined
    : `its xxh128 is ${got}, expected ${expected}. It is not kept; try again, and tell whoever publishes it if that does not help.`;
}

async function removeAbandoned(store: Store, but: string): Promise<void> {
  const folders = new Set((await listKeys(store, DOWNLOADS)).map((key) => key.replace(/[^/]*$/, '')));
  for (const folder of folders) {
    if (folder === but) continue;
    const about = await aboutOf(store, folder);
    if (about && Date.now() - about.begun > ABANDONED_MS) await deleteAll(store, folder);
  }
}
