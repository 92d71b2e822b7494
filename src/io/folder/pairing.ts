import { itemAt } from '../../items.js';
import { sampleFolder, sampleOfImage, sampleOfLabels } from './affixes.js';
import { fileNameOf, foldedName, folderOf, stemOf } from './file-names.js';
import { endingOf, resultNames, safeName } from './result-names.js';

/**
 * What belongs to what: images and their labels, labels and predictions of them, told from names and never from
 * positions in a list. A name is a path relative to the folder that was given, so that files of one name in different
 * subfolders are told apart.
 */
export interface Pairing {
  /** Index of the one and of the other, in the order of the ones. */
  readonly pairs: readonly (readonly [number, number])[];
  /** Indices of those without a partner. */
  readonly alone: readonly number[];
  readonly othersAlone: readonly number[];
  /** Of those, what fits several equally well. */
  readonly ambiguous: readonly Ambiguity[];
}

export interface Ambiguity {
  readonly name: string;
  readonly fits: readonly string[];
}

interface Fit {
  readonly one: number;
  readonly other: number;
  /** How much one name has to be changed to be the other: 0 for the same stem, 1 for a word like `_labels`. */
  readonly naming: number;
  /** Naming, and how far apart the folders are. */
  readonly distance: number;
}

/** @param never pairs that are out of the question, e.g. a file with itself */
export function pairNames(
  ones: readonly string[],
  others: readonly string[],
  never: (one: number, other: number) => boolean = () => false,
): Pairing {
  const fits = allFits(ones, others).filter(({ one, other }) => !never(one, other));
  const partner = new Map<number, number>();
  const taken = new Set<number>();
  const ambiguous: Ambiguity[] = [];
  const unclear = { ones: new Set<number>(), others: new Set<number>() };
  const open = ({ one, other }: Fit) =>
    !partner.has(one) && !taken.has(other) && !unclear.ones.has(one) && !unclear.others.has(other);
  const pairLevel = (group: readonly Fit[]) => {
    const level = group.filter(open);
    for (const { one, other } of mutual(level)) {
      partner.set(one, other);
      taken.add(other);
    }
    const doubtful = level.filter(open);
    for (const [one, several] of groupBy(doubtful, 'one'))
      ambiguous.push({ name: itemAt(ones, one), fits: several.map(({ other }) => itemAt(others, other)) });
    for (const { one, other } of doubtful) {
      unclear.ones.add(one);
      unclear.others.add(other);
    }
  };
  // People name all labels of a folder in one way: that which fits most of them comes first.
  const usual = mostUsed(fits);
  for (const level of byDistance(fits.filter(({ naming }) => naming === usual))) pairLevel(level);
  for (const level of byDistance(fits)) pairLevel(level);
  return {
    pairs: [...partner].sort(([a], [b]) => a - b),
    alone: ones.map((_, i) => i).filter((i) => !partner.has(i)),
    othersAlone: others.map((_, i) => i).filter((i) => !taken.has(i)),
    ambiguous,
  };
}

/** Fits of which neither side has another. */
function mutual(fits: readonly Fit[]): Fit[] {
  const [ones, others] = [groupBy(fits, 'one'), groupBy(fits, 'other')];
  return fits.filter(({ one, other }) => ones.get(one)?.length === 1 && others.get(other)?.length === 1);
}

function mostUsed(fits: readonly Fit[]): number | undefined {
  const namings = [...new Set(fits.map(({ naming }) => naming))].sort((a, b) => a - b);
  const counts = namings.map((naming) => {
    const nearest = new Map<number, Fit>();
    for (const fit of fits)
      if (fit.naming === naming && fit.distance < (nearest.get(fit.one)?.distance ?? Number.POSITIVE_INFINITY))
        nearest.set(fit.one, fit);
    return new Set([...nearest.values()].map(({ other }) => other)).size;
  });
  return namings[counts.indexOf(Math.max(...counts))];
}

function byDistance(fits: readonly Fit[]): Fit[][] {
  const distances = [...new Set(fits.map(({ distance }) => distance))].sort((a, b) => a - b);
  return distances.map((distance) => fits.filter((fit) => fit.distance === distance));
}

function groupBy(fits: readonly Fit[], side: 'one' | 'other'): Map<number, Fit[]> {
  const groups = new Map<number, Fit[]>();
  for (const fit of fits) {
    const group = groups.get(fit[side]);
    if (group) group.push(fit);
    else groups.set(fit[side], [fit]);
  }
  return groups;
}

