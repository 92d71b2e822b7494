import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { SamError } from '../errors.js';
import { type ByteSource, checkRange } from './bytes.js';
import { installWebpDecoder } from './formats/webp.js';

/** Browsers decode WebP themselves; Node has to bring a decoder. */
installWebpDecoder(async (bytes) => (await import('@cwasm/webp')).decode(bytes));

/** A file on disk as a ByteSource; only for hosts with a file system. Close it, or the ImageSource over it, when done. */
export async function fileBytes(file: string): Promise<ByteSource> {
  const name = path.basename(file);
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new SamError('not_found', `There is no file ${file}.`, { cause });
    throw new SamError('storage', `${file} cannot be opened (${code}); check its permissions.`, { cause });
  }
  const stat = await handle.stat();
  if (!stat.isFile()) {
    await handle.close();
    throw new SamError('invalid_argument', `${file} is not a file; a folder is opened through a store.`);
  }
  const { size } = stat;
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
