import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileNameOf, isN5Name, isZarrName, namesZarr, naturalOrder } from '../../io/folder/file-names.js';
import { partsOfSets } from '../../io/folder/file-sets.js';
import { isHiddenName } from '../../io/folder/hidden-names.js';
import { type FolderRole, type LeftOut, listFolder } from '../../io/folder/listing.js';
import { withoutLogin, withoutQuery } from '../../io/http.js';
import { fileBytes, kindOf } from '../../io/node-file.js';
import { isAddress, nameOfFile } from '../../io/node-open.js';
import type { Store } from '../../io/store.js';
import { folderStore } from '../../io/stores/fs.js';
import { httpStore } from '../../io/stores/http.js';
import { plateFields } from '../../io/zarr/plate.js';
import { itemAt } from '../../items.js';
import { UsageError } from '../command.js';
import type { Input } from './input.js';
import { holdsEmbeddings, recordedResults } from './result-records.js';

/**
 * Images that a command line names: files, http(s) addresses, folders (with a pattern) and glob patterns, each once and
 * in natural order of their names, so that every shard sees the same list. A folder that is an image itself (.zarr)
 * counts as a file, a plate as its fields of view. What is an image in a folder is told by io/folder/listing.ts, which
 * files are one image together by io/folder/file-sets.ts.
 */
export interface InputOptions {
  /** Of folders, only what matches. */
  readonly pattern?: string;
  /** Whether images or label images are wanted, of folders that hold both. */
  readonly role?: FolderRole;
  /** A folder below the inputs whose contents are none. */
  readonly output?: string;
  /** Images and labels are listed each, to be paired: that a folder of both holds the others, too, goes without saying. */
  readonly pairs?: boolean;
  /** Told what was left out although it looks like an image. */
  readonly log?: (line: string) => void;
}

export async function listInputs(given: readonly string[], options: InputOptions = {}): Promise<Input[]> {
  if (given.length === 0) throw new UsageError('No input: give files, a folder, an address or a pattern with -i.');
  const places = given.map((input) => placeOf(input, options.pattern));
  const files = new Map<string, Pick<Input, 'file' | 'single'>>();
  const leftOut: LeftOut[] = [];
  for (const [i, place] of places.entries()) {
    const matches = choose(place, given.length, options, leftOut);
    if (place.found && matches.length === 0)
      throw new UsageError(nothingMatches(itemAt(given, i), place, options.pattern, leftOut));
    for (const name of matches) {
      const images = await imagesIn(join(place.root, name));
      const single = !place.found && images.length === 1;
      for (const file of images)
        files.set(isAddress(file) ? file : path.resolve(file), { file, ...(single && { single }) });
    }
  }
  if (files.size === 0)
    throw new UsageError(nothingMatches(given.join(' '), itemAt(places, 0), options.pattern, leftOut));
  const common = commonFolder(places.map(({ root }) => root));
  for (const [part, whole] of await partsAmong([...files.keys()])) {
    files.delete(part);
    leftOut.push({ name: nameBelow(common, part), why: `belongs to ${nameBelow(common, whole)}` });
  }
  tellLeftOut(options.pairs ? leftOut.filter(({ isPartner }) => !isPartner) : leftOut, options.log);
  return [...files]
    .map(([whole, input]) => ({ ...input, name: nameBelow(common, whole) }))
    .sort((a, b) => naturalOrder(a.name, b.name));
}

/** Of files that are one image together, those for which another one stands; with it, as absolute paths. */
async function partsAmong(files: readonly string[]): Promise<[string, string][]> {
  const local = new Map(files.filter((file) => !isAddress(file)).map((file) => [slashed(file), file]));
  const parts = await partsOfSets([...local.keys()], (name) => fileBytes(local.get(name) ?? name));
  return [...parts]
    .filter(([part]) => local.has(part))
    .map((pair) => pair.map((name) => local.get(name)) as [string, string]);
}

/** The files alone. */
export async function expandInputs(given: readonly string[], pattern?: string): Promise<string[]> {
  return (await listInputs(given, { pattern })).map(({ file }) => file);
}

