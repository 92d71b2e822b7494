import type { Store } from '../store.js';
import { checkKey } from './key.js';

/** The part of a store below `prefix` (with or without a trailing slash), as a store of its own. */
export function prefixStore(store: Store, prefix: string): Store {
  const folder = checkKey(prefix.replace(/\/$/, ''));
  const full = (key: string) => `${folder}/${checkKey(key)}`;
  const { getRange } = store;
  return {
    name: `${store.name}/${folder}`,
    get: async (key, options) => store.get(full(key), options),
    ...(getRange && {
      getRange: async (key: string, offset: number, length: number, options?: { signal?: AbortSignal }) =>
        getRange.call(store, full(key), offset, length, options),
    }),
    set: async (key, value) => store.set(full(key), value),
    create: async (key, value) => store.create(full(key), value),
    delete: async (key) => store.delete(full(key)),
    async *list(within = '') {
      for await (const key of store.list(`${folder}/${within}`)) yield key.slice(folder.length + 1);
    },
  };
}

/** All keys that start with `prefix`, sorted. */
export async function listKeys(store: Store, prefix = ''): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of store.list(prefix)) keys.push(key);
  return keys.sort();
}

/** Deletes every key that starts with `prefix`. */
export async function deleteAll(store: Store, prefix = ''): Promise<void> {
  for (const key of await listKeys(store, prefix)) await store.delete(key);
}
