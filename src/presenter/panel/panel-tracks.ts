import { annotatorKind } from '../../session/annotator.js';
import { trackIds } from '../../session/edits/tracking.js';
import type { SessionState } from '../../session/state.js';
import { colorOf } from '../colors.js';
import { type LineageTree, lineageTree, type TrackBar } from './lineage-tree.js';

/** What the panel shows of tracks: which one is worked on, and who descends from whom. */
export interface PanelTracks {
  /** Ids that can be worked on. */
  readonly ids: readonly { readonly id: number; readonly title: string; readonly color: string }[];
  readonly current: number;
  /** State of the next prompts. */
  readonly state: 'track' | 'division';
  readonly plane: number;
  readonly tree: LineageTree;
  /** What became of the current track, in words. */
  readonly ending?: string;
}

export function panelTracks(state: SessionState): PanelTracks | undefined {
  const tree = lineageTree(state);
  if (annotatorKind(state) !== 'tracking' || !tree) return undefined;
  const bars = new Map(tree.tracks.filter(({ layer }) => layer === 'current_object').map((bar) => [bar.id, bar]));
  const current = bars.get(state.currentTrack);
  const ending = current && endingOf(current);
  return {
    ids: trackIds(state).map((id) => ({ id, title: titleOf(id, bars.get(id)), color: colorOf(id) })),
    current: state.currentTrack,
    state: state.settings.trackState,
    plane: state.plane,
    tree,
    ...(ending && { ending }),
  };
}

function titleOf(id: number, bar: TrackBar | undefined): string {
  if (!bar || bar.empty) return `Track ${id}, not marked yet`;
  const of = bar.mother === undefined ? '' : `, daughter of ${bar.mother}`;
  return `Track ${id}, frames ${bar.begin + 1}–${bar.end + 1}${of}`;
}

function endingOf({ id, how }: TrackBar): string | undefined {
  if (how?.reason === 'lost')
    return `Track ${id} was lost in frame ${how.frame + 1}. Mark it there to go on, or leave it as its end.`;
  if (how?.reason === 'division')
    return `Track ${id} divides in frame ${how.frame + 1}. Choose a daughter, mark it there and press Shift+S.`;
  if (how?.reason === 'end') return `Track ${id} was followed to frame ${how.frame + 1}.`;
  return undefined;
}