/** One input of the command line: names below a root, either said one by one or found there. */
interface Place {
  readonly root: string;
  readonly names: readonly string[];
  readonly found: boolean;
  /** A pattern that states the extension, so that it is not looked at any more. */
  readonly anyExtension: boolean;
}

function placeOf(input: string, pattern?: string): Place {
  if (isAddress(input)) return addressPlace(input);
  const kind = kindOf(input);
  if (kind === 'file' || (kind === 'folder' && (isOneThing(input.replace(/[\\/]+$/, '')) || isField(input)))) {
    const name = slashed(nameOfFile(input));
    const root = slashed(path.resolve(input)).slice(0, -name.length);
    return { root: root || '.', names: [name], found: false, anyExtension: true };
  }
  if (kind === 'folder')
    return found(input, pattern === undefined ? readdirSync(input) : matching(input, pattern), pattern);
  if (!/[*?[\]{}]/.test(input)) return { root: path.dirname(input), names: [], found: true, anyExtension: false };
  const parts = path.normalize(input).split(path.sep);
  // Folders may have brackets in their names.
  const exists = (end: number) => existsSync(parts.slice(0, end).join(path.sep) || path.sep);
  const first = parts.findIndex((part, i) => /[*?[\]{}]/.test(part) && !exists(i + 1));
  const root = parts.slice(0, first).join(path.sep) || (path.isAbsolute(input) ? path.sep : '.');
  const glob = parts.slice(first).join('/');
  return found(root, matching(root, glob), glob);
}

function found(root: string, names: readonly string[], pattern = ''): Place {
  return { root, names, found: true, anyExtension: /\.[a-z0-9{},]+$/i.test(pattern) };
}

function addressPlace(address: string): Place {
  const whole = withoutQuery(address);
  const bare = whole.replace(/\/+$/, '');
  const name = fileNameOf(bare);
  const root = bare.slice(0, -name.length);
  return { root, names: [address.slice(root.length)], found: false, anyExtension: true };
}

function nameBelow(common: string, whole: string): string {
  if (!isAddress(whole)) return slashed(whole).slice(common.length);
  const path = withoutQuery(withoutLogin(whole).address);
  return decodeName(path.slice(common.length).replace(/\/+$/, ''));
}

function decodeName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function join(root: string, name: string): string {
  return isAddress(root) ? `${root}${name}` : path.join(root, name);
}

/** A single input is what it is said to be; several may be what a shell made of a pattern. */
function choose(place: Place, count: number, { role = 'images', output }: InputOptions, leftOut: LeftOut[]): string[] {
  if (count === 1 && !place.found) return [...place.names];
  const below = output === undefined || isAddress(place.root) ? undefined : slashed(path.relative(place.root, output));
  const results = role === 'images' && !isAddress(place.root) ? recordedResults(place.root, place.names) : new Set();
  const mine = (name: string) =>
    results.has(name) ||
    (below !== undefined && below !== '' && !below.startsWith('..') && name.startsWith(`${below}/`));
  const whyNot = (name: string) => {
    if (mine(name)) return 'a result of this program';
    return isZarrName(name) && holdsEmbeddings(join(place.root, name)) ? 'embeddings' : undefined;
  };
  const rest: string[] = [];
  for (const name of place.names) {
    const why = whyNot(name);
    if (why === undefined) rest.push(name);
    else leftOut.push({ name, why });
  }
  if (!place.found) return rest;
  const listing = listFolder(rest, role);
  leftOut.push(...listing.leftOut.filter(({ why }) => !(place.anyExtension && why === NO_IMAGE)));
  const others = place.anyExtension
    ? listing.leftOut.filter(({ why }) => why === NO_IMAGE).map(({ name }) => name)
    : [];
  return [...listing.chosen, ...others];
}

const NO_IMAGE = 'not an image by its name';

function nothingMatches(input: string, place: Place, pattern: string | undefined, leftOut: readonly LeftOut[]): string {
  if (place.found && place.names.length === 0 && kindOf(input) === undefined && !/[*?[\]{}]/.test(input))
    return `There is no file ${input}.`;
  const with_ = pattern ? ` with the pattern "${pattern}"` : '';
  const reasons = leftOut.slice(0, 3).map(({ name, why }) => `${name} (${why})`);
  return `Nothing matches the input "${input}"${with_}.${reasons.length > 0 ? ` Left out: ${reasons.join(', ')}.` : ''}`;
}

