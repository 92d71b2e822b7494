import type { PageSettings } from '../../src/cli/serve/page-settings.js';
import type { Store } from '../../src/io/store.js';
import { indexedDbStore } from '../../src/io/stores/indexeddb.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { opfsStore } from '../../src/io/stores/opfs.js';
import { serverStore } from '../../src/io/stores/server.js';

/** The most lasting place for saved work and embeddings that this page may use. */
export async function openStorage({ autosave }: PageSettings): Promise<{ store: Store; note?: string }> {
  if (autosave) return { store: serverStore(autosave) };
  try {
    return { store: await opfsStore('micro-sam') };
  } catch {
    // Older browsers, and windows that forbid files.
  }
  try {
    const store = indexedDbStore('micro-sam');
    await store.get('sessions'); // only its use tells whether it is allowed
    return { store };
  } catch {
    return {
      store: memoryStore(),
      note: 'This browser lets the page keep nothing: your work is lost when the window closes. Save objects to a file.',
    };
  }
}
