import type { YX } from '../ndimage/array.js';
import { annotatorKind } from '../session/annotator.js';
import { type TrackTail, trackTails } from '../session/edits/tracking.js';
import { shownLayer } from '../session/layers.js';
import type { Lineage, SessionState } from '../session/state.js';
import { colorOf } from './colors.js';
import type { ViewTrack } from './viewer.js';

/** The way each cell has come in the last frames, from its mother on; nothing where nothing is tracked. */
export function visibleTails(state: SessionState, shuffle = 0): ViewTrack[] {
  if (annotatorKind(state) !== 'tracking') return [];
  const { plane } = state;
  return [
    ...tailsOf(trackTails(shownLayer(state, 'current_object')), state.currentLineages, plane, shuffle, 'current'),
    ...tailsOf(trackTails(state.layers.committed_objects), state.lineages, plane, shuffle, 'committed').filter(
      ({ id }) => id !== `committed-${state.editing}`,
    ),
  ];
}

/** Frames; longer tails hide more than they say. */
const LENGTH = 12;

function tailsOf(
  tracks: readonly TrackTail[],
  lineages: readonly Lineage[],
  plane: number,
  shuffle: number,
  prefix: string,
): ViewTrack[] {
  const byId = new Map(tracks.map((track) => [track.id, track]));
  const mothers = new Map<number, number>();
  for (const family of lineages)
    for (const [mother, daughters] of Object.entries(family))
      for (const daughter of daughters) mothers.set(daughter, Number(mother));
  return tracks.flatMap(({ id, points }) => {
    const last = points[points.length - 1]?.frame ?? -1;
    if (last < plane || (points[0]?.frame ?? plane + 1) > plane) return [];
    const path: YX[] = [];
    const mother = byId.get(mothers.get(id) ?? Number.NaN);
    for (const { frame, at } of [...(mother?.points ?? []), ...points])
      if (frame <= plane && frame >= plane - LENGTH) path.push(at);
    return path.length < 2 ? [] : [{ id: `${prefix}-${id}`, color: colorOf(id, shuffle), path }];
  });
}
