import { asSamError } from '../errors.js';
import type { Edit } from '../session/actions.js';
import { changeSettings } from '../session/edits/edits.js';
import type { AnnotationSession } from '../session/session.js';
import type { SessionSettings } from '../session/state.js';

/**
 * Does something with these settings, which stay; if it is refused or fails, everything is as it was. What was cancelled had
 * begun with them, and goes on with them.
 *
 * @param also another change that comes before
 */
export async function withSettings(
  session: AnnotationSession,
  changed: Partial<SessionSettings>,
  action: () => Promise<void>,
  also?: Edit,
): Promise<void> {
  const edits = [...(also ? [also] : []), ...(Object.keys(changed).length > 0 ? [changeSettings(changed)] : [])];
  const last = edits.at(-1);
  if (last === undefined) return action();
  const takeBack = await session.tryInTurn({
    title: last.title,
    change: (state) => edits.reduce((made, edit) => edit.change(made), state),
  });
  try {
    await action();
  } catch (error) {
    if (asSamError(error).code !== 'cancelled') takeBack();
    throw error;
  }
}
