import { SamError } from '../../errors.js';
import type { YXYX } from '../../ndimage/array.js';
import type { Edit, SessionActions } from '../actions.js';
import type { Annotator, AutomaticOptions } from '../annotator.js';
import { changeAutomatic } from '../edits/automatic-edits.js';
import { changeSettings } from '../edits/edits.js';
import type { AutomaticProposal, ProposedRun, SessionState } from '../state.js';

/** An automatic segmentation from the wish to the result: estimated, asked about if it is long, run, kept if it is stopped. */

export interface AutomaticRun {
  readonly allPlanes?: boolean;
  /** Only points inside this box; [y0, x0, y1, x1] in pixels. */
  readonly region?: YXYX;
  /** Also keep what scores lower than before. */
  readonly deeper?: boolean;
  /** Runs however long it takes; else what takes more than a minute is proposed first (`SessionState.proposal`). */
  readonly confirmed?: boolean;
}

/** In the plane that was visible when it was asked for. */
type PlannedRun = Omit<AutomaticRun, 'confirmed'> & { readonly plane: number };

/** Work of more seconds is not begun without a word. */
const LONG = 60;

export async function runAutomatic(session: SessionActions, options: AutomaticRun = {}): Promise<void> {
  const begun = session.state;
  const { confirmed = false, ...wanted } = options;
  const run: PlannedRun = { ...wanted, plane: begun.plane };
  const proposal = confirmed ? undefined : await proposalOf(session, run);
  if (proposal) return void session.apply(propose(proposal));
  session.apply(propose(undefined));
  try {
    await session.segment('Automatic segmentation', (annotator, state, task) => work(annotator, state, task, run), {
      slot: 'automatic',
      since: begun,
      soFar: async (annotator, state) => annotator.automaticSoFar?.(forRun(state, run)),
    });
  } finally {
    const { layers, prompts, settings, plane, waiting } = session.state;
    const untouched =
      prompts.length === 0 &&
      layers.current_object.objects.size === 0 &&
      layers.committed_objects === begun.layers.committed_objects &&
      plane === begun.plane &&
      waiting === undefined;
    // What comes next is a click on an object, not on a pixel; unless the hand works on meanwhile.
    if (untouched && layers.auto_segmentation.objects.size > 0 && settings.tool !== 'pan')
      session.apply({ ...changeSettings({ tool: 'pan' }), notice: session.state.message });
  }
}

/** Runs what was proposed: the whole, or the smaller piece of work of that index. */
export async function runProposed(session: SessionActions, smaller?: number): Promise<void> {
  const { proposal } = session.state;
  const run = smaller === undefined ? proposal?.run : proposal?.smaller[smaller];
  if (!run) throw new SamError('not_found', 'There is no such proposal. Press A to start an automatic segmentation.');
  const { mode, pointsPerSide, region, allPlanes, deeper } = run;
  if (mode !== undefined || pointsPerSide !== undefined)
    session.apply(changeAutomatic(session.annotator, { mode, pointsPerSide }));
  return runAutomatic(session, { allPlanes, region, deeper, confirmed: true });
}

/** Sets or takes away the question; not a step of undo. */
export function propose(proposal: AutomaticProposal | undefined): Edit {
  return {
    title: 'Propose',
    change(state) {
      if (state.proposal === proposal) return state;
      const { proposal: _, ...rest } = state;
      return proposal ? { ...rest, proposal } : rest;
    },
  };
}

function work(
  annotator: Annotator,
  state: SessionState,
  task: Parameters<NonNullable<Annotator['automatic']>>[1],
  run: PlannedRun,
) {
  if (!annotator.automatic)
    throw new SamError('unsupported', `The ${annotator.kind} annotator has no automatic segmentation.`);
  return annotator.automatic(forRun(state, run), task, optionsOf(run));
}

function optionsOf({ region, deeper }: Omit<AutomaticRun, 'confirmed'>): AutomaticOptions {
  return { ...(region && { region }), ...(deeper && { deeper }) };
}

function forRun(
  state: SessionState,
  { allPlanes = state.settings.applyToVolume, plane = state.plane }: AutomaticRun & { readonly plane?: number },
): SessionState {
  return { ...state, plane, settings: { ...state.settings, applyToVolume: allPlanes } };
}

