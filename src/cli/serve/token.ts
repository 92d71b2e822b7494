import { randomBytes, timingSafeEqual } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../../errors.js';

/**
 * The secret of the address. It is kept in a file that only the user can read, so that a page which stays open finds the
 * server again after a restart; who deletes the file gets a new one at the next start, and old addresses are void.
 */
export async function serverToken(folder: string, log: (line: string) => void): Promise<string> {
  const file = path.join(folder, 'token');
  const kept = await readToken(file);
  if (kept !== undefined) return kept;
  const token = randomBytes(16).toString('hex');
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeSecret(file, token);
  } catch (error) {
    log(`The key of the address is good for this start only: ${file} cannot be written (${messageOf(error)}).`);
  }
  return token;
}

/** A file that only the user can read, whole or not at all, whatever was there before. */
export async function writeSecret(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}`;
  await rm(temporary, { force: true });
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(text);
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}

/** Undefined if there is none, or one that others could have read or written. */
async function readToken(file: string): Promise<string | undefined> {
  try {
    const handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    try {
      const stats = await handle.stat();
      const text = stats.isFile() && stats.size < 1000 && isPrivate(stats) ? await handle.readFile('utf8') : '';
      return /^[0-9a-f]{32}$/.exec(text.trim())?.[0];
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}

/** Windows has no such bits; there the folder of the user is closed to others. */
function isPrivate({ mode, uid }: Stats): boolean {
  return process.platform === 'win32' || ((mode & 0o077) === 0 && uid === process.getuid?.());
}

/** Compares in a time that tells nothing of how much of the secret was right. */
export function isSecret(given: string, secret: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(secret)];
  return a.length === b.length && timingSafeEqual(a, b);
}
