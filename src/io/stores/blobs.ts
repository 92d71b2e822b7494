import type { Store } from '../store.js';
import { checkKey, rangeBounds, readOnly } from './key.js';

/** Files of a dropped or chosen folder as a read-only store: path below the folder → file. Ranges read only themselves. */
export function blobStore(files: ReadonlyMap<string, Blob>, name = 'dropped folder'): Store {
  const bytesOf = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer());
  return {
    name,
    ...readOnly(name),
    async get(key) {
      const file = files.get(checkKey(key));
      return file && bytesOf(file);
    },
    async getRange(key, offset, length) {
      const file = files.get(checkKey(key));
      return file && bytesOf(file.slice(...rangeBounds(file.size, offset, length)));
    },
    async *list(prefix = '') {
      for (const key of files.keys()) if (key.startsWith(prefix)) yield key;
    },
  };
}
