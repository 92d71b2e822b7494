import { SamError } from './errors.js';

/**
 * The item at a place of a list that was made to have one there: a missing one is a defect of ours, and stops here instead
 * of going on as `undefined`. Where a file or a caller may be short, check that and say so in its own words instead.
 *
 * @throws SamError `internal`
 */
export function itemAt<T>(items: ArrayLike<T>, index: number): T {
  const item = items[index];
  if (item === undefined)
    throw new SamError('internal', `The item ${index} of a list of ${items.length} was asked for.`);
  return item;
}

/** "1 image", "2 images". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/**
 * The entry of a map that was made to have one there, as `itemAt` of a list.
 *
 * @throws SamError `internal`
 */
export function entryOf<K, V>(map: { get(key: K): V | undefined }, key: K): V {
  const entry = map.get(key);
  if (entry === undefined) throw new SamError('internal', `There is no entry ${String(key)}, which was asked for.`);
  return entry;
}

/**
 * What has to be there where it is asked for, as an item of a list.
 *
 * @param what said when it is not
 * @throws SamError `internal`
 */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === undefined || value === null) throw new SamError('internal', `Missing: ${what}.`);
  return value;
}

/** The keys of a table that has these and no others. */
export function keysOf<T extends object>(table: T): (keyof T & string)[] {
  return Object.keys(table) as (keyof T & string)[];
}

/** As `keysOf`, with the values. */
export function entriesOf<K extends string, V>(table: { readonly [Key in K]?: V }): [K, V][] {
  return Object.entries(table) as [K, V][];
}

/** A table with a value for each of the keys. */
export function tableOf<K extends string, V>(keys: readonly K[], of: (key: K) => V): Record<K, V> {
  return Object.fromEntries(keys.map((key) => [key, of(key)])) as Record<K, V>;
}

/** Whether a value is one of a closed list. */
export function isOneOf<T extends string>(list: readonly T[], value: unknown): value is T {
  return list.some((one) => one === value);
}

/** Whether a value has members, by whatever names: an object, lists included. */
export function hasMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** The members of what came from outside; none where it is no object. */
export function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return hasMembers(value) ? value : {};
}

/** An object without what is undefined in it. */
export function defined<T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never;
}
