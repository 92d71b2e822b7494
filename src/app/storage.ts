import { SamError } from '../errors.js';
import { indexedDbStore } from '../io/stores/indexeddb.js';
import { memoryStore } from '../io/stores/memory.js';
import { opfsStore } from '../io/stores/opfs.js';
import { serverStore } from '../io/stores/server.js';
import { leasesFrom } from './lease.js';
import type { PageSettings } from './page-settings.js';
import type { SavingParts } from './saved-image.js';

export interface PageStorage extends SavingParts {
  /** Where saved work is, as the end of "All work is saved …". */
  readonly place: string;
  /** Why work may not last. */
  readonly note?: string;
}

/** The most lasting place for saved work and embeddings that this page may use. */
export async function openStorage(settings: PageSettings): Promise<PageStorage> {
  const own = { ...(await openOwn()), lease: leasesFrom(settings) };
  const { autosave } = settings;
  if (!autosave) return own;
  return {
    store: serverStore(autosave),
    lease: own.lease,
    place: 'on this computer',
    ...(own.note !== KEEPS_NOTHING && { meanwhile: own.store }),
  };
}

/** What the browser gives to pages of this origin. */
async function openOwn(): Promise<Omit<PageStorage, 'lease'>> {
  let refusal: unknown;
  try {
    return { store: await opfsStore('micro-sam'), place: IN_BROWSER };
  } catch (error) {
    refusal = error;
  }
  try {
    const store = indexedDbStore('micro-sam');
    await store.get('sessions'); // only its use tells whether it is allowed
    return { store, place: IN_BROWSER, ...(isRefusal(refusal) && { note: FORGETS }) };
  } catch {
    return { store: memoryStore(), place: IN_BROWSER, note: KEEPS_NOTHING };
  }
}

/** A browser that has files for pages and does not give them to this one; older browsers have none. */
function isRefusal(error: unknown): boolean {
  return error instanceof SamError && typeof error.details.reason === 'string' && error.details.reason !== 'TypeError';
}

/** Not every browser tells a page that its window is a private one. */
const IN_BROWSER = 'in this browser; a private window forgets it when it is closed';
const FORGETS =
  'This window keeps no files, as private windows do not: saved work is probably gone when it is closed. Save your objects to a file (Ctrl+S).';
const KEEPS_NOTHING =
  'This browser lets the page keep nothing: your work is lost when the window closes. Save your objects to a file (Ctrl+S).';
