import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { isNewerCard } from '../../checkpoints/card-format.js';
import { messageOf, SamError } from '../../errors.js';
import { membersOf } from '../../items.js';
import { loadModelFile } from '../../model/model-file.js';
import { type ModelFile, type ModelSpec, ofMasks } from '../../model/model-spec.js';
import { fetchBytesInNode } from '../../model/node-runtime.js';
import { MODEL_NAME, registerModel, resolveModel } from '../../model/registry.js';
import type { TaskOptions } from '../../task.js';
import type { InheritedPart, ModelCard, trainedFiles } from '../../training/model-card.js';
import { pointsHadBetterMeanInstances } from '../../training/prompts/points-by-instances.js';
import { declarationIn, isDeclaration } from '../declared-models.js';
import { cardIn, importedModel, importedModelIn, importedModels, trainedModels } from '../imported-models.js';
import { trainedModelsFolder } from '../serve/user-data.js';

/** What `micro-sam train` made: a folder with the trained parts and a card that says what they are. */
export const MODEL_CARD = 'model.json';

/** A trained or imported model by its name or its folder, one that a JSON file declares, else one of the registry. */
export function findModel(name: string): ModelSpec {
  if (isDeclaration(name) && existsSync(name)) return registerModel(declarationIn(name));
  const folder = folderOf(name);
  if (folder !== undefined) return importedModelIn(folder) ?? modelIn(folder);
  return importedModel(name) ?? resolveModel(name);
}

function folderOf(name: string): string | undefined {
  const named = MODEL_NAME.test(name) ? path.join(trainedModelsFolder(), name) : undefined;
  return [named, name].find((each) => each !== undefined && existsSync(path.join(each, MODEL_CARD)));
}

/** The card of a model that was trained here, by its name or its folder. */
export function cardOf(name: string): ModelCard | undefined {
  const folder = folderOf(name);
  if (folder === undefined || importedModelIn(folder)) return undefined;
  return JSON.parse(readFileSync(path.join(folder, MODEL_CARD), 'utf8'));
}

/** All models that were trained or imported on this machine, made known; what cannot be read is told and left out. */
export function ownModels(log: (line: string) => void): ModelSpec[] {
  return [...new Set([...trainedModels(), ...importedModels()])].flatMap((name) => {
    try {
      return [findModel(name)];
    } catch (error) {
      log(`The model ${name} is left out: ${messageOf(error)}`);
      return [];
    }
  });
}

/** As older cards have it, too. */
interface TrainedPart {
  readonly file: string;
  readonly sha256?: string;
}

function modelIn(folder: string): ModelSpec {
  const file = path.join(folder, MODEL_CARD);
  let card: Partial<ModelCard>;
  try {
    card = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new SamError('model_unavailable', `The card of a trained model cannot be read: ${file}.`, { cause });
  }
  const { name, base, instances, decoder, late, full, lora, objectSizes, points, inherited = {} } = card;
  const encoder = full ?? late ?? lora;
  const parts = [instances, decoder, encoder].filter((part) => part !== undefined);
  if (typeof name !== 'string' || typeof base !== 'string' || !parts.every(({ file }) => typeof file === 'string'))
    throw new SamError(
      'model_unavailable',
      `${file} does not say name, base and the files of trained parts, as micro-sam train writes it.`,
    );
  const known = findModel(base);
  // By their digests a model that was trained anew is another one under its old name.
  const fileOf = ({ file, sha256 }: TrainedPart): ModelFile => ({
    url: path.join(folder, file),
    ...(sha256 !== undefined && { sha256 }),
  });
  const partOf = (trained: TrainedPart | undefined, copy: TrainedPart | undefined, ofBase: ModelFile | undefined) => {
    const own = trained ?? copy;
    return own ? fileOf(own) : ofBase;
  };
  const encoderDelta = partOf(encoder, inherited.encoder, known.encoderDelta);
  const ownInstances = partOf(instances, inherited.instances, known.instances);
  const sharesEncoder = !encoder && (!inherited.encoder || inherited.encoder.sha256 === known.encoderDelta?.sha256);
  const pointsByInstances = instances ? points && pointsHadBetterMeanInstances(points) : known.pointsByInstances;
  return registerModel({
    name,
    description: `${known.name}, trained further on ${card.trainedOn?.length ?? 'some'} images`,
    licence: known.licence,
    encoder: known.encoder,
    decoder: partOf(decoder, inherited.decoder, known.decoder) ?? known.decoder,
    encoderInput: known.encoderInput,
    decoderInput: known.decoderLayout,
    ...(encoderDelta && { encoderDelta }),
    // With an encoder of its own its embeddings are its own too.
    ...(sharesEncoder && { encoderName: known.encoderName ?? known.name }),
    ...(known.earlyFeatures && { earlyFeatures: known.earlyFeatures }),
    ...(known.following && { following: known.following }),
    ...(objectSizes && { objectSizes }),
    ...(pointsByInstances && { pointsByInstances }),
    ...(ownInstances && { instances: ownInstances }),
    defaults: instances ? ofMasks(known.defaults) : known.defaults,
  });
}

