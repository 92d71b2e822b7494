import * as zarr from 'zarrita';
import { membersOf } from '../../items.js';
import type { Store } from '../store.js';
import { withLimits } from './codecs.js';
import { parseJson, stringifyJson } from './json.js';
import { zarritaStore } from './zarrita-store.js';

/** An array that any program may have written, as zarrita reads it. */
export function openArray(store: Store, path: string): Promise<zarr.Array<zarr.DataType, zarr.Readable>> {
  const plain = zarritaStore(store);
  const limited = {
    ...plain,
    get: async (...[key, options]: Parameters<typeof plain.get>) => {
      const bytes = await plain.get(key, options);
      const [, file] = /\/(zarr\.json|\.zarray)$/.exec(key) ?? [];
      return bytes && file ? limitedMetadata(bytes, file === 'zarr.json' ? 3 : 2) : bytes;
    },
  };
  return zarr.open(zarr.root(limited).resolve(path), { kind: 'array' });
}

/** What is no metadata stays as it is: zarrita says what is wrong with it. */
function limitedMetadata(bytes: Uint8Array, version: 2 | 3): Uint8Array {
  try {
    const metadata = membersOf(parseJson(new TextDecoder().decode(bytes)));
    return new TextEncoder().encode(stringifyJson(withLimits(metadata, version)));
  } catch {
    return bytes;
  }
}
