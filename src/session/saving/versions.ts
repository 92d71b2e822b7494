import type { Store } from '../../io/store.js';
import { listKeys } from '../../io/stores/prefix.js';
import type { ImageInfo, SessionState } from '../state.js';
import { homeOf } from './home.js';
import { DAMAGED, numbersOf, restore, SNAPSHOTS } from './restore.js';
import { nothingSaved, type Restored, restorable } from './saved-fields.js';
import { rootsOf } from './saved-work.js';
import { applyStored, readSnapshotOfVersion1, readStored } from './stored.js';

/** A state of an image's work that can be opened again. */
export interface SavedVersion {
  /**
   * `earlier`: from a snapshot. `copy`: a branch, i.e. what a second window saved. `rescued`: what can be read of files
   * that were set aside as damaged.
   */
  readonly kind: 'earlier' | 'copy' | 'rescued';
  /** Milliseconds since the epoch; absent where nobody noted it. */
  readonly time?: number;
  /** For `loadSession`. */
  readonly state: Partial<SessionState>;
}

/** All of them, one after the other: copies first, then snapshots from the newest to the oldest. */
export async function* savedVersions(store: Store, image: ImageInfo): AsyncGenerator<SavedVersion> {
  const root = await homeOf(store, image);
  const keys = await listKeys(store, `${root}/`);
  for (const branch of rootsOf(keys, root)) {
    const { state, time } = await restore(store, branch, image);
    if (state) yield version('copy', state, time);
  }
  for (const number of numbersOf(keys, `${root}/${SNAPSHOTS}`).reverse()) {
    const { state, time } = await restore(store, root, image, number);
    if (state) yield version('earlier', state, time);
  }
  const rescued = await rescue(store, keys, image);
  if (rescued) yield version('rescued', rescued);
}

function version(kind: SavedVersion['kind'], state: Restored, time?: number): SavedVersion {
  return { kind, state: restorable(state), ...(time !== undefined && { time }) };
}

/** What the files set aside hold together: the last snapshot among them and the changes that come after it. */
async function rescue(store: Store, keys: readonly string[], image: ImageInfo): Promise<Restored | undefined> {
  const files = keys.flatMap((key) => {
    const found = SET_ASIDE.exec(key);
    return found ? [{ key, isSnapshot: found[1] !== 'journal', number: Number(found[2] ?? 0) }] : [];
  });
  let state: Restored | undefined;
  let from = 0;
  for (const { key, isSnapshot, number } of files.sort((a, b) => a.number - b.number)) {
    const bytes = await store.get(key).catch(() => undefined);
    if (!bytes?.length) continue;
    const old = isSnapshot ? await readSnapshotOfVersion1(bytes, image).catch(() => undefined) : undefined;
    if (old) [state, from] = [old.state, old.number];
    else if (isSnapshot || number > from) {
      const stored = await readStored(bytes).catch(() => undefined);
      if (stored) state = applyStored((!isSnapshot && state) || nothingSaved(), stored.change, image).state;
    }
  }
  return state;
}

/** `damaged/<time>-journal-<number>` and `damaged/<time>-snapshot` of version 1, without the time since. */
const SET_ASIDE = new RegExp(`/${DAMAGED}(?:\\d+-)?(journal|snapshots?)(?:-(\\d+))?$`);
