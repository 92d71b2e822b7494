import type { NamedBytes } from '../../src/io/stores/zip.js';
import { areTracks, importTracks, tracksInZip } from '../../src/session/import-tracks.js';
import type { AnnotationSession } from '../../src/session/session.js';

/**
 * Takes dropped files as tracks made elsewhere, if that is what they are: a folder of the Cell Tracking Challenge, a zip
 * of one, or a table of napari with its graph. They belong to the open image.
 *
 * @returns false if they are something else
 */
export async function takeTracks(session: AnnotationSession, files: readonly File[]): Promise<boolean> {
  const found = await tracksAmong(files);
  if (!found) return false;
  await importTracks(session, found);
  return true;
}

async function tracksAmong(files: readonly File[]): Promise<readonly NamedBytes[] | undefined> {
  const bytesOf = async (file: File) => new Uint8Array(await file.arrayBuffer());
  if (areTracks(files.map(({ name }) => name)))
    return Promise.all(files.map(async (file) => ({ name: file.name, bytes: await bytesOf(file) })));
  const [file, ...others] = files;
  if (others.length > 0 || !/\.zip$/i.test(file.name) || file.size > LARGEST_ZIP) return undefined;
  return tracksInZip(await bytesOf(file), file.name);
}

/** A larger zip is an image; tracks take little. */
const LARGEST_ZIP = 2 ** 29;
