import { SamError } from '../../errors.js';
import { keysOf } from '../../items.js';
import type { Prompt } from '../../segmentation/prompts.js';
import { NOTHING_HERE } from '../../segmentation/segment-prompts.js';
import type { Edit } from '../actions.js';
import { annotatorKind, type LayerContent, trackOfPrompt } from '../annotator.js';
import { changeObjects, layerOf, needImage, withMasks } from '../layers.js';
import type { CorrectedFrom, ObjectLayerName, ObjectRecord, SessionSettings, SessionState } from '../state.js';
import { isRefused, positiveAgain, withoutCurrent } from './closing.js';
import { applyCommit, type CommitOptions, describePlan, planCommit } from './commit.js';
import { withDismissed } from './dismissed.js';
import { keepFacts } from './facts.js';
import { checkPrompt, checkPromptCount, samePrompt } from './prompt-rules.js';
import type { ObjectSet } from './selection.js';
import { checkStackSettings } from './stack-settings.js';
import { removeTrack } from './tracking.js';

/** The steps of annotating, as values that `AnnotationSession.apply` takes. Painting has its own file. */

/** Adds prompts, or replaces those with the same id. Prompts that are there already change nothing (viewers echo). */
export function putPrompts(prompts: readonly Prompt[]): Edit {
  const [first, ...more] = prompts;
  const title = first && more.length === 0 ? `Add ${nameOf(first)}` : `Add ${prompts.length} prompts`;
  return {
    title,
    change(state) {
      const image = needImage(state);
      const begins = isRefused(state) && prompts.some(isPositive) && !prompts.some(({ id }) => has(state, id));
      const base = begins ? withoutCurrent(state) : state;
      const byId = new Map(base.prompts.map((prompt) => [prompt.id, prompt]));
      let changed = false;
      for (const given of prompts) {
        const known = byId.get(given.id);
        const prompt = checkPrompt(tagged(given, known, base), image);
        if (known && samePrompt(known, prompt)) continue;
        byId.set(prompt.id, prompt);
        changed = true;
      }
      if (!changed) return state;
      const all = [...byId.values()];
      if (all.length > base.prompts.length) checkPromptCount(all, state.settings.batched);
      return { ...base, prompts: all };
    },
  };
}

/** @throws SamError `not_found` if it is not there any more: it may have been removed while it was being moved */
export function changePrompt(prompt: Prompt): Edit {
  return {
    title: `Move ${nameOf(prompt)}`,
    change(state) {
      if (!has(state, prompt.id)) throw new SamError('not_found', `There is no prompt ${prompt.id} to move.`);
      return putPrompts([prompt]).change(state);
    },
  };
}

/**
 * Removes prompts; with the last one goes the object they described. In stacks, with the last one of a plane goes the
 * mask of that plane, and with the last one of a track the track.
 */
export function removePrompts(ids: readonly string[]): Edit {
  return {
    title: ids.length === 1 ? 'Remove prompt' : `Remove ${ids.length} prompts`,
    change(state) {
      const gone = new Set(ids);
      const prompts = state.prompts.filter((prompt) => !gone.has(prompt.id));
      if (prompts.length === state.prompts.length) return state;
      const [current] = state.layers.current_object.objects.values();
      if (annotatorKind(state) !== '2d' || current?.corrected)
        return withoutUnprompted({ ...state, prompts }, gone, state.prompts);
      return prompts.length === 0 && state.editing === undefined ? withoutCurrent(state) : { ...state, prompts };
    },
  };
}

function isPositive(prompt: Prompt): boolean {
  return prompt.kind !== 'point' || prompt.positive;
}

function has({ prompts }: SessionState, id: string): boolean {
  return prompts.some((prompt) => prompt.id === id);
}

/** Prompts of a time series belong to a track; a new one to the current track, in the chosen state. */
function tagged(prompt: Prompt, known: Prompt | undefined, state: SessionState): Prompt {
  if (prompt.track || annotatorKind(state) !== 'tracking') return prompt;
  return { ...prompt, track: known?.track ?? { id: state.currentTrack, state: state.settings.trackState } };
}

