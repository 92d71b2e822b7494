import path from 'node:path';
import type { TaskOptions } from '../task.js';
import { fileNameOf } from './folder/file-names.js';
import { nameOfUrl, withoutQuery } from './http.js';
import type { ImageSource } from './image.js';
import { fileBytes, kindOf } from './node-file.js';
import { openImage } from './open.js';
import type { OpenOptions } from './open-options.js';
import { folderStore } from './stores/fs.js';

/**
 * An image on disk, a file of any format or a zarr folder; or at an http(s) address.
 *
 * @param options.key the dataset inside an HDF5, zarr or npz file
 */
export async function openFile(
  file: string,
  options: Pick<OpenOptions, 'key' | 'series' | 'pixelSize'> & TaskOptions = {},
): Promise<ImageSource> {
  const named = { name: nameOfFile(file), ...options };
  if (isAddress(file)) return openImage(file, named);
  const folder = kindOf(file) === 'folder';
  const beside = async (name: string) => {
    const other = path.join(path.dirname(file), name);
    return kindOf(other) === 'file' ? fileBytes(other) : undefined;
  };
  return openImage(folder ? folderStore(file) : await fileBytes(file), { beside, ...named });
}

/** An http(s) address, which can stand wherever a path can. */
export function isAddress(file: string): boolean {
  return /^https?:\/\//i.test(file);
}

/** Its name without folder; for a part of a zarr from the zarr on, with slashes: `plate.zarr/A/1/0`. */
export function nameOfFile(file: string): string {
  // Of an address as openImage names it, but for the parts of a zarr.
  if (isAddress(file)) return fileNameOf(withoutQuery(file)).split('/').map(nameOfUrl).join('/');
  return fileNameOf(path.resolve(file).replaceAll(path.sep, '/'));
}
