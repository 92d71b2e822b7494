import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { httpBytes } from '../io/http-bytes.js';
import { fileBytes } from '../io/node-file.js';
import { isAddress, nameOfFile } from '../io/node-open.js';
import { areTracks, trackFiles } from '../session/loading/import-tracks.js';
import type { Input } from './batch/input.js';
import { listInputs } from './batch/inputs.js';
import { pairInputs } from './batch/pairs.js';
import { UsageError } from './command.js';

/**
 * What the annotators are given to begin with: a label image for each image, or for one time series its tracks: a folder
 * of the Cell Tracking Challenge, a zip of one, or a table of napari, whose graph lies beside it.
 */
export interface InitialObjects {
  /** One for each image, if it has one. */
  readonly labels?: readonly (string | undefined)[];
  readonly tracks?: readonly string[];
}

export interface InitialOptions {
  /** Of a folder of label images, only what matches. */
  readonly pattern?: string;
  /** Images without label images begin without objects. */
  readonly ignoreUnpaired?: boolean;
  readonly log?: (line: string) => void;
}

/** @param from files, folders and addresses as the user named them */
export async function initialObjects(
  from: readonly string[],
  images: readonly Input[],
  { pattern, ...options }: InitialOptions = {},
): Promise<InitialObjects> {
  const missing = from.find((file) => !isAddress(file) && !existsSync(file) && !/[*?]/.test(file));
  if (missing) throw new UsageError(`There is no file ${path.resolve(missing)}.`);
  const found = await Promise.all(from.map(tracksAt));
  const tracks = found.flatMap((files) => files ?? []);
  const others = from.filter((_, i) => found[i] === undefined);
  if (tracks.length > 0 && images.length !== 1)
    throw new UsageError(`Tracks belong to one time series; there are ${images.length} images.`);
  if (others.length === 0) return { tracks };
  const labels = await listInputs(others, { pattern, role: 'labels', log: options.log });
  const pairs = new Map(pairInputs(images, labels, { ones: 'images', others: 'label images', ...options }));
  return {
    labels: images.map((image) => pairs.get(image)?.file),
    ...(tracks.length > 0 && { tracks }),
  };
}

/** The files of tracks that this path stands for; undefined if it is something else. */
async function tracksAt(given: string): Promise<string[] | undefined> {
  if (isAddress(given)) return addressOfTracks(given);
  const file = path.resolve(given);
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

/** A zip of tracks or a table; a folder cannot be listed over HTTP. */
async function addressOfTracks(address: string): Promise<string[] | undefined> {
  const name = nameOfFile(address);
  if (areTracks([name])) return [address];
  return /\.zip$/i.test(name) && (await trackFiles([await httpBytes(address)])) ? [address] : undefined;
}
