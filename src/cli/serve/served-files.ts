import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import path from 'node:path';
import { SamError } from '../../errors.js';
import type { Ask } from './routes.js';
import { decodePath, fileBelow, sendFile } from './send-file.js';

/**
 * The files that the user named on the command line, and nothing else of the disk: each under an address nobody can
 * guess. Ranges are answered, because large images are read in parts. A folder (an OME-Zarr) is served with what lies
 * below it; links in it that lead out of it are not followed.
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

  async answer({ url, request, response }: Ask): Promise<void> {
    const [, , id, name, ...below] = decodePath(url.pathname);
    const root = this.roots.get(id);
    if (root === undefined || name !== path.basename(root)) throw new SamError('not_found', 'There is no such file.');
    await sendFile(await fileBelow(root, below), 'application/octet-stream', request, response);
  }
}
