import type { Store } from '../store.js';
import { checkKey, rangeBounds } from './key.js';

/** A store in memory. Values are copied in and out, so that nobody can change what is stored. */
export function memoryStore(name = 'memory', entries: Iterable<readonly [string, Uint8Array]> = []): Store {
  const values = new Map<string, Uint8Array>();
  for (const [key, value] of entries) values.set(checkKey(key), value.slice());
  return {
    name,
    async get(key) {
      return values.get(checkKey(key))?.slice();
    },
    async getRange(key, offset, length) {
      const value = values.get(checkKey(key));
      return value?.slice(...rangeBounds(value.length, offset, length));
    },
    async set(key, value) {
      values.set(checkKey(key), value.slice());
    },
    async create(key, value) {
      if (values.has(checkKey(key))) return false;
      values.set(key, value.slice());
      return true;
    },
    async delete(key) {
      values.delete(checkKey(key));
    },
    async *list(prefix = '') {
      for (const key of [...values.keys()]) if (key.startsWith(prefix)) yield key;
    },
  };
}
