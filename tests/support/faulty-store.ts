import { SamError } from '../../src/errors.js';
import type { Store } from '../../src/io/store.js';

/** A store whose disk is full after `writes` values. */
export function filledAfter(store: Store, writes: number): Store {
  let left = writes;
  return {
    ...store,
    async set(key, value) {
      if (left-- <= 0) throw new SamError('storage', `Could not write "${key}": the disk is full.`);
      await store.set(key, value);
    },
  };
}