function tellLeftOut(leftOut: readonly LeftOut[], log?: (line: string) => void): void {
  const told = leftOut.filter(({ why }) => why !== 'hidden' && why !== NO_IMAGE);
  if (told.length === 0) return;
  const more = told.length > 5 ? ` and ${told.length - 5} more` : '';
  log?.(
    `Left out: ${told
      .slice(0, 5)
      .map(({ name, why }) => `${name} (${why})`)
      .join(', ')}${more}.`,
  );
}

async function imagesIn(file: string): Promise<string[]> {
  const store = plateStore(file);
  const fields = store && (await plateFields(store).catch(() => undefined)); // opening it says what is wrong with it
  return fields?.map(({ key }) => join(isAddress(file) ? `${file.replace(/\/$/, '')}/` : file, key)) ?? [file];
}

function plateStore(file: string): Store | undefined {
  if (!namesZarr(file)) return undefined;
  if (isAddress(file)) return file.includes('?') ? undefined : httpStore(file);
  return kindOf(file) === 'folder' ? folderStore(file) : undefined;
}

/** A folder that is not looked into. */
function isOneThing(name: string): boolean {
  return isZarrName(name) || isN5Name(name);
}

/** A folder inside a zarr that is named itself, such as a field of a plate. */
function isField(folder: string): boolean {
  return nameOfFile(folder).includes('/') && ['.zattrs', 'zarr.json'].some((file) => kindOf(path.join(folder, file)));
}

function slashed(file: string): string {
  return path.sep === '/' ? file : file.replaceAll(path.sep, '/');
}

/** The longest folder above all of these, with a slash at its end. */
function commonFolder(folders: readonly string[]): string {
  const [first = [], ...others] = folders.map((folder) =>
    `${isAddress(folder) ? withoutLogin(folder).address.replace(/\/$/, '') : slashed(path.resolve(folder)).replace(/\/$/, '')}/`
      .split('/')
      .slice(0, -1),
  );
  let length = first.length;
  for (const parts of others) while (first.slice(0, length).some((part, i) => part !== parts[i])) length--;
  return first
    .slice(0, length)
    .map((part) => `${part}/`)
    .join('');
}

/**
 * Names below a folder that match a glob, with slashes: `*`, `?` and `[a-z]` within a name, `{a,b}`, `**` over folders.
 * As in a shell, hidden files only match what begins with a dot. Node 20 has no stable glob of its own.
 */
function matching(root: string, glob: string): string[] {
  const found: string[] = [];
  const walk = (folder: string, below: string, [part, ...tail]: readonly string[]) => {
    if (part === undefined) return;
    if (part === '**') {
      walk(folder, below, tail);
      for (const name of namesIn(folder))
        if (isPlainFolder(path.join(folder, name), name))
          walk(path.join(folder, name), `${below}${name}/`, [part, ...tail]);
      return;
    }
    const test = toRegExp(part);
    for (const name of namesIn(folder)) {
      if (!(name === part || (test.test(name) && (part.startsWith('.') || !isHiddenName(name))))) continue;
      const full = path.join(folder, name);
      if (tail.length > 0) walk(full, `${below}${name}/`, tail);
      else if (kindOf(full) === 'file' || isOneThing(name)) found.push(`${below}${name}`);
    }
  };
  walk(root, '', path.posix.normalize(slashed(glob)).split('/'));
  return [...new Set(found)];
}

function namesIn(folder: string): string[] {
  return kindOf(folder) === 'folder' ? readdirSync(folder) : [];
}

function isPlainFolder(folder: string, name: string): boolean {
  return kindOf(folder) === 'folder' && !isOneThing(name) && !isHiddenName(name);
}

function toRegExp(part: string): RegExp {
  const source = part
    .replace(/[.+^$|()\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.')
    .replace(/\[!/g, '[^')
    .replace(/\{([^}]*)\}/g, (_, names: string) => `(?:${names.replaceAll(',', '|')})`);
  try {
    return new RegExp(`^${source}$`);
  } catch {
    throw new UsageError(`"${part}" is not a pattern of file names.`);
  }
}
