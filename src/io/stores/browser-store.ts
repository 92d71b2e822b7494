import type { Store } from '../store.js';
import { indexedDbStore } from './indexeddb.js';
import { opfsStore } from './opfs.js';

/** What the browser keeps for pages and workers of this origin under a name: files, or IndexedDB where it has none. */
export function browserStore(name: string): Promise<Store> {
  return opfsStore(name).catch(() => indexedDbStore(name));
}
