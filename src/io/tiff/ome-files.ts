import type { TaskOptions } from '../../task.js';
import { type ByteSource, readAll } from '../bytes.js';
import { SNIFF_LENGTH, sniffFormat } from '../sniff.js';
import { readTiffFile, TAG } from './container.js';
import { isNdTiffName, NDTIFF_INDEX, ndTiffFiles, readNdTiffIndex } from './ndtiff.js';
import { companionOf, isOmeXml, type OmeDocument, type OmeImage, parseOmeXml } from './ome-xml.js';

/** Which files an OME document is about, and what of it is in which of them. */

/**
 * Whether planes are in the file of this name. Its UUID says so, else its name; a file that was renamed is its own where
 * the whole document knows of one file only.
 */
export function isOwnPart(document: OmeDocument, ownName: string): (part: OmeImage['tiffData'][number]) => boolean {
  const alone = fileNames(document).length <= 1 && filesByUuid(document) <= 1;
  return ({ file, uuid }) => {
    if (alone || file === undefined) return true;
    if (uuid && document.uuid) return uuid === document.uuid;
    return baseName(file)?.toLowerCase() === ownName.toLowerCase();
  };
}

/** The files that a document names, in the order of its planes. */
export function fileNames(document: OmeDocument): string[] {
  const names = document.images.flatMap(({ tiffData }) => tiffData.map(({ file }) => baseName(file)));
  return [...new Set(names)].filter((name) => name !== undefined);
}

function filesByUuid(document: OmeDocument): number {
  return new Set(document.images.flatMap(({ tiffData }) => tiffData.map(({ uuid }) => uuid)).filter(Boolean)).size;
}

export function baseName(path: string | undefined): string | undefined {
  return path?.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}

/** The other files of the images that this file has a part in, by name. */
export function filesBeside(document: OmeDocument, ownName: string): string[] {
  const isOwn = isOwnPart(document, ownName);
  const parts = document.images.flatMap(({ tiffData }) => (tiffData.some(isOwn) ? tiffData : []));
  const names = parts.filter((part) => !isOwn(part)).map(({ file }) => baseName(file));
  return [...new Set(names)].filter((name) => name !== undefined);
}

/** The document that a companion file is. */
export async function companionDocument(source: ByteSource, options: TaskOptions): Promise<OmeDocument> {
  return parseOmeXml(new TextDecoder().decode(await readAll(source, options)));
}

/**
 * The document about a file: its own, or that of the TIFF it points to, the first one of its recording (MicroManager).
 * A companion file that it points to is opened by itself.
 *
 * @param description of the first page
 * @param other the document in a file beside this one
 * @returns undefined if there is none, or none that knows this file
 */
export async function documentOf(
  ownName: string,
  description: string | undefined,
  other: (name: string) => Promise<OmeDocument | undefined>,
): Promise<OmeDocument | undefined> {
  if (isOmeXml(description)) return parseOmeXml(description);
  const pointer = companionOf(description);
  const name = baseName(pointer?.name);
  if (pointer === undefined || name === undefined || !/\.tiff?$/i.test(name)) return undefined;
  const document = await other(name);
  const names = document === undefined ? [] : fileNames(document).map((each) => each.toLowerCase());
  if (document === undefined || names.length < 2 || !names.includes(ownName.toLowerCase())) return undefined;
  return { ...document, uuid: pointer.uuid };
}

/** The document in the first page of a TIFF. */
export async function documentIn(source: ByteSource, options: TaskOptions): Promise<OmeDocument | undefined> {
  const description = await descriptionOf(source, options);
  return isOmeXml(description) ? parseOmeXml(description) : undefined;
}

/** The description of the first page of a TIFF. */
export async function descriptionOf(source: ByteSource, options: TaskOptions): Promise<string | undefined> {
  const { directories } = await readTiffFile(source, options, 1);
  return directories[0].text(TAG.description);
}

/**
 * The files beside this one that its image is read from, by name: what an OME-TIFF of several files, a companion file or
 * an NDTiff's index names. Empty for all other files.
 *
 * @param beside opens a file beside this one; closed when it has been read
 */
export async function filesNeeded(
  source: ByteSource,
  beside: (name: string) => Promise<ByteSource | undefined>,
  options: TaskOptions = {},
): Promise<string[]> {
  const format = sniffFormat(await source.read(0, Math.min(SNIFF_LENGTH, source.size), options));
  if (format === 'ome') return fileNames(await companionDocument(source, options));
  if (format !== 'tiff') return [];
  const index = isNdTiffName(source.name) ? await beside(NDTIFF_INDEX) : undefined;
  if (index) {
    const files = await readNdTiffIndex(index, options)
      .then(ndTiffFiles)
      .finally(() => index.close?.());
    return [NDTIFF_INDEX, ...files];
  }
  const description = await descriptionOf(source, options);
  const document = await documentOf(source.name, description, async (name) => {
    const first = await beside(name);
    try {
      return first && (await documentIn(first, options));
    } finally {
      await first?.close?.();
    }
  });
  const first = baseName(companionOf(description)?.name) ?? [];
  return document === undefined ? [] : [...new Set([first, filesBeside(document, source.name)].flat())];
}
