import type { TaskOptions } from '../../task.js';
import type { ByteSource } from '../bytes.js';
import { isNdTiffName, NDTIFF_INDEX, ndTiffFiles, readNdTiffIndex } from '../tiff/ndtiff.js';
import { companionDocument, descriptionOf, documentIn, documentOf, fileNames, isOwnPart } from '../tiff/ome-files.js';
import type { OmeDocument } from '../tiff/ome-xml.js';
import { fileNameOf, foldedName, folderOf, isCompanionName } from './file-names.js';

/**
 * Files of a folder that are one image together: an OME-TIFF of several files, each of which finds the others when it is
 * opened, what a companion file puts together, and an NDTiff. Told from what the files hold. One of them stands for all; a file
 * that shows other images of the same recording, as another position, stands for itself.
 */
export type OpenFile = (name: string) => Promise<ByteSource>;

/**
 * @param names paths of images, with slashes
 * @param open of these files, and of the index that may lie beside them
 * @returns for each part of a set, also an index, the file that stands for it
 */
export async function partsOfSets(
  names: readonly string[],
  open: OpenFile,
  options: TaskOptions = {},
): Promise<Map<string, string>> {
  const folders = new Map<string, string[]>();
  for (const name of names.filter((each) => MAY_BE_PART.test(each)))
    folders.set(folderOf(name), [...(folders.get(folderOf(name)) ?? []), name]);
  const parts = new Map<string, string>();
  for (const inFolder of folders.values())
    if (inFolder.length > 1 || inFolder.some(isNdTiffName))
      for (const [part, whole] of await new Folder(inFolder, open, options).parts()) parts.set(part, whole);
  return parts;
}

const MAY_BE_PART = /\.(tiff?|tf[28]|btf|companion\.ome)$/i;

interface Member {
  readonly name: string;
  /** The images of the recording that the file has a part in. */
  readonly images: ReadonlySet<number>;
  /** Its place among the files of the recording. */
  readonly rank: number;
}

class Folder {
  private readonly byName: ReadonlyMap<string, string>;
  private readonly documents = new Map<string, Promise<OmeDocument | undefined>>();

  constructor(
    private readonly names: readonly string[],
    private readonly open: OpenFile,
    private readonly options: TaskOptions,
  ) {
    this.byName = new Map(names.map((name) => [foldedName(fileNameOf(name)), name]));
  }

  async parts(): Promise<Map<string, string>> {
    const parts = new Map<string, string>();
    for (const companion of this.names.filter(isCompanionName))
      for (const part of await this.filesOf(companion)) parts.set(part, companion);
    const stack = this.names.find(isNdTiffName);
    if (stack !== undefined) for (const [part, whole] of await this.indexed(folderOf(stack))) parts.set(part, whole);
    const recordings = new Map<string, Member[]>();
    for (const name of this.names) {
      this.options.signal?.throwIfAborted();
      if (parts.has(name) || isCompanionName(name)) continue;
      const document = await this.documentOf(name);
      const files = document && fileNames(document).map(foldedName);
      const member = document && memberOf(name, document);
      if (files === undefined || member === undefined) continue;
      const key = [...files].sort().join('/');
      recordings.set(key, [...(recordings.get(key) ?? []), member]);
    }
    for (const members of recordings.values()) for (const [part, whole] of covered(members)) parts.set(part, whole);
    return parts;
  }

  /** Of the files that a companion file names, those that are here. */
  private async filesOf(companion: string): Promise<string[]> {
    const document = await this.read(companion, (source) => companionDocument(source, this.options));
    return fileNames(document ?? { images: [] }).flatMap((name) => this.byName.get(foldedName(name)) ?? []);
  }

  /** The index of an NDTiff and its files after the first one that is here. */
  private async indexed(folder: string): Promise<[string, string][]> {
    const index = folder + NDTIFF_INDEX;
    const entries = await this.read(index, (source) => readNdTiffIndex(source, this.options));
    const [whole, ...parts] = ndTiffFiles(entries ?? []).flatMap((name) => this.byName.get(foldedName(name)) ?? []);
    return whole === undefined ? [] : [index, ...parts].map((part) => [part, whole]);
  }

  private documentOf(name: string): Promise<OmeDocument | undefined> {
    return this.read(name, async (source) =>
      documentOf(fileNameOf(name), await descriptionOf(source, this.options), (other) => this.documentIn(other)),
    );
  }

  private documentIn(fileName: string): Promise<OmeDocument | undefined> {
    const name = this.byName.get(foldedName(fileName));
    if (name === undefined) return Promise.resolve(undefined);
    const known = this.documents.get(name) ?? this.read(name, (source) => documentIn(source, this.options));
    this.documents.set(name, known);
    return known;
  }

  /** What cannot be read is no part of a set: whoever opens it is told what is wrong with it. */
  private async read<T>(name: string, work: (source: ByteSource) => Promise<T>): Promise<T | undefined> {
    let source: ByteSource | undefined;
    try {
      source = await this.open(name);
      return await work(source);
    } catch {
      return undefined;
    } finally {
      await source?.close?.();
    }
  }
}

/** Undefined for a file that the others of its recording would not find, since it is not called as they say. */
function memberOf(name: string, document: OmeDocument): Member | undefined {
  const files = fileNames(document).map(foldedName);
  const rank = files.indexOf(foldedName(fileNameOf(name)));
  if (files.length < 2 || rank < 0) return undefined;
  const isOwn = isOwnPart(document, fileNameOf(name));
  const images = document.images.flatMap(({ tiffData }, i) => (tiffData.some(isOwn) ? [i] : []));
  return images.length > 0 ? { name, images: new Set(images), rank } : undefined;
}

/** The members of a recording of whose images another one has all, or the same and comes first. */
function covered(members: readonly Member[]): [string, string][] {
  const sorted = [...members].sort((a, b) => b.images.size - a.images.size || a.rank - b.rank);
  return sorted.flatMap((part, i): [string, string][] => {
    const whole = sorted.slice(0, i).find(({ images }) => [...part.images].every((image) => images.has(image)));
    return whole ? [[part.name, whole.name]] : [];
  });
}
