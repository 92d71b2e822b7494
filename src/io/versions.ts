import { membersOf } from '../items.js';
import type { Store } from './store.js';

/**
 * Versions of small files of JSON. One that does not say its version is of the first; one of a version that is not known
 * here was written by a newer program, and is neither read nor written over.
 */
export function versionOf(json: unknown): number {
  const { version } = membersOf(json);
  return typeof version === 'number' ? version : 1;
}

/** Whether a store has a file under a key that is of a later version than `known`. What cannot be read is of none. */
export async function isNewer(store: Store, key: string, known: number): Promise<boolean> {
  try {
    const bytes = await store.get(key);
    return bytes !== undefined && versionOf(JSON.parse(new TextDecoder().decode(bytes))) > known;
  } catch {
    return false;
  }
}
