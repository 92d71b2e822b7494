import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { SamError } from '../../errors.js';
import type { ModelSpec } from '../../model/model-spec.js';
import { registerModel, resolveModel } from '../../model/registry.js';
import { importedModel, importedModelIn } from '../imported-models.js';
import { userDataFolder } from '../serve/user-data.js';

/** What `micro-sam train` made: a folder with the trained parts and a card that says what they are. */
export interface ModelCard {
  readonly name: string;
  /** The model that the other parts are of. */
  readonly base: string;
  /** File of the instance decoder, beside the card. */
  readonly instances: string;
  /** Mean segmentation accuracy on the images that were kept back. */
  readonly accuracy?: number;
  /** The step whose weights these are, and how many were planned. */
  readonly step: number;
  readonly steps: number;
  readonly seed: number;
  /** What the training began with. */
  readonly started: string;
  readonly date: string;
  readonly trainedOn: readonly ImageSummary[];
  readonly scoredOn: readonly ImageSummary[];
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

function modelIn(folder: string): ModelSpec {
  const file = path.join(folder, MODEL_CARD);
  let card: Partial<ModelCard>;
  try {
    card = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new SamError('model_unavailable', `The card of a trained model cannot be read: ${file}.`, { cause });
  }
  const { name, base, instances } = card;
  if (typeof name !== 'string' || typeof base !== 'string' || typeof instances !== 'string')
    throw new SamError(
      'model_unavailable',
      `${file} does not say name, base and instances, as micro-sam train writes it.`,
    );
  const { encoder, decoder, encoderInput, licence, encoderName = base } = resolveModel(base);
  const description = `${base}, trained further on ${card.trainedOn?.length ?? 'some'} images`;
  return registerModel({
    name,
    description,
    licence,
    encoder,
    decoder,
    encoderInput,
    encoderName,
    instances: path.join(folder, instances),
  });
}
