import { SamError } from '../errors.js';
import type { Prompt, TrackRef } from '../segmentation/prompts.js';
import { annotatorKind } from '../session/annotator.js';
import { needImage } from '../session/layers.js';
import type { SessionState } from '../session/state.js';

/** Where prompts that come over RPC belong. */
export interface Place {
  readonly plane?: number;
  readonly track_id?: number;
  readonly state?: 'track' | 'division';
}

/** A prompt before it has a place and a name. */
export type Shape = Unplaced<Prompt>;
type Unplaced<P> = P extends Prompt ? Omit<P, 'id' | 'plane' | 'track'> : never;

/**
 * The track that prompts are for, if that is said; else they are the current one's.
 *
 * @throws SamError `invalid_argument` where there are no tracks
 */
export function trackOf({ track_id: id, state: trackState }: Place, state: SessionState): TrackRef | undefined {
  if (id === undefined && trackState === undefined) return undefined;
  needImage(state);
  if (annotatorKind(state) !== 'tracking')
    throw new SamError(
      'invalid_argument',
      'Only a time series has tracks: leave track_id and state out, or set_settings(annotator="tracking").',
    );
  return { id: id ?? state.currentTrack, state: trackState ?? state.settings.trackState };
}
