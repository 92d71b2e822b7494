import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { naturalOrder } from '../../io/folder/file-names.js';
import { listFolder } from '../../io/folder/listing.js';
import { nameOfFile } from '../../io/node-open.js';
import { folderStore } from '../../io/stores/fs.js';
import { plateFields } from '../../io/zarr/plate.js';
import { UsageError } from '../command.js';

/**
 * Files that a command line names: files, folders (with a pattern) and glob patterns, each once and sorted by path, so
 * that every shard sees the same list. A folder that is an image itself (.zarr) counts as a file, a plate as its fields
 * of view.
 */
const IMAGE_FOLDER = /\.zarr$/i;

export async function expandInputs(inputs: readonly string[], pattern?: string): Promise<string[]> {
  if (inputs.length === 0) throw new UsageError('No input: give files, a folder or a pattern with -i.');
  const found = new Set<string>();
  for (const input of inputs) {
    const matches = expand(input, pattern);
    if (matches.length === 0)
      throw new UsageError(`Nothing matches the input "${input}"${pattern ? ` with the pattern "${pattern}"` : ''}.`);
    for (const file of matches) for (const image of await imagesIn(file)) found.add(image);
  }
  return [...found].sort(naturalOrder);
}

async function imagesIn(file: string): Promise<string[]> {
  if (!IMAGE_FOLDER.test(file) || kindOf(file) !== 'folder') return [file];
  const fields = await plateFields(folderStore(file)).catch(() => undefined); // opening it says what is wrong with it
  return fields?.map(({ key }) => path.join(file, key)) ?? [file];
}

function expand(input: string, pattern?: string): string[] {
  const kind = kindOf(input);
  if (kind === 'file' || (kind === 'folder' && (IMAGE_FOLDER.test(input) || isField(input)))) return [input];
  if (kind === 'folder') {
    if (pattern) return matching(path.join(input, pattern));
    return listFolder(readdirSync(input)).chosen.map((name) => path.join(input, name));
  }
  return /[*?[\]{}]/.test(input) ? matching(input) : [];
}

/** A folder inside a zarr that is named itself, such as a field of a plate. */
function isField(folder: string): boolean {
  return nameOfFile(folder).includes('/') && ['.zattrs', 'zarr.json'].some((file) => kindOf(path.join(folder, file)));
}

function kindOf(file: string): 'file' | 'folder' | undefined {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat && (stat.isDirectory() ? 'folder' : 'file');
}

/** Paths that match a glob: `*` and `?` within a name, `**` over folders. Node 20 has no stable glob of its own. */
function matching(glob: string): string[] {
  const parts = path.normalize(glob).split(path.sep);
  const first = parts.findIndex((part) => /[*?[\]{}]/.test(part));
  const root = parts.slice(0, first).join(path.sep) || (path.isAbsolute(glob) ? path.sep : '.');
  const found: string[] = [];
  const walk = (folder: string, rest: readonly string[]) => {
    const [part, ...tail] = rest;
    if (part === '**') {
      walk(folder, tail);
      for (const name of foldersIn(folder)) walk(path.join(folder, name), rest);
      return;
    }
    const test = toRegExp(part);
    for (const name of namesIn(folder)) {
      if (!test.test(name)) continue;
      const full = path.join(folder, name);
      if (tail.length === 0) found.push(full);
      else if (kindOf(full) === 'folder') walk(full, tail);
    }
  };
  walk(root, parts.slice(first));
  return found.filter((file) => kindOf(file) === 'file' || IMAGE_FOLDER.test(file));
}

function namesIn(folder: string): string[] {
  return kindOf(folder) === 'folder' ? readdirSync(folder) : [];
}

function foldersIn(folder: string): string[] {
  return namesIn(folder).filter((name) => kindOf(path.join(folder, name)) === 'folder' && !IMAGE_FOLDER.test(name));
}

function toRegExp(part: string): RegExp {
  const source = part
    .replace(/[.+^$|()\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${source.replace(/\{([^}]*)\}/g, (_, names: string) => `(?:${names.replaceAll(',', '|')})`)}$`);
}
