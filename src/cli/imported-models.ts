import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Download, download } from '../checkpoints/download.js';
import {
  IMPORT_CARD,
  type ImportCard,
  type ImportOptions,
  importCheckpoint,
  type WriteFile,
} from '../checkpoints/import-checkpoint.js';
import { publishedCheckpoint } from '../checkpoints/published.js';
import { SamError } from '../errors.js';
import type { ByteSource } from '../io/bytes.js';
import { fileBytes } from '../io/node-file.js';
import { isAddress } from '../io/node-open.js';
import { folderStore } from '../io/stores/fs.js';
import type { ModelSpec } from '../model/model-spec.js';
import { modelNames, registerModel } from '../model/registry.js';
import type { TaskOptions } from '../task.js';
import { userDataFolder } from './serve/user-data.js';

/** Models made from checkpoints: a folder each, with ONNX files and a card. */
export function importedModelsFolder(): string {
  return path.join(userDataFolder(), 'imported');
}

/** Names of the imported models. */
export function importedModels(): string[] {
  const folder = importedModelsFolder();
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => existsSync(path.join(folder, name, IMPORT_CARD)));
}

/** The imported model in a folder, registered; undefined if there is none. */
export function importedModelIn(folder: string): ModelSpec | undefined {
  const file = path.join(folder, IMPORT_CARD);
  if (!existsSync(file)) return undefined;
  let card: Partial<ImportCard>;
  try {
    card = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new SamError('model_unavailable', `The card of a model cannot be read: ${file}.`, { cause });
  }
  const { name, encoder, encoderDigest, decoder, instances, description, licence } = card;
  // Cards of trained models name no encoder.
  if (typeof name !== 'string' || typeof encoder !== 'string' || typeof decoder !== 'string') return undefined;
  const at = (part: string) => path.join(folder, path.basename(part));
  return registerModel({
    name,
    description,
    licence,
    encoder: { url: at(encoder), ...(typeof encoderDigest === 'string' && { digest: encoderDigest }) },
    decoder: at(decoder),
    ...(typeof instances === 'string' && { instances: at(instances) }),
  });
}

/** An imported model by its name. */
export function importedModel(name: string): ModelSpec | undefined {
  return /^[\w.-]+$/.test(name) && name !== '..' ? importedModelIn(path.join(importedModelsFolder(), name)) : undefined;
}

export interface FileImport extends ImportOptions {
  readonly decoderFile?: string;
  /** Where its files go; default: among the imported models, by its name. */
  readonly folder?: string;
}

/**
 * Imports a checkpoint into a folder: a file, or one that is published, by its name. The folder appears when it is
 * complete; an earlier one is replaced.
 */
export async function importModel(checkpoint: string, options: FileImport = {}) {
  const published = existsSync(checkpoint) ? undefined : publishedCheckpoint(checkpoint);
  const { signal, onProgress } = options;
  const store = folderStore(userDataFolder());
  const files: ByteSource[] = [];
  const fetched: Download[] = [];
  const opened = async (place: string, xxh128?: string) => {
    if (!isAddress(place)) {
      const file = await fileBytes(place);
      files.push(file);
      return file;
    }
    const file = await download(store, place, { xxh128, signal, onProgress });
    fetched.push(file);
    return file;
  };
  try {
    const source = await opened(published?.url ?? checkpoint, published?.xxh128);
    const others: ByteSource[] = [];
    if (options.decoderFile !== undefined) others.push(await opened(options.decoderFile));
    else if (published?.decoder) others.push(await opened(published.decoder.url, published.decoder.xxh128));
    const named = {
      name: options.name ?? published?.name,
      description: options.description ?? published?.description,
      licence: options.licence ?? published?.licence,
      source: published?.url ?? (isAddress(checkpoint) ? checkpoint : path.resolve(checkpoint)),
    };
    const taken = modelNames().filter((known) => !importedModels().includes(known));
    const place = isAddress(checkpoint) ? checkpoint.replace(/[?#].*$/s, '') : path.resolve(checkpoint);
    return await intoFolder({ ...source, name: published?.name ?? place }, { ...options, ...named, others, taken });
  } finally {
    for (const each of files) await each.close?.();
    // After Cancel it may be asked for again.
    if (!signal?.aborted) for (const each of fetched) await each.discard();
  }
}

async function intoFolder(source: ByteSource, options: FileImport): Promise<{ card: ImportCard; folder: string }> {
  const parent = options.folder === undefined ? importedModelsFolder() : path.dirname(path.resolve(options.folder));
  await mkdir(parent, { recursive: true });
  const part = path.join(parent, `.import-${process.pid}`);
  await rm(part, { recursive: true, force: true });
  await mkdir(part);
  try {
    const card = await importCheckpoint(source, fileWriter(part), options);
    const folder = options.folder === undefined ? path.join(parent, card.name) : path.resolve(options.folder);
    await rm(folder, { recursive: true, force: true });
    await rename(part, folder);
    return { card, folder };
  } catch (error) {
    await rm(part, { recursive: true, force: true });
    throw error;
  }
}

/** Writes files piece by piece. */
function fileWriter(folder: string): WriteFile {
  return async ({ name, pieces }, { signal, onProgress }: TaskOptions) => {
    const handle = await open(path.join(folder, name), 'wx');
    try {
      let done = 0;
      for (const piece of pieces) {
        signal?.throwIfAborted();
        const bytes = piece instanceof Uint8Array ? piece : await piece.load();
        await handle.appendFile(bytes);
        done += bytes.length;
        if (bytes.length > 0) onProgress?.({ done, total: done, message: name });
      }
    } finally {
      await handle.close();
    }
  };
}

export async function removeImported(name: string): Promise<boolean> {
  if (!importedModels().includes(name)) return false;
  await rm(path.join(importedModelsFolder(), name), { recursive: true });
  return true;
}
