import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { CARD_FORMAT, isNewerCard } from '../checkpoints/card-format.js';
import { type CheckpointPlace, withCheckpointFiles } from '../checkpoints/checkpoint-files.js';
import {
  type EarlierImport,
  IMPORT_CARD,
  type ImportCard,
  type ImportOptions,
  importCheckpoint,
  type WriteFile,
} from '../checkpoints/import-checkpoint.js';
import { publishedCheckpoint } from '../checkpoints/published.js';
import { SamError } from '../errors.js';
import { withoutQuery } from '../io/http.js';
import { fileBytes } from '../io/node-file.js';
import { isAddress } from '../io/node-open.js';
import { folderStore } from '../io/stores/fs.js';
import { itemAt, membersOf } from '../items.js';
import { loadModelFile } from '../model/model-file.js';
import type { ModelSpec } from '../model/model-spec.js';
import { fetchBytesInNode } from '../model/node-runtime.js';
import {
  forgetModel,
  MODEL_NAME,
  type ModelDeclaration,
  modelNames,
  registerModel,
  resolveModel,
} from '../model/registry.js';
import type { TaskOptions } from '../task.js';
import { createNodeWorker } from '../worker/hosts/node-worker.js';
import { declarationIn, isDeclaration } from './declared-models.js';
import { trainedModelsFolder, userDataFolder } from './serve/user-data.js';

/** The card of a model made of a checkpoint, or of one that a JSON file declared. */
interface InstalledCard extends Omit<ImportCard, 'type' | 'half'>, Partial<Pick<ImportCard, 'type' | 'half'>> {
  /** What cannot be read off the files. */
  readonly declared?: Pick<ModelDeclaration, 'family' | 'encoderInput' | 'decoderInput' | 'earlyFeatures' | 'defaults'>;
}

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

/** Names of the models that were trained on this machine. */
export function trainedModels(): string[] {
  const folder = trainedModelsFolder();
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => existsSync(path.join(folder, name, IMPORT_CARD)));
}

/**
 * The imported model in a folder, registered; undefined if there is none.
 *
 * @throws SamError `model_unavailable` for a card that cannot be read, or that a newer version of this program wrote
 */
export function importedModelIn(folder: string): ModelSpec | undefined {
  const file = path.join(folder, IMPORT_CARD);
  if (!existsSync(file)) return undefined;
  let card: Partial<InstalledCard>;
  try {
    card = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new SamError('model_unavailable', `The card of a model cannot be read: ${file}.`, { cause });
  }
  if (isNewerCard(card))
    throw new SamError(
      'model_unavailable',
      `The model in ${folder} was made by a newer version of this program. Use that one, or make the model again here.`,
    );
  const { name, encoder, encoderDigest, decoder, instances, description, licence } = card;
  const { family, encoderInput, decoderInput, earlyFeatures, defaults } = card.declared ?? {};
  // Cards of trained models name no encoder.
  if (typeof name !== 'string' || typeof encoder !== 'string' || typeof decoder !== 'string') return undefined;
  const at = (part: string) => path.join(folder, path.basename(part));
  return registerModel({
    name,
    description,
    licence,
    family,
    encoderInput,
    decoderInput,
    earlyFeatures,
    defaults,
    encoder: { url: at(encoder), ...(typeof encoderDigest === 'string' && { digest: encoderDigest }) },
    decoder: at(decoder),
    ...(typeof instances === 'string' && { instances: at(instances) }),
  });
}

/** An imported model by its name. */
export function importedModel(name: string): ModelSpec | undefined {
  return MODEL_NAME.test(name) ? importedModelIn(path.join(importedModelsFolder(), name)) : undefined;
}

export interface FileImport extends ImportOptions {
  readonly decoderFile?: string;
  /** Where its files go; default: among the imported models, by its name. */
  readonly folder?: string;
}

/**
 * Imports a checkpoint into a folder: a file, or one that is published, by its name; or a model that a JSON file declares.
 * The folder appears when it is complete; an earlier one of the name that is asked for is replaced.
 *
 * @throws SamError `invalid_argument` also if the folder holds anything but an imported model, or the name is that of a
 * model that was not imported
 */
export async function importModel(checkpoint: string, options: FileImport = {}) {
  if (options.folder !== undefined) await checkPlace(options.folder);
  if (options.name !== undefined && options.folder === undefined) checkFree(options.name);
  if (isDeclaration(checkpoint)) return importDeclared(checkpoint, options);
  const published = existsSync(checkpoint) ? undefined : publishedCheckpoint(checkpoint);
  const decoder = options.decoderFile === undefined ? published?.decoder : placeOf(options.decoderFile);
  const places = [published ?? placeOf(checkpoint), ...(decoder ? [decoder] : [])];
  return withCheckpointFiles(places, folderStore(userDataFolder()), options, async (files) => {
    const place = isAddress(checkpoint) ? withoutQuery(checkpoint) : path.resolve(checkpoint);
    const source = { ...itemAt(files, 0), name: published?.name ?? place };
    const all: ImportOptions = {
      ...options,
      name: options.name ?? published?.name,
      description: options.description ?? published?.description,
      licence: options.licence ?? published?.licence,
      source: published?.url ?? (isAddress(checkpoint) ? checkpoint : path.resolve(checkpoint)),
      others: files.slice(1),
      taken: namesOfOthers(),
      earlier: importedCards(),
    };
    return intoFolder(options, (write): Promise<InstalledCard> => importCheckpoint(source, write, all));
  });
}

