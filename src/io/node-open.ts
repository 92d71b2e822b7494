import { statSync } from 'node:fs';
import path from 'node:path';
import type { TaskOptions } from '../task.js';
import type { ImageSource } from './image.js';
import { fileBytes } from './node-file.js';
import { openImage } from './open.js';
import type { OpenOptions } from './open-options.js';
import { folderStore } from './stores/fs.js';

/**
 * An image on disk: a file of any format, or a zarr folder.
 *
 * @param options.key the dataset inside an HDF5, zarr or npz file
 */
export async function openFile(
  file: string,
  options: Pick<OpenOptions, 'key' | 'pixelSize'> & TaskOptions = {},
): Promise<ImageSource> {
  const folder = statSync(file, { throwIfNoEntry: false })?.isDirectory();
  const beside = async (name: string) => {
    const other = path.join(path.dirname(file), name);
    return statSync(other, { throwIfNoEntry: false })?.isFile() ? fileBytes(other) : undefined;
  };
  return openImage(folder ? folderStore(file) : await fileBytes(file), { name: nameOfFile(file), beside, ...options });
}

/** Its name without folder; for a part of a zarr from the zarr on, with slashes: `plate.zarr/A/1/0`. */
export function nameOfFile(file: string): string {
  const names = path.resolve(file).split(path.sep);
  const zarr = names.findIndex((name) => /\.zarr$/i.test(name));
  return zarr < 0 ? names[names.length - 1] : names.slice(zarr).join('/');
}