function allFits(ones: readonly string[], others: readonly string[]): Fit[] {
  const index = new Map<string, { readonly other: number; readonly key: Key }[]>();
  for (const [other, keys] of allKeys(others).entries())
    for (const key of keys) {
      const folded = foldedName(key.text);
      index.set(folded, [...(index.get(folded) ?? []), { other, key }]);
    }
  const best = new Map<string, Fit>();
  for (const [one, keys] of allKeys(ones).entries())
    for (const key of keys)
      for (const { other, key: its } of index.get(foldedName(key.text)) ?? []) {
        const between = distanceBetween(itemAt(ones, one), itemAt(others, other));
        if (between === undefined) continue;
        const naming = key.distance + its.distance + (key.text === its.text ? 0 : 0.25);
        const fit = { one, other, naming, distance: naming + between - (key.special || its.special ? 0.1 : 0) };
        const known = best.get(`${one} ${other}`);
        if (!known || fit.distance < known.distance) best.set(`${one} ${other}`, fit);
      }
  return [...best.values()];
}

/** Of each file also what its results are called in the company of the others. */
function allKeys(names: readonly string[]): Key[][] {
  const results = resultNames(names);
  return names.map((name, i) => {
    const text = itemAt(results, i);
    const special = text !== safeName(stemOf(name));
    return [...keysOf(name), { text, distance: 0, ...(special && { special }) }];
  });
}

interface Key {
  readonly text: string;
  readonly distance: number;
  /** Made to tell this file from others of its stem. */
  readonly special?: boolean;
}

/**
 * What a file may be called in the name of another: its stem, the sample it is of, and both with what tells it from
 * files of the same stem (see resultNames).
 */
function keysOf(name: string): Key[] {
  const stem = stemOf(name);
  const ending = endingOf(name);
  const folders = folderOf(name).split('/').filter(Boolean);
  const keys: Key[] = [{ text: stem, distance: 0 }];
  for (const sample of [sampleOfLabels(stem), sampleOfImage(stem), nnUnetSample(stem)])
    if (sample !== undefined) keys.push({ text: sample, distance: 1 });
  if (ending) keys.push({ text: stem + ending, distance: 1.5 });
  for (let k = folders.length - 1; k >= 0; k--) {
    const long = [...folders.slice(k), stem].join('_');
    keys.push({ text: long, distance: 1.5 });
    if (ending) keys.push({ text: long + ending, distance: 1.5 });
  }
  return keys;
}

/** nnU-Net numbers the channels of an image: `case_0000` is the first one of what is labelled in `case`. */
function nnUnetSample(stem: string): string | undefined {
  return /^.+_0000$/.test(stem) ? stem.slice(0, -'_0000'.length) : undefined;
}

/** Undefined for files of different subfolders. A flat folder may hold what belongs to files of many. */
function distanceBetween(one: string, other: string): number | undefined {
  const [a, b] = [one, other].map((name) => foldedName(sampleFolder(folderOf(name))));
  if (a === b) return foldedName(fileNameOf(one)) === foldedName(fileNameOf(other)) ? -0.5 : 0;
  return a === '' || b === '' ? 0.5 : undefined;
}

export interface Sides {
  /** What the ones and the others are, in the plural: 'images', 'label images'. */
  readonly ones: string;
  readonly others: string;
}

/** One sentence for each kind of file without a partner, with their names; undefined if all have one. */
export function unpairedText(
  { alone, othersAlone, ambiguous }: Pairing,
  ones: readonly string[],
  others: readonly string[],
  sides: Sides,
): string | undefined {
  const sentences = ambiguous.map(({ name, fits }) => `${name} fits several ${sides.others}: ${listed(fits)}.`);
  const doubtful = new Set(ambiguous.flatMap(({ name, fits }) => [name, ...fits]));
  const missing = alone.map((i) => itemAt(ones, i)).filter((name) => !doubtful.has(name));
  const left = othersAlone.map((i) => itemAt(others, i)).filter((name) => !doubtful.has(name));
  const lacking = (names: readonly string[], what: string, partners: string) =>
    `${what[0]?.toUpperCase()}${what.slice(1)} without ${partners} (${names.length}): ${listed(names)}.`;
  if (missing.length > 0) sentences.push(lacking(missing, sides.ones, sides.others));
  if (left.length > 0) sentences.push(lacking(left, sides.others, sides.ones));
  return sentences.length > 0 ? sentences.join(' ') : undefined;
}

const SHOWN = 5;

function listed(names: readonly string[]): string {
  const more = names.length - SHOWN;
  return more > 0 ? `${names.slice(0, SHOWN).join(', ')} and ${more} more` : names.join(', ');
}
