import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { SamError } from '../../errors.js';
import { type ModelFile, type ModelSpec, sameFiles } from '../../model/model-spec.js';
import { modelPath } from '../../model/node-runtime.js';
import { modelNames, resolveModel } from '../../model/registry.js';

/**
 * Which models a client from elsewhere may have loaded: those that this process has registered, and files of folders that
 * whoever started it has named. Everything else is refused in one sentence, the same for files that are there and files
 * that are not, so that a worker tells nothing of its machine.
 */
export type Offer = (spec: ModelSpec) => Promise<void>;

export function offeredModels(folders: readonly string[] = []): Offer {
  return async (spec) => {
    if (modelNames().includes(spec.name)) {
      if (sameFiles(resolveModel(spec.name), spec)) return;
    } else if (await areBelow([spec.encoder, spec.encoderDelta, spec.decoder, spec.instances], folders)) return;
    throw new SamError(
      'model_unavailable',
      `This worker does not offer the model ${spec.name} with these files. It offers ${modelNames().join(', ')}, and the folders it was started with (--allow-models).`,
    );
  };
}

async function areBelow(files: readonly (ModelFile | undefined)[], folders: readonly string[]): Promise<boolean> {
  const found = await Promise.all(files.map((file) => file === undefined || isBelow(file, folders)));
  return found.every((below) => below);
}

async function isBelow({ url }: ModelFile, folders: readonly string[]): Promise<boolean> {
  if (/^(?!file:)[a-z][a-z+.-]+:/i.test(url)) return false;
  try {
    const file = await realpath(modelPath(url));
    const roots = await Promise.all(folders.map((folder) => realpath(folder)));
    return roots.some((root) => file.startsWith(root + path.sep));
  } catch {
    return false;
  }
}
