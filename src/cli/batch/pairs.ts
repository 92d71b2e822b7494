import path from 'node:path';
import { pairNames, type Sides, unpairedText } from '../../io/folder/pairing.js';
import { isAddress } from '../../io/node-open.js';
import { itemAt } from '../../items.js';
import { UsageError } from '../command.js';
import type { Input } from './input.js';

export interface PairOptions extends Sides {
  /** Leaves out what has no partner, and says so, instead of refusing. */
  readonly ignoreUnpaired?: boolean;
  readonly log?: (line: string) => void;
  /** One file may be on both sides: labels are scored against themselves, but no image is its own label image. */
  readonly itself?: boolean;
}

/**
 * Which of the others belongs to which of the ones, by name; a single file on each side belongs together whatever the
 * names. Together with each other it has to be the whole list, or be asked for otherwise.
 *
 * @throws UsageError that lists what has no partner
 */
export function pairInputs(ones: readonly Input[], others: readonly Input[], options: PairOptions): [Input, Input][] {
  const { ignoreUnpaired = false, log, itself = false } = options;
  const [one, other] = [ones[0], others[0]];
  if (ones.length === 1 && others.length === 1 && one?.single && other?.single) return [[one, other]];
  const names = ones.map(({ name }) => name);
  const otherNames = others.map(({ name }) => name);
  const same = (i: number, k: number) => !itself && isSameFile(itemAt(ones, i).file, itemAt(others, k).file);
  const pairing = pairNames(names, otherNames, same);
  const text = unpairedText(pairing, names, otherNames, options);
  if (text !== undefined && (!ignoreUnpaired || pairing.pairs.length === 0))
    throw new UsageError(
      `${text} Files belong together by their names, as cells.tif and cells_labels.tif.${pairing.pairs.length > 0 ? ' Leave out what has no partner with --ignore_unpaired.' : ''}`,
    );
  if (text !== undefined) log?.(`Left out: ${text}`);
  return pairing.pairs.map(([i, k]) => [itemAt(ones, i), itemAt(others, k)]);
}

function isSameFile(a: string, b: string): boolean {
  return isAddress(a) || isAddress(b) ? a === b : path.resolve(a) === path.resolve(b);
}
