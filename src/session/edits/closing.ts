import type { Edit } from '../actions.js';
import { EMPTY_LAYER } from '../layers.js';
import type { SessionState } from '../state.js';

/**
 * The end of work on the current object. "Commit" closes it, whatever comes of it: if it cannot be committed, because it
 * would hide a committed object or no mask came, it stays to be corrected, but the next positive prompt begins the next
 * object. A hand that is faster than the model cannot know yet, and must not add its next cell to the last one.
 */
export function refuse(): Edit {
  return {
    title: 'Commit',
    change: (state) =>
      positiveAgain({ ...state, refused: { prompts: state.prompts, layer: state.layers.current_object } }),
  };
}

/** Whether the current object was refused, and not changed since. */
export function isRefused({ refused, prompts, layers }: SessionState): boolean {
  return refused !== undefined && refused.prompts === prompts && refused.layer === layers.current_object;
}

/** The state that a commit leaves, before anything is known of its mask. */
export function closed(state: SessionState): SessionState {
  const { prompts, layers } = state;
  if (prompts.length === 0 && layers.current_object.objects.size === 0) return state;
  const closing = [...(state.closing ?? []), { prompts }];
  return positiveAgain({ ...withoutCurrent(state), closing });
}

/** Without current object and prompts. */
export function withoutCurrent(state: SessionState): SessionState {
  const { candidates: _, editing, ...rest } = state;
  const empty = state.layers.current_object.objects.size === 0;
  const begun = state.currentLineages.length > 0 || state.currentTrack !== 1;
  if (empty && !begun && state.prompts.length === 0 && editing === undefined) return state;
  return { ...rest, prompts: [], ...NO_TRACKS, layers: { ...state.layers, current_object: EMPTY_LAYER } };
}

const NO_TRACKS = { currentLineages: [], currentTrack: 1 } as const;

/** Negative points belong to an object: with it, they end. */
export function positiveAgain(state: SessionState): SessionState {
  return state.settings.positive ? state : { ...state, settings: { ...state.settings, positive: true } };
}
