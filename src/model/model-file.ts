import { SamError } from '../errors.js';
import { httpGet } from '../io/http.js';
import type { Store } from '../io/store.js';
import { unshared } from '../ndimage/array.js';
import { withExternalData } from '../onnx/external-data.js';
import type { TaskOptions } from '../task.js';
import type { ModelFile } from './model-spec.js';

/**
 * The bytes of a model file: from the cache if it holds what was declared, else downloaded, checked and cached. A file
 * that is not what it claims to be is refused before ONNX Runtime sees it, in words that say what it is instead.
 */
export interface ModelFileOptions extends TaskOptions {
  /** Where downloads are kept; nothing is kept if absent. */
  readonly store?: Store;
  readonly fetchBytes?: FetchBytes;
}

/** Reads a whole file; progress counts bytes. */
export type FetchBytes = (url: string, options: FetchOptions) => Promise<Uint8Array>;

export interface FetchOptions extends TaskOptions {
  /** Refuse a file that, once links are followed, does not lie beside this one. */
  readonly beside?: string;
}

export async function loadModelFile(file: ModelFile, options: ModelFileOptions = {}): Promise<Uint8Array> {
  const { fetchBytes = fetchUrl, signal, onProgress } = options;
  const bytes = await mainFile(file, options);
  return withExternalData(bytes, (location) =>
    fetchBytes(addressBeside(file.url, location), { signal, onProgress, beside: file.url }),
  );
}

async function mainFile(file: ModelFile, options: ModelFileOptions): Promise<Uint8Array> {
  const { fetchBytes = fetchUrl, signal, onProgress } = options;
  const store = isOfThisMachine(file.url) ? undefined : options.store;
  const key = await cacheKey(file);
  const cached = store && (await store.get(key).catch(() => undefined));
  signal?.throwIfAborted();
  if (cached && (await problemOf(cached, file)) === undefined) return cached;
  const bytes = await fetchBytes(file.url, { signal, onProgress });
  signal?.throwIfAborted();
  const problem = await problemOf(bytes, file);
  if (problem !== undefined)
    throw new SamError('model_unavailable', `${file.url} ${problem}`, { details: { url: file.url } });
  // A full or forbidden cache costs the next download, not this session.
  await store?.set(key, bytes).catch(() => undefined);
  return bytes;
}

/**
 * The address of a file that a model names for its weights: one beside it or below, nothing else.
 *
 * @throws SamError `model_unavailable`
 */
function addressBeside(model: string, location: string): string {
  const names = location.split('/');
  const plain = !/[\\:\0?#%]/.test(location) && names.every((name) => name !== '' && name !== '..' && name !== '.');
  if (!plain || /^(data|blob|minisam|built-in):/.test(model))
    throw new SamError(
      'model_unavailable',
      'The model keeps its weights in another file that is not beside it, which is refused. Save it with its weights inside.',
    );
  return model.replace(/[?#].*$/, '').replace(/[^/\\]*$/, '') + location;
}

/** Files that are read again as easily as from a cache, and of which the address may come to mean another. */
function isOfThisMachine(url: string): boolean {
  return /^(blob|data|kept):|^https?:\/\/(127\.[\d.]+|localhost|\[::1\])[:/]/.test(url);
}

async function cacheKey(file: ModelFile): Promise<string> {
  const name = file.sha256 ?? (await sha256(new TextEncoder().encode(`${file.url} ${file.bytes ?? ''}`)));
  return `models/${name ?? encodeURIComponent(file.url)}.onnx`;
}

/** Why the bytes cannot be the declared file; undefined if nothing speaks against it. */
async function problemOf(bytes: Uint8Array, file: ModelFile): Promise<string | undefined> {
  if (bytes.length === 0) return 'is empty.';
  const start = new TextDecoder().decode(bytes.subarray(0, 256)).trimStart().toLowerCase();
  if (start.startsWith('<'))
    return 'is a web page or XML, not an ONNX model: the address may need a login or point to a page about the file.';
  if (start.startsWith('version https://git-lfs')) return 'is a Git LFS pointer, not the model itself.';
  if (start.startsWith('pk'))
    return 'is a zip archive (or a PyTorch checkpoint), not an ONNX model: give the addresses of its ONNX export.';
  if (file.bytes !== undefined && bytes.length !== file.bytes) {
    const kind = bytes.length < file.bytes ? 'was cut short' : 'is another file';
    return `${kind}: ${bytes.length} bytes, expected ${file.bytes}. Load it again or correct the declaration.`;
  }
  if (file.sha256 !== undefined) {
    const digest = await sha256(bytes);
    if (digest !== undefined && digest !== file.sha256.toLowerCase())
      return `is damaged or another file: its sha256 is ${digest}, expected ${file.sha256}.`;
  }
  // An ONNX file is a protobuf whose first field is the format version (tag 0x08).
  if (bytes[0] !== 0x08 && bytes[0] !== 0x0a && bytes[0] !== 0x12 && bytes[0] !== 0x3a) return 'is not an ONNX model.';
  return undefined;
}

/** Hex digest; undefined on pages that are neither https nor localhost, which have no `crypto.subtle`. */
async function sha256(bytes: Uint8Array): Promise<string | undefined> {
  if (!globalThis.crypto?.subtle) return undefined;
  const digest = await crypto.subtle.digest('SHA-256', unshared(bytes));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** http(s), blob and data URLs, in any host. */
export async function fetchUrl(url: string, { signal, onProgress }: TaskOptions = {}): Promise<Uint8Array> {
  const unreachable = (why: string, cause?: unknown) =>
    new SamError('model_unavailable', `${url} could not be loaded: ${why}`, { cause, details: { url } });
  const failure = (text: string, cause?: unknown) => unreachable(`it ${text}.`, cause);
  const { ok, status, statusText, bytes } = await httpGet(url, { signal, onProgress, failure });
  if (!ok) throw unreachable(`the server answered ${status} ${statusText}.`.replace(' .', '.'));
  return bytes;
}
