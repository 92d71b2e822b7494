import { createHmac } from 'node:crypto';
import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { SamError } from '../../errors.js';
import { namesZarr } from '../../io/folder/file-names.js';
import { addressBeside, nameOfUrl } from '../../io/http.js';
import { httpBytes } from '../../io/http-bytes.js';
import { fileBytes, kindOf } from '../../io/node-file.js';
import { isAddress } from '../../io/node-open.js';
import { filesNeeded } from '../../io/tiff/ome-files.js';
import { filesOfWeights } from '../../onnx/external-data.js';
import type { Ask } from './routes.js';
import { sendAddress } from './send-address.js';
import { decodePath, fileBelow, sendFile } from './send-file.js';

/**
 * The files and addresses that the user named on the command line, and nothing else of the disk: each under an address nobody can
 * guess, and which is the same after a restart, so that an open page reads on. Ranges are answered, because large images are read in parts. A folder (an OME-Zarr) is served with what lies
 * below it; links in it that lead out of it are not followed. Of a recording of several files, those that the named one
 * says it needs are served beside it, and the files of weights that a model names, beside it or below.
 */
export class ServedFiles {
  private readonly roots = new Map<string, string>();
  private readonly models = new Set<string>();
  private readonly needed = new Map<string, Promise<readonly string[]>>();

  /** @param secret that the addresses are made from */
  constructor(private readonly secret: string) {}

  /**
   * @param file path or http(s) address
   * @returns path of the file's address; that of a folder ends with a slash
   */
  add(file: string): string {
    const place = isAddress(file) ? file : path.resolve(file);
    const id = createHmac('sha256', this.secret).update(place).digest('hex').slice(0, 32);
    this.roots.set(id, file);
    const isFolder = isAddress(file)
      ? /\/$/.test(file) || namesZarr(file)
      : statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
    return `/files/${id}/${encodeURIComponent(nameOf(file))}${isFolder ? '/' : ''}`;
  }

  /** @param file path of an ONNX model. @returns path of its address */
  addModel(file: string): string {
    this.models.add(file);
    return this.add(file);
  }

  async answer({ url, request, response }: Ask): Promise<void> {
    const [, , id = '', name = '', ...below] = decodePath(url.pathname);
    const root = this.roots.get(id);
    if (root === undefined) throw noFile();
    if (name !== nameOf(root)) return this.answerBeside(root, [name, ...below], { request, response });
    if (isAddress(root)) return sendAddress(root, below.at(-1) === '' ? below.slice(0, -1) : below, request, response);
    await sendFile(await fileBelow(root, below), 'application/octet-stream', request, response);
  }

  /** A file beside the named one, if that needs it. */
  private async answerBeside(
    root: string,
    names: readonly string[],
    { request, response }: Pick<Ask, 'request' | 'response'>,
  ): Promise<void> {
    const find = this.models.has(root) ? weightsOf : neededBeside;
    const needed = this.needed.get(root) ?? find(root).catch(() => []); // opening it says what is wrong with it
    this.needed.set(root, needed);
    if (!(await needed).includes(names.join('/'))) throw noFile();
    if (isAddress(root)) return sendAddress(addressBeside(root, names[0] ?? ''), [], request, response);
    await sendFile(await fileBelow(path.dirname(root), names), 'application/octet-stream', request, response);
  }
}

async function weightsOf(model: string): Promise<string[]> {
  return [...filesOfWeights(await readFile(model))];
}

async function neededBeside(root: string): Promise<string[]> {
  if (!isAddress(root) && kindOf(root) !== 'file') return [];
  const open = (place: string) => (isAddress(place) ? httpBytes(place) : fileBytes(place));
  const source = await open(root);
  try {
    return await filesNeeded(source, (name) =>
      open(isAddress(root) ? addressBeside(root, name) : path.join(path.dirname(root), name)),
    );
  } finally {
    await source.close?.();
  }
}

const noFile = () => new SamError('not_found', 'There is no such file.');

function nameOf(file: string): string {
  return isAddress(file) ? nameOfUrl(file) : path.basename(file);
}
