import { namesZarr } from '../io/folder/file-names.js';
import type { ImageInput } from '../io/open.js';
import { rootOfKeys } from '../io/zarr/keys.js';

/** Whether files are the chunks of a zarr, which are no images. */
export function isZarr(files: readonly { readonly name: string; readonly webkitRelativePath?: string }[]): boolean {
  return rootOfKeys(files.map(({ name, webkitRelativePath }) => webkitRelativePath || name)) !== undefined;
}

export function isZarrAddress(input: ImageInput): input is string {
  return typeof input === 'string' && namesZarr(input);
}
