import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SamError } from '../../errors.js';
import type { ModelSpec } from '../../model/model-spec.js';
import { registerModel, resolveModel } from '../../model/registry.js';
import type { OnnxModel } from '../../onnx/model.js';
import { writeModel } from '../../onnx/write.js';
import { lightDecoderModel } from '../../training/instances/light-decoder.js';
import type { Learned } from '../../training/learn.js';
import type { TrainedModel, TrainingSettings } from '../../training/train-model.js';
import { importedModel, importedModelIn, importedModels } from '../imported-models.js';
import { userDataFolder } from '../serve/user-data.js';

/** What `micro-sam train` made: a folder with the trained parts and a card that says what they are. */
export interface ModelCard {
  readonly name: string;
  /** The model that the other parts are of: its name, or the folder of a trained one. */
  readonly base: string;
  readonly instances?: PartCard;
  readonly decoder?: PartCard;
  /** The late part of the encoder, as differences from the base's encoder (model/encoder-delta.ts). */
  readonly late?: PartCard;
  readonly seed: number;
  readonly date: string;
  readonly trainedOn: readonly ImageSummary[];
  readonly scoredOn: readonly ImageSummary[];
}

export interface PartCard {
  /** Beside the card. */
  readonly file: string;
  readonly sha256?: string;
  /** What the training began with. */
  readonly started: string;
  /** The step whose weights these are, and how many were planned. */
  readonly step: number;
  readonly steps: number;
  /**
   * On the images that were kept back: mean segmentation accuracy of the instance decoder; mean IoU of the mask decoder
   * with points and boxes.
   */
  readonly accuracy?: number;
  /** The same of what it began with. */
  readonly before?: number;
}

export interface ImageSummary {
  readonly image: string;
  readonly size: readonly [number, number];
  readonly objects: number;
}

export const MODEL_CARD = 'model.json';

/** Where trained models are looked for by name. */
export function trainedModelsFolder(): string {
  return path.join(userDataFolder(), 'trained');
}

/** A trained or imported model by its name or its folder, else one of the registry. */
export function findModel(name: string): ModelSpec {
  const named = /^[\w.-]+$/.test(name) ? path.join(trainedModelsFolder(), name) : undefined;
  const folder = [named, name].find((each) => each !== undefined && existsSync(path.join(each, MODEL_CARD)));
  if (folder !== undefined) return importedModelIn(folder) ?? modelIn(folder);
  return importedModel(name) ?? resolveModel(name);
}

/** All models that were trained or imported on this machine, made known; what cannot be read is told and left out. */
export function ownModels(log: (line: string) => void): ModelSpec[] {
  const folder = trainedModelsFolder();
  const trained = existsSync(folder)
    ? readdirSync(folder).filter((name) => existsSync(path.join(folder, name, MODEL_CARD)))
    : [];
  return [...new Set([...trained, ...importedModels()])].flatMap((name) => {
    try {
      return [findModel(name)];
    } catch (error) {
      log(`The model ${name} is left out: ${(error as Error).message}`);
      return [];
    }
  });
}

function modelIn(folder: string): ModelSpec {
  const file = path.join(folder, MODEL_CARD);
  let card: Partial<ModelCard>;
  try {
    card = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new SamError('model_unavailable', `The card of a trained model cannot be read: ${file}.`, { cause });
  }
  const { name, base, instances, decoder, late } = card;
  const parts = [instances, decoder, late].filter((part) => part !== undefined);
  if (typeof name !== 'string' || typeof base !== 'string' || !parts.every(({ file }) => typeof file === 'string'))
    throw new SamError(
      'model_unavailable',
      `${file} does not say name, base and the files of trained parts, as micro-sam train writes it.`,
    );
  const known = findModel(base);
  const encoderDelta = late ? { url: path.join(folder, late.file), sha256: late.sha256 } : known.encoderDelta;
  const ownInstances = instances ? path.join(folder, instances.file) : known.instances;
  return registerModel({
    name,
    description: `${known.name}, trained further on ${card.trainedOn?.length ?? 'some'} images`,
    licence: known.licence,
    encoder: known.encoder,
    decoder: decoder ? path.join(folder, decoder.file) : known.decoder,
    encoderInput: known.encoderInput,
    ...(encoderDelta && { encoderDelta }),
    // With an encoder of its own its embeddings are its own too.
    ...(!late && { encoderName: known.encoderName ?? known.name }),
    ...(known.earlyFeatures && { earlyFeatures: known.earlyFeatures }),
    ...(ownInstances && { instances: ownInstances }),
    defaults: instances ? ofMasks(known.defaults) : known.defaults,
  });
}

/** Recommended settings that do not belong to the maps of an instance decoder: another decoder makes other maps. */
function ofMasks(defaults: ModelSpec['defaults']): ModelSpec['defaults'] {
  if (!defaults) return undefined;
  const { centerDistanceThreshold: _, boundaryDistanceThreshold: __, foregroundThreshold: ___, ...rest } = defaults;
  return rest;
}

/** How a card names the model that was gone on from. */
export function baseOf(asked: string, model: ModelSpec): string {
  return existsSync(path.join(asked, MODEL_CARD)) ? path.resolve(asked) : model.name;
}

type Part = 'instances' | 'decoder' | 'late';

/** Writes the trained parts and the card. @param delta of the encoder, if its late part was trained */
export function writeTrained(
  folder: string,
  { instances, decoder, late, delta }: TrainedModel & { readonly delta?: OnnxModel },
  settings: TrainingSettings,
  started: Readonly<Record<Part, string>>,
  about: Omit<ModelCard, Part>,
): void {
  const write = (part: Part, { step, accuracy, before }: Learned, model: OnnxModel): PartCard => {
    const file = `${part}.onnx`;
    const bytes = writeModel(model);
    writeFileSync(path.join(folder, file), bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return { file, sha256, started: started[part], step, steps: settings[part].steps, accuracy, before };
  };
  const card: ModelCard = {
    ...about,
    ...(instances && { instances: write('instances', instances, lightDecoderModel(instances.weights)) }),
    ...(decoder && { decoder: write('decoder', decoder, decoder.model) }),
    ...(late && delta && { late: write('late', late, delta) }),
  };
  writeFileSync(path.join(folder, MODEL_CARD), `${JSON.stringify(card, null, 2)}\n`);
}
