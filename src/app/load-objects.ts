import { blobBytes } from '../io/bytes.js';
import { httpBytes } from '../io/http-bytes.js';
import { isUntouched } from '../session/layers.js';
import { importTracks, trackFiles } from '../session/loading/import-tracks.js';
import { loadObjects } from '../session/loading/load-objects.js';
import type { AnnotationSession } from '../session/session.js';
import type { PageFile } from './page-settings.js';

/**
 * Takes dropped files as tracks made elsewhere, if that is what they are: a folder of the Cell Tracking Challenge, a zip
 * of one, or a table of napari with its graph. They belong to the open image.
 *
 * @returns false if they are something else
 */
export async function takeTracks(session: AnnotationSession, files: readonly File[]): Promise<boolean> {
  const tracks = await trackFiles(files.map((file) => blobBytes(file)));
  if (!tracks) return false;
  await importTracks(session, tracks);
  return true;
}

/** Objects and tracks that the command line names for the open image; work that was saved comes first. */
export async function beginWithObjects(session: AnnotationSession, { labels, tracks }: PageFile): Promise<void> {
  const { image } = session.state;
  if (!isUntouched(session.state)) return;
  if (labels) await loadObjects(session, labels, 'the labels');
  if (!tracks) return;
  const served = tracks.map(async ({ name, url }) => ({ ...(await httpBytes(url)), name }));
  const found = await trackFiles(await Promise.all(served));
  if (found && session.state.image === image) await importTracks(session, found);
}
