import { SamError } from '../../errors.js';
import type { AutomaticMode } from '../../segmentation/automatic-settings.js';
import type { PresetName } from '../../segmentation/presets.js';
import type { Edit } from '../actions.js';
import type { Annotator } from '../annotator.js';
import { changeObjects, layerOf, needImage } from '../layers.js';
import type { AutomaticSettings, AutomaticThresholds, SessionState } from '../state.js';
import { applyCommit, type CommitOptions, type CommitPlan, describePlan, planCommit } from './commit.js';
import { withDismissed } from './dismissed.js';

/** The steps that follow an automatic segmentation, as values that `SessionActions.apply` takes. */

/** What committing these automatic objects (default: all) would do. They get the next free ids, without gaps. */
export function planAccept(
  state: SessionState,
  ids: readonly number[] = [...state.layers.auto_segmentation.objects.keys()],
  options: CommitOptions = {},
): CommitPlan {
  const { objects } = state.layers.auto_segmentation;
  const picked = ids.map((id) => {
    const record = objects.get(id);
    if (!record) throw new SamError('not_found', `There is no automatic object ${id}.`, { details: { id } });
    return record;
  });
  const layers = { ...state.layers, auto_segmentation: layerOf(picked) };
  return planCommit({ ...state, layers }, { ...options, layer: 'auto_segmentation' });
}

/** Commits automatic objects, all of them by default. What the preserve mode refuses leaves the layer, too. */
export function acceptAutomatic(state: SessionState, ids?: readonly number[], options: CommitOptions = {}): Edit {
  const taken = ids ?? [...state.layers.auto_segmentation.objects.keys()];
  const plan = planAccept(state, taken, options);
  const text = describePlan(plan);
  if (plan.added.length === 0) throw new SamError('invalid_argument', text ?? 'Nothing was committed.');
  return {
    title: taken.length === 1 ? 'Accept object' : `Accept ${plan.added.length} objects`,
    ...(text && { notice: { level: plan.dropped.length > 0 ? ('warning' as const) : ('info' as const), text } }),
    change: (now) => leaving(applyCommit(now, plan), now, taken),
  };
}

export function rejectAutomatic(ids: readonly number[]): Edit {
  return {
    title: ids.length === 1 ? 'Reject object' : `Reject ${ids.length} objects`,
    change(state) {
      for (const id of ids)
        if (!state.layers.auto_segmentation.objects.has(id))
          throw new SamError('not_found', `There is no automatic object ${id}.`, { details: { id } });
      return leaving(state, state, ids);
    },
  };
}

/** The automatic layer of `now` without these objects, in the state `after`. */
function leaving(after: SessionState, now: SessionState, ids: readonly number[]): SessionState {
  const gone = new Map(ids.map((id) => [id, undefined]));
  const layers = { ...after.layers, auto_segmentation: changeObjects(now.layers.auto_segmentation, gone) };
  const { chosenAutomatic, ...rest } = after;
  const keeps = chosenAutomatic !== undefined && !gone.has(chosenAutomatic);
  // With the last object the tour is over: the next click is a prompt again.
  const over = layers.auto_segmentation.objects.size === 0 && rest.settings.tool === 'pan';
  const settings = over ? { ...rest.settings, tool: 'point' as const } : rest.settings;
  return withDismissed({ ...rest, settings, layers, ...(keeps && { chosenAutomatic }) }, ids);
}

/** Says which automatic object is spoken of; undefined: none. Not a step of undo. */
export function chooseAutomatic(id: number | undefined): Edit {
  return {
    title: 'Choose object',
    change(state) {
      if (id === state.chosenAutomatic) return state;
      const { chosenAutomatic: _, ...rest } = state;
      if (id === undefined) return rest;
      if (!state.layers.auto_segmentation.objects.has(id))
        throw new SamError('not_found', `There is no automatic object ${id}.`, { details: { id } });
      return { ...rest, chosenAutomatic: id };
    },
  };
}

export interface AutomaticChange {
  readonly thresholds?: AutomaticThresholds;
  /** null: the best that the model has. Used by the next run. */
  readonly mode?: AutomaticMode | null;
  /** Points along each side; null: as suits the image. Used by the next run. */
  readonly pointsPerSide?: number | null;
  /** The kind of image, whose settings take the place of all that was set before; null: none. */
  readonly preset?: PresetName | null;
  /** null: as the preset says. Used by the next run. */
  readonly mirror?: boolean | null;
  readonly refine?: boolean | null;
}

/** Other thresholds, and at once the objects that pass them in the visible plane. */
export function changeAutomatic(annotator: Annotator | undefined, change: AutomaticChange): Edit {
  return {
    title: 'Change thresholds',
    change(state) {
      needImage(state);
      const automatic = changedSettings(state.settings.automatic, change);
      if (automatic === state.settings.automatic) return state;
      const next = { ...state, settings: { ...state.settings, automatic } };
      const isSeenAtOnce = change.thresholds !== undefined || change.preset !== undefined;
      const result = isSeenAtOnce ? annotator?.automaticNow?.(next) : undefined;
      if (!result) return next;
      const auto_segmentation = layerOf(result.objects);
      const { chosenAutomatic, ...rest } = next;
      const keeps = chosenAutomatic !== undefined && auto_segmentation.objects.has(chosenAutomatic);
      return { ...rest, ...(keeps && { chosenAutomatic }), layers: { ...state.layers, auto_segmentation } };
    },
  };
}

/** Those between 0 and 1. */
const UNIT_THRESHOLDS = [
  'centerDistanceThreshold',
  'boundaryDistanceThreshold',
  'foregroundThreshold',
  'predIouThresh',
  'stabilityScoreThresh',
  'boxNmsThresh',
  'maxOverlap',
] as const;

/** @throws SamError `invalid_argument` for what is out of its range */
export function changedSettings(before: AutomaticSettings, change: AutomaticChange): AutomaticSettings {
  const { thresholds = {}, mode, pointsPerSide, preset, mirror, refine } = change;
  for (const name of UNIT_THRESHOLDS) {
    const value = thresholds[name];
    if (value !== undefined && !(value >= 0 && value <= 1))
      throw new SamError('invalid_argument', `The threshold ${name} is ${value}; it must be between 0 and 1.`);
  }
  for (const name of ['minObjectSize', 'maxObjectSize', 'distanceSmoothing', 'foregroundSmoothing'] as const) {
    const value = thresholds[name];
    if (value !== undefined && !(value >= 0))
      throw new SamError('invalid_argument', `${name} is ${value}; it is a number of pixels.`);
  }
  if (
    typeof pointsPerSide === 'number' &&
    !(Number.isInteger(pointsPerSide) && pointsPerSide >= 1 && pointsPerSide <= 128)
  )
    throw new SamError('invalid_argument', `There must be 1 to 128 points per side, not ${pointsPerSide}.`);
  // Another kind of image is a new beginning.
  const base: AutomaticSettings = preset === undefined ? before : { thresholds: {} };
  const chosen = <T>(given: T | null | undefined, known: T | undefined) =>
    given === undefined ? known : (given ?? undefined);
  const after: AutomaticSettings = {
    preset: chosen(preset, base.preset),
    mode: chosen(mode, base.mode),
    pointsPerSide: chosen(pointsPerSide, base.pointsPerSide),
    mirror: chosen(mirror, base.mirror),
    refine: chosen(refine, base.refine),
    thresholds: { ...base.thresholds, ...thresholds },
  };
  return JSON.stringify(after) === JSON.stringify(before) ? before : after;
}
