import { keysOf, tableOf } from '../items.js';
import type { SessionState } from './state.js';

/**
 * What becomes of each field of the state. Undo and what is saved are made from this table and from the one that says
 * how a field is written (saving/saved-fields.ts): a field that is in neither does not compile.
 */
type Fate =
  /** The work: a step of undo, and saved. */
  | 'work'
  /** Saved, but no step of undo: where one looks. */
  | 'place'
  /** A step of undo, but not saved: it can be made again. */
  | 'undone'
  /** Neither. */
  | 'passing';

export const FIELDS = {
  layers: 'work',
  prompts: 'work',
  lineages: 'work',
  currentLineages: 'work',
  editing: 'work',
  settings: 'work',
  plane: 'place',
  currentTrack: 'place',
  candidates: 'undone',
  dismissed: 'undone',
  image: 'passing',
  arriving: 'passing',
  chosenAutomatic: 'passing',
  proposal: 'passing',
  selected: 'passing',
  splitSeed: 'passing',
  history: 'passing',
  refused: 'passing',
  closing: 'passing',
  waiting: 'passing',
  tasks: 'passing',
  message: 'passing',
  embedding: 'passing',
  autosave: 'passing',
  autosaveProblem: 'passing',
  readOnly: 'passing',
} as const satisfies Record<keyof SessionState, Fate>;

type WithFate<F extends Fate> = {
  [Name in keyof typeof FIELDS]: (typeof FIELDS)[Name] extends F ? Name : never;
}[keyof typeof FIELDS];

/** Objects are compared one by one and settings by their names; every other field is kept whole. */
type Structured = 'layers' | 'settings';
export type SavedField = Exclude<WithFate<'work' | 'place'>, Structured>;
export type RecordedField = Exclude<WithFate<'work' | 'undone'>, Structured>;

export const RECORDED_FIELDS = named('work', 'undone') as readonly RecordedField[];
export const SAVED_FIELDS = named('work', 'place') as readonly SavedField[];

/** Whether two states differ in what a person has done; not in where one looks or how one is set up. */
export function isOtherWork(a: SessionState, b: SessionState): boolean {
  return a.layers !== b.layers || named('work').some((name) => a[name] !== b[name]);
}

function named(...fates: Fate[]): Exclude<keyof typeof FIELDS, Structured>[] {
  const names = keysOf(FIELDS);
  return names
    .filter((name) => fates.includes(FIELDS[name]))
    .filter((name) => name !== 'layers' && name !== 'settings');
}

/**
 * `now` without what was changed from `before` to `after` of settings and of where one looks; what is another again stays as
 * it is.
 */
export function withoutChange(now: SessionState, before: SessionState, after: SessionState): SessionState {
  const settings = restored(now.settings, before.settings, after.settings);
  return { ...restored(now, before, after, named('place')), settings };
}

function restored<T extends object>(now: T, before: T, after: T, names = keysOf(after)): T {
  const changed = names.filter((name) => before[name] !== after[name] && now[name] === after[name]);
  return { ...now, ...tableOf(changed, (name) => before[name]) };
}
