import { unzip, type Zippable, zip } from 'fflate';
import { SamError } from '../../errors.js';
import type { Store } from '../store.js';
import { checkKey, readOnly } from './key.js';

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

/** A zip archive in memory as a read-only store; members are unpacked when asked for. */
export async function zipStore(archive: Uint8Array, name = 'zip'): Promise<Store> {
  const names: string[] = [];
  await unpack(archive, name, (member) => {
    if (!member.endsWith('/')) names.push(member);
    return false;
  });
  const known = new Set(names);
  return {
    name,
    ...readOnly(name),
    async get(key) {
      if (!known.has(checkKey(key))) return undefined;
      return (await unpack(archive, name, (member) => member === key))[key];
    },
    async *list(prefix = '') {
      for (const key of names) if (key.startsWith(prefix)) yield key;
    },
  };
}

const COMPRESSED = /\.(zip|png|jpe?g|tiff?|gz)$/i;

function unpack(
  archive: Uint8Array,
  name: string,
  wanted: (member: string) => boolean,
): Promise<Record<string, Uint8Array>> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) =>
      reject(
        new SamError(
          'invalid_image',
          `${name} is not a readable zip archive: ${cause instanceof Error ? cause.message : cause}.`,
          {
            cause,
          },
        ),
      );
    try {
      unzip(archive, { filter: (file) => wanted(file.name) }, (error, files) => (error ? fail(error) : resolve(files)));
    } catch (error) {
      fail(error);
    }
  });
}
