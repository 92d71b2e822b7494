import { membersOf } from '../../items.js';
import type { ByteSource } from '../bytes.js';
import type { Store } from '../store.js';
import { blobStore } from '../stores/blobs.js';
import { rootOfKeys } from './keys.js';

/** Files of a dropped folder as the store of the zarr in it, if there is one. Paths are those the browser gives. */
export function zarrOfFiles(files: readonly (Blob | ByteSource)[]): Store | undefined {
  const paths = new Map<string, Blob>();
  for (const file of files)
    if (file instanceof Blob) {
      const { webkitRelativePath, name } = membersOf(file);
      paths.set(String(webkitRelativePath || name || ''), file);
    }
  const root = rootOfKeys([...paths.keys()]);
  if (root === undefined) return undefined;
  const inside = [...paths]
    .filter(([path]) => path.startsWith(root))
    .map(([path, file]) => [path.slice(root.length), file] as const);
  const name = root.split('/').at(-2) ?? 'dropped folder';
  return blobStore(new Map(inside), name);
}
