import type { Store } from '../../src/io/store.js';
import type { Annotator } from '../../src/session/annotator.js';
import { Autosave } from '../../src/session/saving/autosave.js';
import { openSavedWork } from '../../src/session/saving/saved-work.js';
import type { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo } from '../../src/session/state.js';

/** Opens an image in the session with what the store has of it, and saves there what follows. */
export async function openSaved(
  session: AnnotationSession,
  store: Store,
  image: ImageInfo,
  annotator?: Annotator,
  meanwhile?: Store,
): Promise<Autosave> {
  const { journal, restored, notice } = await openSavedWork({ store, meanwhile }, image);
  session.open(image, annotator, restored);
  if (notice) session.notify({ level: 'warning', text: notice });
  return new Autosave(session, journal, meanwhile);
}
