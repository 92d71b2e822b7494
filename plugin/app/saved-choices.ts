import type { SavedImage } from '../../src/app/saved-image.js';
import { loadSession } from '../../src/session/edits/edits.js';
import { isUntouched } from '../../src/session/layers.js';
import type { AnnotationSession } from '../../src/session/session.js';
import type { PanelStatus } from '../panel/panel.js';
import { furtherViews } from '../panel/parts.js';

/** What the user is asked about saved work. */
type Attempt = (action: () => Promise<void>) => void;

/** How a window that may not save goes on. */
export function waysOn(saved: SavedImage | undefined, attempt: Attempt): PanelStatus['actions'] {
  if (!saved?.isReadOnly) return [];
  return [
    { title: 'Take over', run: () => attempt(() => saved.takeOver()) },
    { title: 'Work on a copy', run: () => attempt(() => saved.workOnCopy()) },
  ];
}

/** Shows the earlier versions of the open image; the chosen one takes the place of what is shown, as a step of undo. */
export async function openVersions(
  session: AnnotationSession,
  saved: SavedImage | undefined,
  attempt: Attempt,
): Promise<void> {
  const { versionsSheet } = await furtherViews();
  const { image } = session.state;
  if (!image || !saved) return;
  versionsSheet(saved.versions(), image, ({ state }) => attempt(() => session.applyInTurn(loadSession(state)))).open();
}

/**
 * A window that is closed or loaded again with work that is not in its place asks first: also where the browser keeps the
 * work meanwhile, since a server that is away does not give the page again.
 *
 * @param forgets whether what is saved goes with the window
 * @param signal ends it
 */
export function askBeforeClosing(
  session: AnnotationSession,
  saved: () => SavedImage | undefined,
  forgets: () => boolean,
  signal: AbortSignal,
): void {
  const ask = (event: BeforeUnloadEvent) => {
    const { autosave, image } = session.state;
    const isWaiting = autosave === 'pending' || autosave === 'failed' || saved()?.isWaiting === true;
    if (isWaiting || (image && forgets() && !isUntouched(session.state))) event.preventDefault();
  };
  window.addEventListener('beforeunload', ask, { signal });
}
