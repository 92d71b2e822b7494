import { type Zippable, zip } from 'fflate';
import { SamError } from '../../errors.js';
import type { Store } from '../store.js';
import type { ZipArchive } from '../zip-archive.js';
import { checkKey, rangeBounds, readOnly } from './key.js';

export interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** One zip archive of all files. Names may hold folders; what is compressed already is stored as it is. */
export function zipFiles(files: Iterable<NamedBytes>): Promise<Uint8Array> {
  const entries: Zippable = {};
  for (const { name, bytes } of files) {
    if (name in entries) throw new SamError('invalid_argument', `Two files of one archive are named "${name}".`);
    entries[checkKey(name)] = [bytes, { level: COMPRESSED.test(name) ? 0 : 6 }];
  }
  return new Promise((resolve, reject) =>
    zip(entries, (error, bytes) =>
      error
        ? reject(new SamError('internal', `Could not write the zip: ${error.message}`, { cause: error }))
        : resolve(bytes),
    ),
  );
}

/** A zip archive as a read-only store; members are read and unpacked when asked for. */
export function archiveStore(archive: ZipArchive, name = archive.name): Store {
  const { members } = archive;
  return {
    name,
    ...readOnly(name),
    async get(key, options) {
      return members.has(checkKey(key)) ? archive.read(key, options) : undefined;
    },
    async getRange(key, offset, length, options) {
      if (!members.has(checkKey(key))) return undefined;
      const file = await archive.open(key, options);
      const [start, end] = rangeBounds(file.size, offset, length);
      return file.read(start, end - start, options);
    },
    async *list(prefix = '') {
      for (const key of members.keys()) if (key.startsWith(prefix) && !key.endsWith('/')) yield key;
    },
  };
}

const COMPRESSED = /\.(zip|png|jpe?g|tiff?|gz)$/i;
