import { SamError } from '../../errors.js';
import { unshared } from '../../ndimage/array.js';
import type { Store } from '../store.js';
import { browserStorageError } from './browser-error.js';
import { checkKey, rangeBounds } from './key.js';

/**
 * A folder of the browser's own file system (OPFS), or any folder a user picked. Atomic because `createWritable` writes
 * to a copy that replaces the file on close. Throws `storage` where the browser has no such thing; the caller then
 * takes `indexedDbStore`.
 */
export async function opfsStore(folder: string): Promise<Store> {
  try {
    let handle = await navigator.storage.getDirectory();
    for (const part of checkKey(folder).split('/')) handle = await handle.getDirectoryHandle(part, { create: true });
    if (!('createWritable' in FileSystemFileHandle.prototype))
      throw new SamError('storage', 'This browser cannot write to its file system.');
    if (!navigator.locks) throw new SamError('storage', 'This browser cannot lock its files.');
    return directoryStore(handle, `opfs:${folder}`);
  } catch (error) {
    throw browserStorageError(error, 'open', folder);
  }
}

function directoryStore(root: FileSystemDirectoryHandle, name: string = root.name): Store {
  async function parentOf(key: string, create: boolean): Promise<[FileSystemDirectoryHandle, string]> {
    const parts = checkKey(key).split('/');
    let folder = root;
    const name = parts.pop() ?? '';
    for (const part of parts) folder = await folder.getDirectoryHandle(part, { create });
    return [folder, name];
  }

  async function folderOf(path: string): Promise<FileSystemDirectoryHandle | undefined> {
    let folder = root;
    try {
      for (const part of path.split('/').slice(0, -1)) folder = await folder.getDirectoryHandle(part);
      return folder;
    } catch (error) {
      return missingOr(error, 'list', path);
    }
  }

  async function fileOf(key: string): Promise<File | undefined> {
    try {
      const [folder, base] = await parentOf(key, false);
      return await (await folder.getFileHandle(base)).getFile();
    } catch (error) {
      return missingOr(error, 'read', key);
    }
  }

  async function read(key: string, cut: (file: File) => Blob): Promise<Uint8Array | undefined> {
    const file = await fileOf(key);
    try {
      return file && new Uint8Array(await cut(file).arrayBuffer());
    } catch (error) {
      return missingOr(error, 'read', key);
    }
  }

  async function write(key: string, value: Uint8Array): Promise<void> {
    const [folder, base] = await parentOf(key, true);
    const writable = await (await folder.getFileHandle(base, { create: true })).createWritable();
    try {
      await writable.write(unshared(value));
      await writable.close();
    } catch (error) {
      await writable.abort().catch(() => undefined);
      throw error;
    }
  }

  return {
    name,
    get: (key) => read(key, (file) => file),
    getRange: (key, offset, length) => read(key, (file) => file.slice(...rangeBounds(file.size, offset, length))),
    async set(key, value) {
      try {
        await write(key, value);
      } catch (error) {
        throw browserStorageError(error, 'write', key);
      }
    },
    async create(key, value) {
      try {
        // The file system has no exclusive create; all pages of an origin share its locks.
        return await navigator.locks.request(`${name}/${checkKey(key)}`, async () => {
          const present = await fileOf(key);
          if (present && present.size > 0) return false;
          await write(key, value);
          return true;
        });
      } catch (error) {
        throw browserStorageError(error, 'write', key);
      }
    },
    async delete(key) {
      try {
        const [folder, base] = await parentOf(key, false);
        await folder.removeEntry(base);
      } catch (error) {
        missingOr(error, 'delete', key);
      }
    },
    async *list(prefix = '') {
      // Only the folder that the prefix names is read: others hold the work on thousands of images.
      const path = prefix.slice(0, prefix.lastIndexOf('/') + 1);
      const folder = await folderOf(path);
      if (!folder) return;
      for await (const key of walk(folder, path)) if (key.startsWith(prefix)) yield key;
    },
  };
}

async function* walk(folder: FileSystemDirectoryHandle, path: string): AsyncIterable<string> {
  for await (const [name, handle] of folder.entries()) {
    if (handle.kind === 'directory') yield* walk(handle as FileSystemDirectoryHandle, `${path}${name}/`);
    else if (!name.endsWith('.crswap')) yield path + name;
  }
}

function missingOr(error: unknown, verb: string, key: string): undefined {
  if (error instanceof DOMException && ['NotFoundError', 'TypeMismatchError'].includes(error.name)) return undefined;
  throw browserStorageError(error, verb, key);
}