function placeOf(place: string): CheckpointPlace {
  return isAddress(place) ? { url: place } : { open: () => fileBytes(place) };
}

/** Copies the files of a model that a JSON file declares, once they have been opened as it says. */
async function importDeclared(file: string, options: FileImport): Promise<{ card: InstalledCard; folder: string }> {
  const declaration = declarationIn(file);
  const { name = declaration.name } = options;
  if (options.folder === undefined) checkFree(name);
  const earlier = modelNames().includes(name) ? resolveModel(name) : undefined;
  const spec = registerModel({ ...declaration, name });
  forgetModel(name, earlier);
  const { signal, onProgress } = options;
  const worker = await createNodeWorker();
  await worker.load(spec, { signal }).finally(() => worker.close());
  return intoFolder(options, async (write) => {
    const parts = Object.entries({ encoder: spec.encoder, decoder: spec.decoder, instances: spec.instances });
    let encoderDigest = '';
    for (const [part, from] of parts) {
      if (!from) continue;
      const bytes = await loadModelFile(from, { fetchBytes: fetchBytesInNode, signal, onProgress });
      if (part === 'encoder') encoderDigest = bytesToHex(sha256(bytes));
      await write({ name: `${part}.onnx`, size: bytes.length, pieces: [bytes] }, { signal, onProgress });
    }
    const { encoderInput, decoderLayout: decoderInput, description, licence, instances } = spec;
    const { family, earlyFeatures, defaults } = declaration;
    const card: InstalledCard = {
      format: CARD_FORMAT,
      name,
      description,
      ...(licence !== undefined && { licence }),
      encoder: 'encoder.onnx',
      decoder: 'decoder.onnx',
      ...(instances && { instances: 'instances.onnx' }),
      encoderDigest,
      declared: { family, encoderInput, decoderInput, earlyFeatures, defaults },
      source: path.resolve(file),
    };
    const text = new TextEncoder().encode(JSON.stringify(card, null, 2));
    await write({ name: IMPORT_CARD, size: text.length, pieces: [text] }, { signal });
    return card;
  });
}

/** @param make writes the files; the folder appears when it has ended */
async function intoFolder<Card extends { readonly name: string }>(
  options: FileImport,
  make: (write: WriteFile) => Promise<Card>,
): Promise<{ card: Card; folder: string }> {
  const parent = options.folder === undefined ? importedModelsFolder() : path.dirname(path.resolve(options.folder));
  await mkdir(parent, { recursive: true });
  const part = path.join(parent, `.import-${process.pid}`);
  await rm(part, { recursive: true, force: true });
  await mkdir(part);
  try {
    const card = await make(fileWriter(part));
    const folder = options.folder === undefined ? path.join(parent, card.name) : path.resolve(options.folder);
    await checkPlace(folder);
    await rm(folder, { recursive: true, force: true });
    await rename(part, folder);
    return { card, folder };
  } catch (error) {
    await rm(part, { recursive: true, force: true });
    throw error;
  }
}

/** @throws SamError `invalid_argument` if there is anything but an imported model of this program's, which may be replaced */
async function checkPlace(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  if (isNewerCard(cardIn(folder)))
    throw new SamError(
      'unsupported',
      `A newer version of this program keeps a model in ${folder}, which stays. Give this one another place or name.`,
    );
  const strange = statSync(folder).isDirectory()
    ? readdirSync(folder).find((name) => name !== IMPORT_CARD && !/^(encoder|decoder|instances)\.onnx/.test(name))
    : '';
  if (strange === undefined) return;
  throw new SamError(
    'invalid_argument',
    `${folder} ${strange === '' ? 'is a file' : `holds ${strange}, which is no file of a model`}, and is not replaced: give a folder that is empty or not there.`,
    { details: { folder } },
  );
}

/** Names of models that no import replaces. */
function namesOfOthers(): string[] {
  const imported = importedModels();
  return [...trainedModels(), ...modelNames().filter((known) => !imported.includes(known))];
}

function checkFree(name: string): void {
  if (!namesOfOthers().includes(name)) return;
  throw new SamError('invalid_argument', `There is a model ${name} that is not an imported one; give another name.`);
}

/** One that cannot be read keeps its name: whose it is cannot be told. */
function importedCards(): EarlierImport[] {
  return importedModels().map((name) => {
    const { source, checkpointDigest } = membersOf(cardIn(path.join(importedModelsFolder(), name)));
    return { name, source: String(source ?? ''), checkpointDigest: checkpointDigest?.toString() };
  });
}

/** What the card of a model says; undefined if there is none, or none that can be read. */
export function cardIn(folder: string): unknown {
  try {
    return JSON.parse(readFileSync(path.join(folder, IMPORT_CARD), 'utf8'));
  } catch {
    return undefined;
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