function withoutUnprompted(state: SessionState, gone: ReadonlySet<string>, before: readonly Prompt[]): SessionState {
  const changes = new Map<number, ObjectRecord | undefined>();
  for (const prompt of before) {
    if (!gone.has(prompt.id)) continue;
    const id = trackOfPrompt(prompt);
    const record = changes.has(id) ? changes.get(id) : state.layers.current_object.objects.get(id);
    if (!record) continue;
    const left = state.prompts.filter((other) => trackOfPrompt(other) === id);
    if (left.some(({ plane }) => plane === prompt.plane) || record.projected?.has(prompt.plane)) continue;
    const before = record.corrected?.get(prompt.plane);
    const keep = left.length > 0 || before || state.editing !== undefined;
    const masks = new Map([...record.masks].filter(([plane]) => plane !== prompt.plane));
    changes.set(
      id,
      keep ? (before ? withCorrected(record, prompt.plane, before) : withMasks(record, masks)) : undefined,
    );
  }
  const current_object = changeObjects(state.layers.current_object, changes);
  if (current_object.objects.size === 0 && state.prompts.length === 0) return withoutCurrent(state);
  const { candidates: _, ...rest } = state;
  return { ...rest, layers: { ...state.layers, current_object } };
}

/** The record with the mask that the prompts of the plane corrected. */
function withCorrected(record: ObjectRecord, plane: number, { mask, projected }: CorrectedFrom): ObjectRecord {
  const corrected = new Map(record.corrected);
  corrected.delete(plane);
  return {
    ...record,
    masks: new Map(record.masks).set(plane, mask),
    prompts: record.prompts.filter((prompt) => prompt.plane !== plane),
    corrected,
    ...(projected && { projected: new Set(record.projected).add(plane) }),
  };
}

/** Puts the result of a segmentation into its layer, replacing what was there. */
export function landContent(title: string, result: LayerContent): Edit {
  const objects = result.objects.flatMap((record) => withMasks(record, record.masks) ?? []);
  const text = result.notice ?? (objects.length === 0 ? NOTHING_HERE : '');
  return {
    title,
    ...(text && { notice: { level: 'info' as const, text } }),
    change(state) {
      const { candidates: _, ...rest } = state;
      const before = state.layers[result.layer].objects;
      const described = objects.map((record) => keepFacts(record, before.get(record.id)));
      const layers = { ...state.layers, [result.layer]: layerOf(described) };
      return {
        ...(result.layer === 'current_object' ? rest : state),
        ...(result.candidates && { candidates: result.candidates }),
        ...(result.dismissed && { dismissed: result.dismissed }),
        ...(result.currentLineages && { currentLineages: result.currentLineages }),
        ...(result.currentTrack !== undefined && { currentTrack: result.currentTrack }),
        layers,
      };
    },
  };
}

export function commit(state: SessionState, options: CommitOptions = {}, plan = planCommit(state, options)): Edit {
  const text = describePlan(plan);
  if (plan.added.length === 0) throw new SamError('invalid_argument', text ?? 'Nothing was committed.');
  return {
    title: plan.added.length === 1 ? 'Commit' : `Commit ${plan.added.length} objects`,
    ...(text && { notice: { level: plan.dropped.length > 0 ? ('warning' as const) : ('info' as const), text } }),
    change: (now) => positiveAgain(applyCommit(now, plan)),
  };
}

/** Prompts and current object of the visible plane, or of all; committed objects are never touched. */
export function clearAnnotations(allPlanes = true): Edit {
  return {
    title: 'Clear annotations',
    change(before) {
      const state = positiveAgain(before);
      if (allPlanes) return withoutCurrent(state);
      const records = [...state.layers.current_object.objects.values()].flatMap((record) => {
        if (!record.masks.has(state.plane)) return record;
        return withMasks(record, new Map([...record.masks].filter(([plane]) => plane !== state.plane))) ?? [];
      });
      const prompts = state.prompts.filter((prompt) => prompt.plane !== state.plane);
      if (records.length === 0 && prompts.length === 0) return withoutCurrent(state);
      const { candidates: _, ...rest } = state;
      return { ...rest, prompts, layers: { ...state.layers, current_object: layerOf(records) } };
    },
  };
}

/**
 * Makes a committed or automatic object the current one again, with the prompts it was made from; an object without
 * prompts brings its mask as a prompt, so that further clicks refine it.
 */
export function pickObject(layer: 'committed_objects' | 'auto_segmentation', id: number): Edit {
  return {
    title: `Edit object ${id}`,
    change(state) {
      const record = needObject(state, layer, id);
      if (layer === 'committed_objects' && state.editing === id) return state;
      if (hasUncommittedWork(state))
        throw new SamError(
          'invalid_argument',
          'The current object is not committed yet. Commit it (C) or clear it (Shift+C) before you pick another one.',
        );
      const [first] = record.masks;
      const visible = record.masks.get(state.plane);
      const shown = visible ? ([state.plane, visible] as const) : first;
      if (shown === undefined) throw new SamError('not_found', `Object ${id} has no mask in any plane.`);
      const [plane, mask] = shown;
      const prompts: readonly Prompt[] =
        record.prompts.length > 0 ? record.prompts : [{ kind: 'mask', id: `object-${id}`, plane, mask }];
      const { candidates: _, editing: __, ...rest } = state;
      const layers = { ...state.layers, current_object: layerOf([{ ...record, id: 1 }]) };
      if (layer === 'committed_objects') return { ...rest, editing: id, prompts, layers };
      const auto_segmentation = changeObjects(state.layers.auto_segmentation, new Map([[id, undefined]]));
      return withDismissed({ ...rest, prompts, layers: { ...layers, auto_segmentation } }, [id]);
    },
  };
}

