import { annotatorKind } from '../annotator.js';
import * as edits from '../edits/edits.js';
import type { TrackLayer } from '../edits/tracking.js';
import * as tracks from '../edits/tracking.js';
import type { SessionState } from '../state.js';
import { command, needsImage } from './command.js';

/**
 * Commands on tracks. Those that take `layer` work on the tracks being annotated (`current_object`, the default) or on
 * committed ones. Frames are plane numbers from 0.
 */

const needsTracking = (state: SessionState) =>
  needsImage(state) ??
  (annotatorKind(state) === 'tracking'
    ? undefined
    : 'Tracks belong to time series. Set "Annotate as" to tracking if this stack is one.');

export const TRACKING_COMMANDS = {
  set_track: command<{ id: number }>({
    id: 'set_track',
    title: 'Choose track',
    group: 'tracks',
    scope: 'session',
    needsArguments: true,
    tooltip: 'The track that prompts and "Track object" work on.',
    unavailable: needsTracking,
    run: (session, { id }) => void session.apply(tracks.setCurrentTrack(id)),
  }),
  new_track: command({
    id: 'new_track',
    title: 'New track',
    group: 'tracks',
    scope: 'session',
    tooltip: 'Begin another track; the tracks so far stay.',
    unavailable: needsTracking,
    run: (session) => void session.apply(tracks.newTrack()),
  }),
  toggle_track_state: command({
    id: 'toggle_track_state',
    title: 'Track / division',
    group: 'tracks',
    scope: 'session',
    keys: ['D'],
    tooltip: 'Toggle what the next prompts say: the object goes on, or it divides in this frame.',
    unavailable: needsTracking,
    run: (session) =>
      void session.apply(
        edits.changeSettings({ trackState: session.state.settings.trackState === 'track' ? 'division' : 'track' }),
      ),
  }),
  divide_track: command<{ id?: number; frame?: number } | undefined>({
    id: 'divide_track',
    title: 'Divide here',
    group: 'tracks',
    scope: 'session',
    tooltip: 'The current track ends before the visible frame; two daughters begin in it.',
    unavailable: needsTracking,
    run: (session, { id, frame } = {}) =>
      void session.apply(tracks.divideTrack(id ?? session.state.currentTrack, frame ?? session.state.plane)),
  }),
  link_tracks: command<{ mother: number; daughter: number; layer?: TrackLayer }>({
    id: 'link_tracks',
    title: 'Link tracks',
    group: 'tracks',
    scope: 'session',
    needsArguments: true,
    tooltip: 'Make a track the daughter of another one that ends before it begins.',
    unavailable: needsTracking,
    run: (session, { mother, daughter, layer }) => void session.apply(tracks.linkTracks(mother, daughter, layer)),
  }),
  unlink_track: command<{ daughter: number; layer?: TrackLayer }>({
    id: 'unlink_track',
    title: 'Unlink track',
    group: 'tracks',
    scope: 'session',
    needsArguments: true,
    tooltip: 'Take a track out of the lineage of its mother.',
    unavailable: needsTracking,
    run: (session, { daughter, layer }) => void session.apply(tracks.unlinkTrack(daughter, layer)),
  }),
  split_track: command<{ id: number; frame?: number; layer?: TrackLayer }>({
    id: 'split_track',
    title: 'Split track',
    group: 'tracks',
    scope: 'session',
    needsArguments: true,
    tooltip: 'Cut a track in two: from the visible frame on it gets a new id.',
    unavailable: needsTracking,
    run: (session, { id, frame, layer }) =>
      void session.apply(tracks.splitTrackAt(id, frame ?? session.state.plane, layer)),
  }),
  merge_tracks: command<{ ids: readonly [number, number]; layer?: TrackLayer }>({
    id: 'merge_tracks',
    title: 'Merge tracks',
    group: 'tracks',
    scope: 'session',
    needsArguments: true,
    tooltip: 'Join two tracks that share no frame; the earlier one keeps its id.',
    unavailable: needsTracking,
    run: (session, { ids, layer }) => void session.apply(tracks.mergeTwoTracks(ids[0], ids[1], layer)),
  }),
  swap_tracks: command<{ ids: readonly [number, number]; frame?: number; layer?: TrackLayer }>({
    id: 'swap_tracks',
    title: 'Swap tracks',
    group: 'tracks',
    scope: 'session',
    needsArguments: true,
    tooltip: 'From the visible frame on two tracks exchange their objects: mends mistaken identities.',
    unavailable: needsTracking,
    run: (session, { ids, frame, layer }) =>
      void session.apply(tracks.swapTwoTracks(ids[0], ids[1], frame ?? session.state.plane, layer)),
  }),
  delete_track: command<{ id: number; layer?: TrackLayer }>({
    id: 'delete_track',
    title: 'Delete track',
    group: 'tracks',
    scope: 'session',
    needsArguments: true,
    tooltip: 'Delete a track with its prompts; its daughters stay, without a mother.',
    unavailable: needsTracking,
    run: (session, { id, layer }) => void session.apply(tracks.removeTrack(id, layer)),
  }),
  go_to_track_start: command<{ id?: number; layer?: TrackLayer } | undefined>({
    id: 'go_to_track_start',
    title: 'First frame of the track',
    group: 'tracks',
    scope: 'session',
    tooltip: 'Show the frame where the track begins.',
    unavailable: needsTracking,
    run: (session, options) => void session.apply(tracks.goToTrack('start', options)),
  }),
  go_to_track_end: command<{ id?: number; layer?: TrackLayer } | undefined>({
    id: 'go_to_track_end',
    title: 'Last frame of the track',
    group: 'tracks',
    scope: 'session',
    tooltip: 'Show the last frame of the track: where it divides, is lost, or the series ends.',
    unavailable: needsTracking,
    run: (session, options) => void session.apply(tracks.goToTrack('end', options)),
  }),
};
