import { link, mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { SamError } from '../../errors.js';
import type { Store } from '../store.js';
import { checkKey, rangeBounds } from './key.js';

/**
 * A folder as a store: key = relative path. A write goes to a temporary file beside its target, is flushed to the disk
 * and then renamed, so a reader sees the old or the new value even if the process or the machine dies in between.
 * Temporary files left by a killed process are never listed, and are removed when an hour old.
 */
export function folderStore(root: string): Store {
  const fileOf = (key: string) => {
    const names = checkKey(key).split('/');
    if (names.some((name) => name.startsWith(TEMPORARY)))
      throw new SamError('invalid_argument', `"${key}" is not a store key: a name may not begin with ${TEMPORARY}.`);
    return path.join(root, ...names);
  };
  const swept = new Set<string>();

  async function prepare(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    if (swept.has(folder)) return;
    swept.add(folder);
    await sweep(folder);
  }

  return {
    name: root,
    async get(key) {
      try {
        return new Uint8Array(await unlessStale(() => readFile(fileOf(key))));
      } catch (error) {
        return missingOr(error, 'read', key);
      }
    },
    async getRange(key, offset, length) {
      try {
        return await unlessStale(() => readRange(fileOf(key), offset, length));
      } catch (error) {
        return missingOr(error, 'read', key);
      }
    },
    async set(key, value) {
      const target = fileOf(key);
      const temporary = temporaryBeside(target);
      try {
        await unlessStale(() => prepare(path.dirname(target)));
        await unlessStale(() => writeAndFlush(temporary, value));
        await unlessStale(() => rename(temporary, target));
        await flushFolder(path.dirname(target));
      } catch (error) {
        await remove(temporary);
        throw storageError(error, 'write', key);
      }
    },
    async create(key, value) {
      const target = fileOf(key);
      const temporary = temporaryBeside(target);
      try {
        await unlessStale(() => prepare(path.dirname(target)));
        await unlessStale(() => writeAndFlush(temporary, value));
        const created = await linkOrRefuse(temporary, target);
        if (created) await flushFolder(path.dirname(target));
        return created;
      } catch (error) {
        throw storageError(error, 'write', key);
      } finally {
        await remove(temporary);
      }
    },
    async delete(key) {
      try {
        await unlessStale(() => rm(fileOf(key), { force: true }));
      } catch (error) {
        missingOr(error, 'delete', key);
      }
    },
    async *list(prefix = '') {
      const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
      if (folder !== '') checkKey(folder.slice(0, -1));
      for await (const key of walk(root, folder)) if (key.startsWith(prefix)) yield key;
    },
  };
}

/**
 * A network folder forgets what it knew of a file that another machine has replaced, or of all when its server starts anew,
 * and says so without having done anything: it is asked again.
 */
async function unlessStale<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++)
    try {
      return await work();
    } catch (error) {
      if (codeOf(error) !== 'ESTALE' || tries === 4) throw error;
    }
}

async function readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const [start, end] = rangeBounds((await file.stat()).size, offset, length);
    const bytes = new Uint8Array(end - start);
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await file.read(bytes, at, bytes.length - at, start + at);
      if (bytesRead === 0) return bytes.subarray(0, at);
      at += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

const TEMPORARY = '.partial-';
const STALE_MS = 3_600_000;
let counter = 0;

/** Two machines that share a folder can have processes of the same number. */
const RUN = Math.random().toString(36).slice(2, 8);

function temporaryBeside(target: string): string {
  return path.join(path.dirname(target), `${TEMPORARY}${process.pid}-${RUN}-${counter++}`);
}

/** Gives a written file its name unless that is taken: a hard link is made whole or not at all, on network folders too. */
async function linkOrRefuse(temporary: string, target: string): Promise<boolean> {
  try {
    await unlessStale(() => link(temporary, target));
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') {
      // A network folder can repeat a request whose answer was lost: then the name that is taken is ours.
      const [mine, theirs] = await Promise.all([stat(temporary), stat(target).catch(() => undefined)]);
      return theirs !== undefined && mine.nlink > 1 && mine.ino === theirs.ino;
    }
    if (!NO_LINKS.has(codeOf(error))) throw error;
  }
  return copyOrRefuse(temporary, target);
}