/** The question to ask, if the run takes long; asking for the same again is the answer. */
async function proposalOf(
  session: SessionActions,
  run: Omit<AutomaticRun, 'confirmed'>,
): Promise<AutomaticProposal | undefined> {
  const { annotator, state, view } = session;
  if (!annotator?.automaticEstimate) return undefined;
  const { allPlanes = state.settings.applyToVolume, region, deeper } = run;
  const estimate = async (piece: Omit<ProposedRun, 'title' | 'seconds'>) => {
    const { automatic } = state.settings;
    const { mode = automatic.mode, pointsPerSide = automatic.pointsPerSide } = piece;
    const settings = { ...state.settings, automatic: { ...automatic, mode, pointsPerSide } };
    return annotator.automaticEstimate?.(forRun({ ...state, settings }, piece), optionsOf(piece));
  };
  const wanted = { allPlanes, region, deeper };
  const whole = await estimate(wanted);
  if (!whole || whole.seconds <= LONG || sameRun(state.proposal, state.plane, wanted)) return undefined;
  const pieces = smallerPieces(session, wanted, view);
  const smaller = await Promise.all(
    pieces.map(async (piece) => ({ ...piece, seconds: (await estimate(piece))?.seconds ?? 0 })),
  );
  return {
    plane: state.plane,
    run: { ...wanted, title: workText(whole), seconds: whole.seconds },
    smaller: smaller.filter(({ seconds }) => seconds < 0.8 * whole.seconds).sort((a, b) => b.seconds - a.seconds),
  };
}

function sameRun(proposal: AutomaticProposal | undefined, plane: number, run: Omit<ProposedRun, 'title' | 'seconds'>) {
  if (!proposal || (proposal.plane !== plane && !run.allPlanes)) return false;
  const { allPlanes, region, deeper = false } = proposal.run;
  return allPlanes === run.allPlanes && String(region) === String(run.region) && deeper === (run.deeper ?? false);
}

function smallerPieces(
  { annotator, state }: SessionActions,
  wanted: Omit<ProposedRun, 'title' | 'seconds'>,
  view: YXYX | undefined,
): Omit<ProposedRun, 'seconds'>[] {
  const status = annotator?.automaticStatus?.(state);
  const [height, width] = state.image?.size ?? [0, 0];
  const pieces: Omit<ProposedRun, 'seconds'>[] = [];
  if (wanted.allPlanes) pieces.push({ ...wanted, allPlanes: false, title: 'Only the visible plane' });
  const part = view && clip(view, [height, width]);
  if (!wanted.region && part && (part[2] - part[0]) * (part[3] - part[1]) < 0.6 * height * width)
    pieces.push({ ...wanted, allPlanes: false, region: part, title: 'Only what is on screen' });
  else if (!wanted.region && !wanted.allPlanes) {
    const middle: YXYX = clip([height * 0.375, width * 0.375, height * 0.625, width * 0.625], [height, width]);
    pieces.push({ ...wanted, region: middle, title: 'Only a box in the middle' });
  }
  if (status?.mode === 'amg' && !wanted.deeper) {
    if (status.modes.includes('ais')) pieces.push({ ...wanted, mode: 'ais', title: 'All objects at once (ais)' });
    pieces.push({ ...wanted, pointsPerSide: 16, title: 'Fewer points (16 x 16)' });
  }
  return pieces;
}

function clip([y0, x0, y1, x1]: YXYX, [height, width]: readonly [number, number]): YXYX {
  return [
    Math.max(0, Math.floor(y0)),
    Math.max(0, Math.floor(x0)),
    Math.min(height, Math.ceil(y1)),
    Math.min(width, Math.ceil(x1)),
  ];
}

function workText({ planes, tiles, points }: { planes: number; tiles: number; points: number }): string {
  const parts = [
    planes > 1 ? `${planes} planes` : '',
    tiles > planes ? `${tiles.toLocaleString('en')} tiles` : '',
    points > 0 ? `${points.toLocaleString('en')} points` : '',
  ].filter(Boolean);
  return parts.join(', ') || 'One image';
}
