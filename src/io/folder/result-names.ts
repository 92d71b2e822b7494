import { itemAt } from '../../items.js';
import { extensionOf, fileNameOf, foldedName, folderOf, stemOf } from './file-names.js';

/**
 * What the results of each image are called, without what their format adds: the stem of its name, and where several
 * images have one stem, also their folders, extensions or a number. Told from all names together, so that every part of
 * a batch finds the same.
 *
 * @param names paths relative to what they have in common, unique
 */
export function resultNames(names: readonly string[]): string[] {
  const stems = names.map((name) => safeName(stemOf(name)));
  const groups = new Map<string, number[]>();
  for (const [i, stem] of stems.entries()) groups.set(foldedName(stem), [...(groups.get(foldedName(stem)) ?? []), i]);
  const results: string[] = [];
  const taken = new Set<string>();
  const give = (i: number, name: string) => {
    results[i] = name;
    taken.add(foldedName(name));
  };
  const several = [...groups.values()].filter((group) => group.length > 1);
  for (const [i, stem] of stems.entries()) if (groups.get(foldedName(stem))?.length === 1) give(i, stem);
  for (const group of several) {
    const scheme = SCHEMES.find((name) => {
      const folded = group.map((i) => foldedName(safeName(name(itemAt(names, i)))));
      return new Set(folded).size === group.length && !folded.some((each) => taken.has(each));
    });
    for (const i of group) give(i, scheme ? safeName(scheme(itemAt(names, i))) : numbered(itemAt(stems, i), taken));
  }
  return results;
}

const parents = (name: string) => folderOf(name).split('/').filter(Boolean);
const long = (name: string) => [...parents(name), stemOf(name)].join('_');

/** The extension as a part of a name: `_ome_tif`. */
export function endingOf(path: string): string {
  const [name = ''] = fileNameOf(path).split('/');
  if (extensionOf(name) === '') return '';
  return name.slice(stemOf(name).length).toLowerCase().replaceAll('.', '_');
}

const SCHEMES: readonly ((name: string) => string)[] = [
  (name) => [...parents(name).slice(-1), stemOf(name)].join('_'),
  long,
  (name) => stemOf(name) + endingOf(name),
  (name) => [...parents(name).slice(-1), stemOf(name)].join('_') + endingOf(name),
  (name) => long(name) + endingOf(name),
];

function numbered(stem: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number++) {
    const name = number === 1 ? stem : `${stem}-${number}`;
    if (!taken.has(foldedName(name))) return name;
  }
}

/** Names to try for the results of one image when the first is taken by an image of another run. */
export function* alternativeNames(wanted: string, path: string): Generator<string> {
  yield wanted;
  const folders = parents(path.replaceAll('\\', '/')).slice(-2);
  for (const [i] of folders.entries())
    yield safeName([...folders.slice(folders.length - 1 - i), stemOf(path)].join('_'));
  if (extensionOf(path)) yield safeName(stemOf(path) + endingOf(path));
  for (let number = 2; ; number++) yield `${wanted}-${number}`;
}

const RESULT =
  /^(_labels(_v04)?(_\d{4})?\.(tif|ome\.tif|png|ome\.zarr)|\.geojson|_coco\.json|_rois\.zip|_objects\.csv|_RES|_tracks\.(csv|geff)|_graph\.json|_export\.zip)$/;

/** Whether a file is what `exportLabels` writes for the results of this name, in any format. */
export function isResultName(file: string, name: string): boolean {
  return (
    foldedName(file).startsWith(foldedName(name)) &&
    RESULT.test(file.normalize('NFC').slice(name.normalize('NFC').length))
  );
}

/** Names that are unique, for lists that people see: of those that occur again, `same (2).tif`. */
export function distinctNames(names: readonly string[]): string[] {
  const taken = new Set(names);
  const seen = new Set<string>();
  return names.map((name) => {
    if (!seen.has(name)) {
      seen.add(name);
      return name;
    }
    const extension = extensionOf(name);
    const stem = name.slice(0, name.length - extension.length);
    for (let number = 2; ; number++) {
      const other = `${stem} (${number})${extension}`;
      if (taken.has(other)) continue;
      taken.add(other);
      return other;
    }
  });
}

/** The last part of a path as people name a file, and with as many folders as tell it from the others. */
export function shortNames(paths: readonly string[]): string[] {
  const short = paths.map(fileNameOf);
  const counts = new Map<string, number>();
  for (const name of short) counts.set(name, (counts.get(name) ?? 0) + 1);
  return paths.map((path) => (counts.get(fileNameOf(path)) === 1 ? fileNameOf(path) : path));
}

/** In bytes; file systems allow 255, and formats add to it. */
const LONGEST = 180;

/** Never empty, and nothing that means something to a file system. */
export function safeName(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must go
  const safe = name.replace(/[\u0000-\u001f<>:"|?*\\/]/g, '_').replace(/^\.+|[. ]+$/g, '');
  const letters = [...safe];
  const encoder = new TextEncoder();
  while (encoder.encode(letters.join('')).length > LONGEST) letters.pop();
  return letters.join('') || 'image';
}
