import { randomUUID } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

/**
 * The files that the user named on the command line, and nothing else of the disk: each under an address nobody can
 * guess. Ranges are answered, because large images are read in parts. A folder (an OME-Zarr) is served with what lies
 * below it.
 */
export class ServedFiles {
  private readonly roots = new Map<string, string>();

  /** @returns path of the file's address; that of a folder ends with a slash */
  add(file: string): string {
    const id = randomUUID();
    this.roots.set(id, file);
    const isFolder = statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
    return `/files/${id}/${encodeURIComponent(path.basename(file))}${isFolder ? '/' : ''}`;
  }

  async answer(pathname: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, , id, name, ...below] = pathname.split('/');
    const file = this.resolve(id, name, below);
    const stats = file === undefined ? undefined : await stat(file).catch(() => undefined);
    if (file === undefined || !stats?.isFile()) {
      response.writeHead(404).end('There is no such file.');
      return;
    }
    response.setHeader('Content-Type', 'application/octet-stream');
    response.setHeader('Accept-Ranges', 'bytes');
    response.setHeader('Cache-Control', 'no-cache');
    response.setHeader('Last-Modified', stats.mtime.toUTCString());
    const range = parseRange(request.headers.range, stats.size);
    if (range === 'invalid') {
      response.writeHead(416, { 'Content-Range': `bytes */${stats.size}` }).end();
      return;
    }
    const [start, end] = range ?? [0, stats.size - 1];
    response.writeHead(range ? 206 : 200, {
      'Content-Length': end - start + 1,
      ...(range ? { 'Content-Range': `bytes ${start}-${end}/${stats.size}` } : {}),
    });
    if (request.method === 'HEAD' || stats.size === 0) response.end();
    else await pipeline(createReadStream(file, { start, end }), response).catch(() => response.destroy());
  }

  private resolve(id: string, name: string, below: readonly string[]): string | undefined {
    const root = this.roots.get(id);
    if (root === undefined || decode(name ?? '') !== path.basename(root)) return undefined;
    const names = below.map(decode);
    const climbs = names.some((name) => name === undefined || name === '..' || /[/\\\0]/.test(name));
    return climbs ? undefined : path.join(root, ...(names as string[]));
  }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
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
