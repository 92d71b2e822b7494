import { statSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import path from 'node:path';
import { codeOf, SamError } from '../errors.js';
import { type ByteSource, checkRange } from './bytes.js';
import { installWebpDecoder } from './formats/webp.js';

/** Browsers decode WebP themselves; Node has to bring a decoder. */
installWebpDecoder(async (bytes) => (await import('@cwasm/webp')).decode(bytes));

/** What lies at this place; undefined if nothing does, or only a link that leads nowhere. */
export function kindOf(file: string): 'file' | 'folder' | 'other' | undefined {
  try {
    const stat = statSync(file, { throwIfNoEntry: false });
    return stat && (stat.isDirectory() ? 'folder' : stat.isFile() ? 'file' : 'other');
  } catch {
    return undefined; // a link to itself, a folder that cannot be entered: opening it says so
  }
}

/** A file on disk as a ByteSource; only for hosts with a file system. Close it, or the ImageSource over it, when done. */
export async function fileBytes(file: string): Promise<ByteSource> {
  const name = path.basename(file);
  let handle: FileHandle;
  try {
    // Before it is opened: a pipe would wait for somebody to write into it.
    if (!(await stat(file)).isFile())
      throw new SamError('invalid_argument', `${file} is not a file; a folder is opened through a store.`);
    handle = await open(file, 'r');
  } catch (cause) {
    if (cause instanceof SamError) throw cause;
    const code = codeOf(cause);
    if (code === 'ENOENT') throw new SamError('not_found', `There is no file ${file}.`, { cause });
    const advice = code === 'ELOOP' ? 'it is a link to itself' : 'check its permissions';
    throw new SamError('storage', `${file} cannot be opened (${code}); ${advice}.`, { cause });
  }
  const { size } = await handle.stat();
  return {
    name,
    size,
    async read(offset, length, { signal } = {}) {
      signal?.throwIfAborted();
      checkRange(name, size, offset, length);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) throw new SamError('invalid_image', `${name} became shorter while it was read.`);
        done += bytesRead;
        signal?.throwIfAborted();
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}
