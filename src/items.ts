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
