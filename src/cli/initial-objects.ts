import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileBytes } from '../io/node-file.js';
import { areTracks, trackFiles } from '../session/loading/import-tracks.js';
import { expandInputs } from './batch/inputs.js';
import { UsageError } from './command.js';

/**
 * What the annotators are given to begin with: a label image for each image, or for one time series its tracks: a folder
 * of the Cell Tracking Challenge, a zip of one, or a table of napari, whose graph lies beside it.
 */
export interface InitialObjects {
  readonly labels?: readonly string[];
  readonly tracks?: readonly string[];
}

/** @param from files and folders as the user named them */
export async function initialObjects(
  from: readonly string[],
  images: readonly string[],
  pattern?: string,
): Promise<InitialObjects> {
  const given = from.map((file) => path.resolve(file));
  const missing = given.find((file) => !existsSync(file) && !/[*?]/.test(file));
  if (missing) throw new UsageError(`There is no file ${missing}.`);
  const found = await Promise.all(given.map(tracksAt));
  const tracks = found.flatMap((files) => files ?? []);
  const others = given.filter((_, i) => found[i] === undefined);
  if (tracks.length > 0 && images.length !== 1)
    throw new UsageError(`Tracks belong to one time series; there are ${images.length} images.`);
  const labels = others.length > 0 ? await expandInputs(others, pattern) : undefined;
  if (labels && labels.length !== images.length)
    throw new UsageError(
      `There are ${images.length} images and ${labels.length} label images (${others.join(', ')}); each image needs its own.`,
    );
  return { ...(labels && { labels }), ...(tracks.length > 0 && { tracks }) };
}

/** The files of tracks that this path stands for; undefined if it is something else. */
async function tracksAt(file: string): Promise<string[] | undefined> {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (!stat) return undefined;
  const name = path.basename(file);
  if (stat.isDirectory()) {
    const names = readdirSync(file).filter((entry) => /\.(tiff?|txt|csv|json)$/i.test(entry));
    return areTracks(names) ? names.sort().map((entry) => path.join(file, entry)) : undefined;
  }
  if (/\.zip$/i.test(name)) {
    const source = await fileBytes(file);
    try {
      return (await trackFiles([source])) && [file];
    } finally {
      await source.close?.();
    }
  }
  if (!areTracks([name])) return undefined;
  const graph = file.replace(/tracks?\.csv$/i, 'graph.json');
  return graph !== file && existsSync(graph) ? [file, graph] : [file];
}