/** How a card names the model that was gone on from. */
export function baseOf(asked: string, model: ModelSpec): string {
  return existsSync(path.join(asked, MODEL_CARD)) ? path.resolve(asked) : model.name;
}

/** Whether a model is the one of a folder, or was trained from it, at first or second hand. */
export function isMadeFrom(name: string, folder: string): boolean {
  const seen = new Set<string>();
  for (let at = folderOf(name); at !== undefined && !seen.has(at); ) {
    if (path.resolve(at) === path.resolve(folder)) return true;
    seen.add(at);
    const { base } = cardOf(at) ?? {};
    at = base === undefined ? undefined : folderOf(base);
  }
  return false;
}

/** Of a model that a trained one was trained from: the parts that this one takes over are copied beside its own. */
export async function withInherited(
  { card, files }: ReturnType<typeof trainedFiles>,
  base: ModelSpec,
): Promise<ReturnType<typeof trainedFiles>> {
  const own = { encoder: card.late ?? card.full ?? card.lora, decoder: card.decoder, instances: card.instances };
  const ofBase = { encoder: base.encoderDelta, decoder: base.decoder, instances: base.instances };
  const inherited: Partial<Record<keyof typeof own, InheritedPart>> = {};
  const all = new Map(files);
  for (const part of ['encoder', 'decoder', 'instances'] as const) {
    const from = ofBase[part];
    if (own[part] || !from || !existsSync(path.join(path.dirname(from.url), MODEL_CARD))) continue;
    const bytes = await loadFile(from, {});
    const file = `base-${part}.onnx`;
    all.set(file, bytes);
    inherited[part] = { file, sha256: bytesToHex(sha256(bytes)) };
  }
  return { card: Object.keys(inherited).length > 0 ? { ...card, inherited } : card, files: all };
}

/** @throws SamError `unsupported` if the model of the folder was imported, or trained by a newer version of this program */
export function checkReplaceable(folder: string): void {
  const card = cardIn(folder);
  const imported = 'encoder' in membersOf(card);
  if (imported || isNewerCard(card))
    throw new SamError(
      'unsupported',
      `In ${folder} is a model that was ${imported ? 'imported' : 'trained by a newer version of this program'}, which stays: give the result another name, or another --save_root.`,
      { details: { folder } },
    );
}

/**
 * Writes the trained parts and the card, in the place of an earlier result. A model without a card is none: cut short, this
 * leaves none, and never one of parts that do not belong together.
 */
export function writeTrained(folder: string, { card, files }: ReturnType<typeof trainedFiles>): void {
  const text = `${JSON.stringify(card, null, 2)}\n`;
  const parts = [...files, [MODEL_CARD, text] as const].map(([name, content]) => ({
    file: path.join(folder, name),
    written: path.join(folder, `.${name}.new`),
    content,
  }));
  for (const { written, content } of parts) writeFileSync(written, content);
  rmSync(path.join(folder, MODEL_CARD), { force: true });
  for (const { file, written } of parts) renameSync(written, file);
}

/** A file of a model, wherever it lies. */
export function loadFile(file: ModelFile, task: TaskOptions): Promise<Uint8Array> {
  return loadModelFile(file, { fetchBytes: fetchBytesInNode, ...task });
}
