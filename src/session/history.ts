import { RECORDED_FIELDS, type RecordedField } from './fields.js';
import { changeObjects } from './layers.js';
import type { ObjectLayerName, ObjectRecord, SessionSettings, SessionState } from './state.js';

/**
 * Undo and redo. A step is kept as what it changed: object records by id (cropped masks, kilobytes), the prompt list,
 * the settings that decide results. Neither volumes nor whole layers are kept. Where one looks (plane, tool, brush) is
 * not a step.
 */
export interface Memo {
  readonly title: string;
  readonly back: Patch;
  readonly forth: Patch;
}

/** A change as data: for each layer the objects by id, where `undefined` means "not there", and the other fields. */
export interface Patch {
  readonly layers: Readonly<Partial<Record<ObjectLayerName, ReadonlyMap<number, ObjectRecord | undefined>>>>;
  readonly fields: Readonly<Partial<Pick<SessionState, RecordedField>>>;
  readonly settings: Readonly<Partial<SessionSettings>>;
}

/** Settings that change what a command does to the data. */
const RECORDED_SETTINGS: readonly (keyof SessionSettings)[] = [
  'batched',
  'preserveMode',
  'preservationThreshold',
  'automatic',
];

export const LAYERS: readonly ObjectLayerName[] = ['current_object', 'auto_segmentation', 'committed_objects'];

/** What turns `from` into `to`; undefined if nothing that is recorded differs. */
function diff(from: SessionState, to: SessionState): Patch | undefined {
  const layers = changedLayers(from, to);
  const fields: Record<string, unknown> = {};
  for (const name of RECORDED_FIELDS) if (from[name] !== to[name]) fields[name] = to[name];
  const settings: Record<string, unknown> = {};
  for (const name of RECORDED_SETTINGS)
    if (from.settings[name] !== to.settings[name]) settings[name] = to.settings[name];
  const empty = [layers, fields, settings].every((part) => Object.keys(part).length === 0);
  return empty ? undefined : { layers, fields, settings };
}

/** The objects that differ, by layer and id. */
export function changedLayers(from: SessionState, to: SessionState): Patch['layers'] {
  const layers: Partial<Record<ObjectLayerName, ReadonlyMap<number, ObjectRecord | undefined>>> = {};
  for (const name of LAYERS) {
    const changes = changedObjects(from.layers[name].objects, to.layers[name].objects);
    if (changes.size > 0) layers[name] = changes;
  }
  return layers;
}

function changedObjects(
  from: ReadonlyMap<number, ObjectRecord>,
  to: ReadonlyMap<number, ObjectRecord>,
): Map<number, ObjectRecord | undefined> {
  const changes = new Map<number, ObjectRecord | undefined>();
  if (from === to) return changes;
  for (const [id, record] of to) if (from.get(id) !== record) changes.set(id, record);
  for (const id of from.keys()) if (!to.has(id)) changes.set(id, undefined);
  return changes;
}

export function patchState(state: SessionState, patch: Patch): SessionState {
  const layers = { ...state.layers };
  for (const name of LAYERS) {
    const changes = patch.layers[name];
    if (changes) layers[name] = changeObjects(layers[name], changes);
  }
  return { ...state, ...patch.fields, layers, settings: { ...state.settings, ...patch.settings } };
}

/** A step that was taken back before it was made; redo makes it. */
export interface StoppedStep {
  readonly title: string;
  readonly again: () => Promise<void>;
}

export interface HistoryMark {
  readonly done: readonly Memo[];
  readonly undone: readonly (Memo | StoppedStep)[];
}

/** The steps taken and taken back. */
export class History {
  private readonly done: Memo[] = [];
  private readonly undone: (Memo | StoppedStep)[] = [];

  /** @param limit steps kept; the oldest are forgotten */
  constructor(private readonly limit = 1000) {}

  get titles(): SessionState['history'] {
    const undo = this.done.at(-1)?.title;
    const redo = this.undone.at(-1)?.title;
    return { ...(undo !== undefined && { undo }), ...(redo !== undefined && { redo }) };
  }

  /** All steps, the latest last. */
  get steps(): { readonly done: readonly Memo[]; readonly undone: readonly (Memo | StoppedStep)[] } {
    return { done: this.done, undone: this.undone };
  }

  /** The latest step, to be handed to `amend` later. */
  get latest(): Memo | undefined {
    return this.done.at(-1);
  }

  /** Records the step from `before` to `after`; undefined if it changed nothing that is recorded. */
  record(title: string, before: SessionState, after: SessionState): Memo | undefined {
    const forth = diff(before, after);
    const back = diff(after, before);
    if (!forth || !back) return undefined;
    const memo: Memo = { title, back, forth };
    this.done.push(memo);
    if (this.done.length > this.limit) this.done.shift();
    this.undone.length = 0;
    return memo;
  }

  /**
   * Makes the change from `before` to `after` part of the step `memo` if that is still the latest: the mask that
   * follows a click belongs to the click. Otherwise it becomes a step of its own.
   */
  amend(memo: Memo | undefined, title: string, before: SessionState, after: SessionState): Memo | undefined {
    if (!memo || memo !== this.done.at(-1) || this.undone.length > 0) return this.record(title, before, after);
    this.done.pop();
    return this.record(memo.title, patchState(before, memo.back), after);
  }

  /** What there is to undo and to redo now, for `forget`. */
  mark(): HistoryMark {
    return { done: [...this.done], undone: [...this.undone] };
  }

  /** As if the latest step had never been made; false, and nothing done, if others were made after it. */
  forget(memo: Memo, { done, undone }: HistoryMark): boolean {
    if (this.done.at(-1) !== memo || this.undone.length > 0) return false;
    this.done.splice(0, Infinity, ...done);
    this.undone.splice(0, Infinity, ...undone);
    return true;
  }

  undo(state: SessionState): SessionState | undefined {
    const memo = this.done.pop();
    if (!memo) return undefined;
    this.undone.push(memo);
    return patchState(state, memo.back);
  }

  /** As `record` and `undo` together: what was taken back before is forgotten. */
  recordStopped(step: StoppedStep): void {
    this.undone.splice(0, Infinity, step);
  }

  /** The step that redo would take if it was stopped; it is no longer there then. */
  takeStopped(): StoppedStep | undefined {
    const step = this.undone.at(-1);
    if (!step || !('again' in step)) return undefined;
    this.undone.pop();
    return step;
  }

  redo(state: SessionState): SessionState | undefined {
    const memo = this.undone.pop();
    if (!memo || 'again' in memo) return undefined;
    this.done.push(memo);
    return patchState(state, memo.forth);
  }

  clear(): void {
    this.done.length = 0;
    this.undone.length = 0;
  }
}
