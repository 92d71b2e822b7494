import { createStore, del, get, promisifyRequest, set } from 'idb-keyval';
import type { Store } from '../store.js';
import { browserStorageError } from './browser-error.js';
import { checkKey } from './key.js';

/** A store in IndexedDB, one database per name: for browsers without a writable OPFS. A transaction makes `set` atomic. */
export function indexedDbStore(database: string): Store {
  let opened: ReturnType<typeof createStore> | undefined;
  const entries = () => {
    opened ??= createStore(database, 'bytes');
    return opened;
  };

  async function attempt<T>(verb: string, key: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw browserStorageError(error, verb, key);
    }
  }

  return {
    name: `indexeddb:${database}`,
    get: (key) => attempt('read', key, () => get<Uint8Array>(checkKey(key), entries())),
    // The copy keeps a view's whole buffer out of the database.
    set: (key, value) => attempt('write', key, () => set(checkKey(key), value.slice(), entries())),
    create: (key, value) =>
      attempt('write', key, () =>
        entries()('readwrite', (s) => {
          const added = promisifyRequest(s.add(value.slice(), checkKey(key)));
          return Promise.all([added, promisifyRequest(s.transaction)]); // what is only added may yet be lost
        }).then(
          () => true,
          (error: DOMException) => {
            if (error.name === 'ConstraintError') return false;
            throw error;
          },
        ),
      ),
    delete: (key) => attempt('delete', key, () => del(checkKey(key), entries())),
    async *list(prefix = '') {
      const range = prefix === '' ? undefined : IDBKeyRange.bound(prefix, `${prefix}\uffff`);
      yield* await attempt('list', prefix, () =>
        entries()('readonly', (s) => promisifyRequest(s.getAllKeys(range)) as Promise<string[]>),
      );
    },
  };
}
