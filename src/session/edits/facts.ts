import { SamError } from '../../errors.js';
import { entryOf } from '../../items.js';
import type { Edit } from '../actions.js';
import { changeObjects } from '../layers.js';
import type { ObjectFacts, ObjectRecord, SessionSettings, SessionState } from '../state.js';
import { type ObjectSet, objectsToEdit } from './selection.js';

/** What a person says about objects: name, class, comment, flag. It stays with an object whatever becomes of its shape. */

/** Absent: as it is. Null, an empty text, false: not any more. */
export type FactsChange = { readonly [Name in keyof ObjectFacts]?: ObjectFacts[Name] | null };

const FACTS = ['name', 'objectClass', 'comment', 'flagged'] as const satisfies readonly (keyof ObjectFacts)[];

/** Classes go by the number keys. */
export const CLASSES = [1, 2, 3, 4, 5, 6, 7, 8, 9] as const;

const LONGEST = 1000;

export function setFacts(change: FactsChange, given?: ObjectSet): Edit {
  return {
    title: 'Describe object',
    change(state) {
      checkFacts(change);
      const { layer, ids } = objectsToEdit(state, given);
      const now = withFacts(state, layer, ids, change);
      // Of an object that is being edited, the copy in work is what will be committed.
      const copy = layer === 'committed_objects' && state.editing !== undefined && ids.includes(state.editing);
      const [first] = state.layers.current_object.objects.keys();
      return copy && first !== undefined ? withFacts(now, 'current_object', [first], change) : now;
    },
  };
}

/** The class for all objects, or no class if they all have it already: the same key takes it away. */
export function toggleClass(objectClass: number, given?: ObjectSet): Edit {
  return {
    title: `Class ${objectClass}`,
    change(state) {
      const { layer, ids } = objectsToEdit(state, given);
      const all = ids.every((id) => state.layers[layer].objects.get(id)?.objectClass === objectClass);
      return setFacts({ objectClass: all ? null : objectClass }, { layer, ids }).change(state);
    },
  };
}

export function toggleFlag(given?: ObjectSet): Edit {
  return {
    title: 'Flag',
    change(state) {
      const { layer, ids } = objectsToEdit(state, given);
      const all = ids.every((id) => state.layers[layer].objects.get(id)?.flagged);
      return setFacts({ flagged: !all }, { layer, ids }).change(state);
    },
  };
}

/** What is known of `from`, on a record that was made anew in its place. */
export function keepFacts(record: ObjectRecord, from: ObjectRecord | undefined): ObjectRecord {
  if (!from) return record;
  const facts = FACTS.filter((name) => from[name] !== undefined && record[name] === undefined);
  return facts.length === 0 ? record : { ...record, ...Object.fromEntries(facts.map((name) => [name, from[name]])) };
}

function withFacts(
  state: SessionState,
  layer: ObjectSet['layer'],
  ids: readonly number[],
  change: FactsChange,
): SessionState {
  const changes = new Map<number, ObjectRecord>();
  for (const id of ids) {
    const record = entryOf(state.layers[layer].objects, id);
    const next: Record<string, unknown> = { ...record };
    for (const name of FACTS) {
      const value = change[name];
      if (value === undefined) continue;
      if (value === null || value === '' || value === false) delete next[name];
      else next[name] = value;
    }
    // Facts alone are other than in the record, and all of them may be absent.
    if (FACTS.some((name) => next[name] !== record[name])) changes.set(id, next as unknown as ObjectRecord);
  }
  if (changes.size === 0) return state;
  return { ...state, layers: { ...state.layers, [layer]: changeObjects(state.layers[layer], changes) } };
}

function checkFacts({ name, comment, objectClass }: FactsChange): void {
  if (objectClass !== undefined && objectClass !== null && !CLASSES.some((known) => known === objectClass))
    throw new SamError('invalid_argument', `The class is ${objectClass}; it must be a whole number from 1 to 9.`);
  for (const text of [name, comment])
    if (text && text.length > LONGEST)
      throw new SamError('invalid_argument', `The text has ${text.length} characters; at most ${LONGEST} are kept.`);
}

/** What a class is called: by its name, else by its number. */
export function classNameOf(objectClass: number, { classNames }: Pick<SessionSettings, 'classNames'>): string {
  return classNames[objectClass - 1] || `class ${objectClass}`;
}