const NO_LINKS = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EXDEV']);

/**
 * For file systems without hard links (memory sticks, SMB): a kill in mid-copy leaves a part, which seals detect. Some of them
 * let two machines make one file, but none lets two make one folder: who made it may write.
 */
async function copyOrRefuse(temporary: string, target: string): Promise<boolean> {
  const claim = path.join(path.dirname(target), `${TEMPORARY}${path.basename(target)}`);
  if (!(await makeClaim(claim, temporary))) return false;
  try {
    const bytes = await unlessStale(() => readFile(temporary));
    await unlessStale(() => writeAndFlush(target, bytes));
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await unlessStale(() => rmdir(claim)).catch(() => undefined);
  }
}

/** A claim that a killed program has left is given up, by the clock of the file system, which `temporary` was written by, too. */
async function makeClaim(claim: string, temporary: string): Promise<boolean> {
  for (let tries = 0; ; tries++)
    try {
      await unlessStale(() => mkdir(claim));
      return true;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      const [made, now] = await Promise.all([stat(claim).catch(() => undefined), stat(temporary)]);
      if (tries > 0 || made === undefined || now.mtimeMs - made.mtimeMs < CLAIM_MS) return false;
      await rmdir(claim).catch(() => undefined);
    }
}

/** To write a file that was written beside it takes less. */
const CLAIM_MS = 60_000;

/** What is only in the way. */
async function remove(file: string): Promise<void> {
  await unlessStale(() => rm(file, { force: true })).catch(() => undefined);
}

/** A new file, whole and on the disk, or none. */
async function writeAndFlush(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'wx');
  let isWhole = false;
  try {
    await handle.writeFile(bytes);
    await handle.sync();
    isWhole = true;
  } finally {
    await handle.close();
    if (!isWhole) await remove(file);
  }
}

/** Makes the rename itself durable; some systems cannot open a folder, and lose at most the newest value in a power cut. */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(TEMPORARY)) continue;
    const file = path.join(folder, name);
    const info = await stat(file).catch(() => undefined);
    if (info && Date.now() - info.mtimeMs > STALE_MS) await rm(file, { force: true, recursive: true });
  }
}

async function* walk(root: string, folder: string): AsyncIterable<string> {
  const within = path.join(root, folder);
  const entries = await unlessStale(() => readdir(within, { withFileTypes: true })).catch((error) => {
    missingOr(error, 'list', folder);
    return [];
  });
  for (const entry of entries) {
    if (entry.isDirectory()) yield* walk(root, `${folder}${entry.name}/`);
    else if (!entry.name.startsWith(TEMPORARY)) yield folder + entry.name;
  }
}

/** A key that is not there, or that is a folder of other keys, is `undefined`; anything else is an error. */
function missingOr(error: unknown, verb: string, key: string): undefined {
  if (['ENOENT', 'ENOTDIR', 'EISDIR', 'ERR_FS_EISDIR'].includes(codeOf(error))) return undefined;
  throw storageError(error, verb, key);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; free some space and try again',
  EDQUOT: 'your disk quota is used up; free some space and try again',
  EFBIG: 'the file is larger than this file system or account allows',
  EROFS: 'the file system is read-only; choose another folder',
  EACCES: 'permission denied; choose another folder or change its permissions',
  EPERM: 'permission denied; choose another folder or change its permissions',
  ENOTDIR: 'a file stands where a folder is needed; choose another folder',
  EEXIST: 'a file stands where a folder is needed; choose another folder',
  EISDIR: 'a folder stands where a file is needed; choose another folder',
  ENAMETOOLONG: 'the path is too long for this file system',
};

function storageError(error: unknown, verb: string, key: string): SamError {
  if (error instanceof SamError) return error;
  const code = codeOf(error);
  const reason = REASONS[code] ?? (error instanceof Error ? error.message : String(error));
  return new SamError('storage', `Could not ${verb} "${key}": ${reason}.`, {
    cause: error,
    details: { key, reason: code },
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
