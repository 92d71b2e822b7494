import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readlink, realpath } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { SamError } from '../../errors.js';

/**
 * The one way in which a file of the disk becomes an answer: only regular files, in ranges (RFC 9110, one per request),
 * as 304 if the client has it already, and with the file closed however the download ends.
 */
export async function sendFile(
  file: string,
  contentType: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const handle = await openFile(file);
  try {
    const { size, mtimeNs, mtime } = await handle.stat({ bigint: true });
    const etag = `"${size.toString(36)}-${mtimeNs.toString(36)}"`;
    response.setHeader('Accept-Ranges', 'bytes');
    response.setHeader('Cache-Control', 'no-cache');
    response.setHeader('ETag', etag);
    response.setHeader('Last-Modified', mtime.toUTCString());
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304).end();
      return;
    }
    await sendPart(handle, Number(size), { contentType, etag }, request, response);
  } finally {
    await handle.close();
  }
}

async function sendPart(
  handle: FileHandle,
  size: number,
  { contentType, etag }: { readonly contentType: string; readonly etag: string },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { range: asked, 'if-range': ifRange } = request.headers;
  const range = ifRange === undefined || ifRange === etag ? parseRange(asked, size) : undefined;
  if (range === 'invalid') {
    response.writeHead(416, { 'Content-Range': `bytes */${size}` }).end();
    return;
  }
  const [start, end] = range ?? [0, size - 1];
  const length = end - start + 1;
  response.writeHead(range ? 206 : 200, {
    'Content-Type': contentType,
    'Content-Length': length,
    ...(range && { 'Content-Range': `bytes ${start}-${end}/${size}` }),
  });
  if (request.method === 'HEAD' || length === 0) {
    response.end();
    return;
  }
  const stream = handle.createReadStream({ start, end, autoClose: false });
  await pipeline(stream, response).catch(() => response.destroy());
  // A file that became shorter meanwhile: the client must not wait for the rest.
  if (stream.bytesRead < length) request.socket.destroy();
}

/**
 * @param file whose links have been followed
 * @throws SamError `not_found` for what is not there, not readable or no regular file
 */
async function openFile(file: string): Promise<FileHandle> {
  // Without waiting: opening a named pipe would last until somebody writes into it.
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);
  const handle = await open(file, flags).catch((error) => {
    if (error.code === 'EMFILE' || error.code === 'ENFILE')
      throw new SamError('storage', 'The server has too many files open. Try again.', { cause: error });
    throw noFile(error);
  });
  if (await isStillThere(file, handle)) return handle;
  await handle.close();
  throw noFile();
}

/** Whether this is a file, and what is at its place: not what a link led to that took the place of it or of a folder above. */
async function isStillThere(file: string, handle: FileHandle): Promise<boolean> {
  try {
    const opened = await handle.stat({ bigint: true });
    if (!opened.isFile()) return false;
    const isSame = ({ ino, dev }: { ino: bigint; dev: bigint }) => ino === opened.ino && dev === opened.dev;
    // Two looks at a path may fall on both sides of a swap; where Linux says that the open file lies cannot.
    const place = await readlink(`/proc/self/fd/${handle.fd}`).catch(() => undefined);
    if (place === file) return true;
    if (place !== undefined && isSame(await lstat(place, { bigint: true }))) return false;
    return isSame(await lstat(file, { bigint: true })) && (await realpath(file)) === file;
  } catch {
    return false;
  }
}

const noFile = (cause?: unknown) => new SamError('not_found', 'There is no such file.', { cause });

/**
 * The file that an address names below a folder, or the root itself if no names follow. Links are followed first, and
 * what leaves the folder by them is not there.
 *
 * @param names decoded parts of the address
 * @throws SamError `not_found`
 */
export async function fileBelow(root: string, names: readonly string[]): Promise<string> {
  if (names.some((name) => name === '..' || NOT_A_NAME.test(name))) throw noFile();
  try {
    const base = await realpath(root);
    const file = await realpath(path.join(base, ...names));
    if (file === base || file.startsWith(base.endsWith(path.sep) ? base : base + path.sep)) return file;
  } catch (error) {
    throw noFile(error);
  }
  throw noFile();
}

const NOT_A_NAME = process.platform === 'win32' ? /[/\\\0:]/ : /[/\\\0]/;

/** @throws SamError `invalid_argument` for percent signs that encode nothing */
export function decodePath(pathname: string): string[] {
  try {
    return pathname.split('/').map(decodeURIComponent);
  } catch (cause) {
    throw new SamError('invalid_argument', `${pathname} is not an address: a percent sign must encode a character.`, {
      cause,
    });
  }
}

/** First and last byte of a `Range` header with one range; undefined for none (or several, which may be ignored). */
export function parseRange(header: string | undefined, size: number): [number, number] | 'invalid' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  if (match[1] === '') {
    const length = Math.min(Number(match[2]), size);
    return length === 0 ? 'invalid' : [size - length, size - 1];
  }
  const start = Number(match[1]);
  const end = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return start < size && start <= end ? [start, end] : 'invalid';
}