export function deleteObject(layer: ObjectLayerName, id: number): Edit {
  return {
    title: `Delete object ${id}`,
    change(state) {
      needObject(state, layer, id);
      if (layer !== 'auto_segmentation' && annotatorKind(state) === 'tracking' && state.editing !== id)
        return removeTrack(id, layer).change(state);
      const base = layer === 'committed_objects' && state.editing === id ? withoutCurrent(state) : state;
      const changed = changeObjects(base.layers[layer], new Map([[id, undefined]]));
      if (layer === 'current_object' && changed.objects.size === 0) return withoutCurrent(base);
      const after = { ...base, layers: { ...base.layers, [layer]: changed } };
      return layer === 'auto_segmentation' ? withDismissed(after, [id]) : after;
    },
  };
}

export function deleteObjects({ layer, ids }: ObjectSet): Edit {
  return {
    title: ids.length === 1 ? `Delete object ${ids[0]}` : `Delete ${ids.length} objects`,
    change: (state) => ids.reduce((now, id) => deleteObject(layer, id).change(now), state),
  };
}

/** Replaces all committed objects, e.g. by an initial segmentation. */
export function setCommittedObjects(records: Iterable<ObjectRecord>, title = 'Load objects'): Edit {
  const committed_objects = layerOf(records);
  return {
    title,
    change(state) {
      needImage(state);
      const { editing: _, ...rest } = state;
      return { ...rest, layers: { ...state.layers, committed_objects } };
    },
  };
}

/** Replaces all work on this image by what a session file holds (`importSession`); can be undone. */
export function loadSession(restored: Partial<SessionState>): Edit {
  return {
    title: 'Load session',
    change(state) {
      needImage(state);
      const { candidates: _, editing: __, ...rest } = state;
      return { ...rest, ...restored, settings: { ...state.settings, ...restored.settings } };
    },
  };
}

export function changeSettings(settings: Partial<SessionSettings>): Edit {
  return {
    title: 'Change settings',
    change(state) {
      checkStackSettings(settings);
      const { brushSize = 1, preservationThreshold = 0 } = settings;
      if (!(brushSize >= 1 && brushSize <= 1000))
        throw new SamError('invalid_argument', `The brush size is ${brushSize}; it must be 1 to 1000 pixels.`);
      if (!(preservationThreshold >= 0 && preservationThreshold <= 1))
        throw new SamError(
          'invalid_argument',
          `The threshold is ${preservationThreshold}; it must be between 0 and 1.`,
        );
      const changed = { ...state.settings, ...settings };
      const names = keysOf(settings);
      return names.every((name) => changed[name] === state.settings[name]) ? state : { ...state, settings: changed };
    },
  };
}

export function setPlane(plane: number): Edit {
  return {
    title: 'Change plane',
    change(state) {
      const { planes } = needImage(state);
      if (!Number.isInteger(plane) || plane < 0 || plane >= planes)
        throw new SamError(
          'invalid_argument',
          `Plane ${plane} was asked for; the image has planes 0 to ${planes - 1}.`,
        );
      return plane === state.plane ? state : { ...state, plane };
    },
  };
}

/** Whether the current object holds work that is in no other layer. */
export function hasUncommittedWork(state: SessionState): boolean {
  const [current, ...more] = state.layers.current_object.objects.values();
  if (!current) return false;
  const original = state.editing === undefined ? undefined : state.layers.committed_objects.objects.get(state.editing);
  return more.length > 0 || current.masks !== original?.masks;
}

function needObject(state: SessionState, layer: ObjectLayerName, id: number): ObjectRecord {
  const record = state.layers[layer].objects.get(id);
  if (!record) throw new SamError('not_found', `There is no object ${id} in ${layer}.`, { details: { layer, id } });
  return record;
}

function nameOf(prompt: Prompt): string {
  if (prompt.kind === 'point') return prompt.positive ? 'positive point' : 'negative point';
  return prompt.kind;
}
