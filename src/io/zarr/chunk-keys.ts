import { SamError } from '../../errors.js';
import type { ReadOptions, Store } from '../store.js';

/**
 * Under which keys the chunks of an array lie. A chunk that is not there stands for empty pixels, so chunks under keys of
 * another form than the metadata say would be read as black: old OME-Zarr in nested folders (0/0/0) often does not say so.
 * Where nothing is said, both forms are tried; where something else is said, that is an error.
 */
export interface ChunkKeys {
  /** What is found, under the key that zarrita asks for or, where metadata leave it open, the other form of it. */
  get(key: string, options?: ReadOptions): Promise<Uint8Array | undefined>;
  /** The key to read parts of a chunk from. */
  readonly check: (options?: ReadOptions) => Promise<void>;
}

const LISTED = 2000;
const CHUNK_KEY = /^(?:c(?:$|[./]))?(?:\d+(?:[./]\d+)*)?$/;

/**
 * @param prefix of the keys of the array in the store, with its slash
 * @param like a key of the form that the metadata say, without prefix
 * @param isStated false where the metadata say nothing of the separator
 */
export function chunkKeys(store: Store, prefix: string, like: string, isStated: boolean, where: string): ChunkKeys {
  const stated = formOf(like);
  /** Which form the chunks have that were found so far. */
  let found: 'stated' | 'nested' | undefined;
  let checked: Promise<void> | undefined;
  const nested = (key: string) => prefix + key.slice(prefix.length).replaceAll('.', '/');

  async function check(options?: ReadOptions): Promise<void> {
    if (found !== undefined) return;
    checked ??= compare(options).catch((error) => {
      if (options?.signal?.aborted) checked = undefined;
      throw error;
    });
    await checked;
  }

  /** Fails if there are chunks, but under keys of other forms only. */
  async function compare(options?: ReadOptions): Promise<void> {
    const others: string[] = [];
    for (const key of await someKeys(store, prefix, like, options)) {
      const form = formOf(key);
      if (form === stated || (!isStated && form === stated.replaceAll('.', '/'))) return;
      if (CHUNK_KEY.test(key)) others.push(key);
    }
    if (others.length === 0) return;
    throw new SamError(
      'invalid_image',
      `${where} has its chunks under keys like "${others[0]}", but its metadata say "${like}"; it would be read as empty. Correct the dimension_separator (zarr v2) or chunk_key_encoding (v3) in its metadata.`,
      { details: { got: others[0], expected: like } },
    );
  }

  return {
    check,
    async get(key, options) {
      const first = found === 'nested' ? nested(key) : key;
      const bytes = await store.get(first, options);
      if (bytes !== undefined) {
        found ??= 'stated';
        return bytes;
      }
      // Another read may have found out meanwhile.
      if (!isStated && first === key && found !== 'stated' && nested(key) !== key) {
        const other = await store.get(nested(key), options);
        if (other !== undefined) {
          found = 'nested';
          return other;
        }
      }
      await check(options);
      return undefined;
    },
  };
}

/** The form of a key: `0.0.0`, `0/0/0`, `c/0/0/0`. */
function formOf(key: string): string {
  return key.replace(/\d+/g, '0');
}

/** Keys of the array: those of a store that can be listed, else those of the first chunk in all usual forms. */
async function someKeys(store: Store, prefix: string, like: string, options?: ReadOptions): Promise<string[]> {
  const keys: string[] = [];
  try {
    for await (const key of store.list(prefix)) {
      options?.signal?.throwIfAborted();
      keys.push(key.slice(prefix.length));
      if (keys.length >= LISTED) break;
    }
    return keys;
  } catch (error) {
    if (!(error instanceof SamError) || error.code !== 'unsupported') throw error;
  }
  const numbers = like.match(/\d+/g) ?? [];
  const forms = ['.', '/'].flatMap((separator) => [numbers.join(separator), ['c', ...numbers].join(separator)]);
  const there = await Promise.all(
    [...new Set(forms)].map(async (key) => ((await store.get(prefix + key, options)) === undefined ? [] : [key])),
  );
  return there.flat();
}
