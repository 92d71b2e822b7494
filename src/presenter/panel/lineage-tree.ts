import { annotatorKind } from '../../session/annotator.js';
import { describeTracks, type TrackInfo, type TrackLayer } from '../../session/edits/tracking.js';
import type { SessionState, TrackEnd } from '../../session/state.js';

/**
 * The lineage tree as a drawing without a page: time runs to the right, one row per leaf, and a mother lies in the
 * middle of her daughters. Tracks in work come first, then the committed ones.
 */
export interface LineageTree {
  readonly frames: number;
  /** Height of the drawing, in rows. */
  readonly rows: number;
  readonly tracks: readonly TrackBar[];
}

export interface TrackBar {
  readonly id: number;
  readonly layer: TrackLayer;
  /** Frames, both inclusive. A daughter that is not annotated yet begins after her mother and has no length. */
  readonly begin: number;
  readonly end: number;
  readonly empty: boolean;
  /** Centre of the bar, in rows; halves where a mother lies between two daughters. */
  readonly row: number;
  readonly mother?: number;
  readonly how?: TrackEnd;
  /** Frames in between without a mask. */
  readonly gaps: readonly number[];
}

export function lineageTree(state: SessionState): LineageTree | undefined {
  if (annotatorKind(state) !== 'tracking' || !state.image) return undefined;
  const current = barsOf(state, 'current_object', 0);
  const committed = barsOf(state, 'committed_objects', current.rows);
  return { frames: state.image.planes, rows: committed.rows, tracks: [...current.bars, ...committed.bars] };
}

function barsOf(state: SessionState, layer: TrackLayer, firstRow: number): { bars: TrackBar[]; rows: number } {
  // A committed track that is being corrected is drawn once, as it is now.
  const shown = describeTracks(state, layer).filter(({ id }) => layer === 'current_object' || id !== state.editing);
  const tracks = new Map(shown.map((track) => [track.id, track]));
  const bars: TrackBar[] = [];
  let rows = firstRow;
  const place = (track: TrackInfo, after: number): number => {
    const [begin, end] = track.range ?? [after, after];
    const below = track.daughters.flatMap((id) => {
      const daughter = tracks.get(id);
      return daughter ? [place(daughter, end + 1)] : [];
    });
    const row = below.length > 0 ? (Math.min(...below) + Math.max(...below)) / 2 : rows++ + 0.5;
    const mother = track.mother !== undefined && tracks.has(track.mother) ? track.mother : undefined;
    bars.push({
      id: track.id,
      layer,
      begin,
      end,
      empty: track.range === undefined,
      row,
      gaps: track.gaps,
      ...(mother !== undefined && { mother }),
      ...(track.end && { how: track.end }),
    });
    return row;
  };
  for (const track of tracks.values())
    if (track.mother === undefined || !tracks.has(track.mother)) {
      // The current track is always listed; before anything was marked there is nothing to draw of it.
      const unmarked = track.range === undefined && track.daughters.length === 0;
      if (!(unmarked && layer === 'current_object')) place(track, 0);
    }
  return { bars, rows };
}
