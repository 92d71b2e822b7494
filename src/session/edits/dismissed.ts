import type { SessionState } from '../state.js';

/**
 * Automatic objects that the user has dealt with: accepted, rejected, or taken for editing. Their ids stay known, so that
 * moving a threshold does not bring them back.
 */
export function withDismissed(state: SessionState, ids: Iterable<number>): SessionState {
  const dismissed = new Set(state.dismissed);
  const before = dismissed.size;
  for (const id of ids) dismissed.add(id);
  return dismissed.size === before ? state : { ...state, dismissed: [...dismissed] };
}
