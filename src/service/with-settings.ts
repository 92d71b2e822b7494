import { asSamError } from '../errors.js';
import type { AnnotationSession } from '../session/session.js';
import type { SessionSettings } from '../session/state.js';

/**
 * Does something with these settings, which stay; if it is refused or fails, they are as they were. What was cancelled had
 * begun with them, and goes on with them.
 */
export async function withSettings(
  session: AnnotationSession,
  changed: Partial<SessionSettings>,
  action: () => Promise<void>,
): Promise<void> {
  const names = Object.keys(changed) as (keyof SessionSettings)[];
  if (names.length === 0) return action();
  const { settings } = session.state;
  await session.run('set_settings', changed);
  const made = session.state.settings;
  try {
    await action();
  } catch (error) {
    if (asSamError(error).code === 'cancelled') throw error;
    const untouched = names.filter((name) => session.state.settings[name] === made[name]);
    const before = Object.fromEntries(untouched.map((name) => [name, settings[name]])) as Partial<SessionSettings>;
    await session.run('set_settings', before).catch(() => undefined); // the error to tell is the first
    throw error;
  }
}
