import { SamError } from '../errors.js';
import type { Store } from '../io/store.js';

/**
 * The folder that an argument names.
 *
 * @param folder makes a store of a path; absent where there are no folders
 * @throws SamError `unsupported`
 */
export function folderOf(folder: ((path: string) => Store) | undefined, path: string, argument: string): Store {
  if (folder) return folder(path);
  throw new SamError(
    'unsupported',
    `A page has no folders: leave ${argument} out, or call the service of \`npm start\`.`,
  );
}
