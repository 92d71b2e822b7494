import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { PageAnnotator } from '../../app/annotator.js';
import { SamError } from '../../errors.js';
import { fileBytes } from '../../io/node-file.js';
import { isAddress, nameOfFile } from '../../io/node-open.js';
import { type ImageInput, openImage } from '../../io/open.js';
import type { OpenOptions } from '../../io/open-options.js';
import { folderStore } from '../../io/stores/fs.js';
import { memoryStore } from '../../io/stores/memory.js';
import { forgetModel } from '../../model/registry.js';
import type { ImportRequest } from '../../service/engine.js';
import { createService } from '../../service/service.js';
import type { TaskOptions } from '../../task.js';
import type { SamWorker } from '../../worker/sam-worker.js';
import { importModel, removeImported } from '../imported-models.js';
import { findModel } from '../train/trained-models.js';
import type { ScriptClient } from './hypha/endpoint.js';

/**
 * The annotator of one script, without a window: the same service, with an image of its own, which nobody else sees and which
 * is forgotten when the script goes. Images may be named by path.
 */
export function scriptClient(shared: SamWorker): ScriptClient {
  const worker: SamWorker = { ...shared, close: async () => undefined }; // others use it, too
  const lease = async () => ({ held: true, take: async () => undefined, release: async () => undefined });
  const annotator = new PageAnnotator(Promise.resolve({ worker, store: memoryStore(), lease }), () => undefined);
  const service = createService({
    session: annotator.session,
    openImage: async (input, options) => annotator.open(await inputOf(input), named(input, options)),
    imageSource: () => annotator.source,
    info: async () => ({ model: annotator.model.name, worker: await worker.info() }),
    engine: {
      precompute: (planes, task) => annotator.precompute(planes, task),
      setEncoding: (change) => annotator.setEncoding(change),
      importModel: importForScript,
      deleteModel: deleteForScript,
    },
    headless: {
      worker: () => worker,
      openInput: async (input, options) => openImage(await inputOf(input), named(input, options)),
      folder: folderStore,
    },
  });
  return { service, close: () => annotator.close() };
}

/** Of a path, an address, a published name or bytes; kept among the imported models of this machine. */
async function importForScript({ from, name, half }: ImportRequest, task: TaskOptions): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-import-'));
  try {
    const places: string[] = [];
    for (const [i, each] of from.entries()) {
      const file = path.join(folder, String(i));
      if (typeof each !== 'string') await writeFile(file, each.stream());
      places.push(typeof each === 'string' ? each : file);
    }
    const [checkpoint, decoderFile] = places;
    const { card } = await importModel(checkpoint, { ...task, name, half, decoderFile });
    return findModel(card.name).name;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function deleteForScript(name: string): Promise<void> {
  if (!(await removeImported(name))) throw new SamError('not_found', `There is no imported model ${name}.`);
  forgetModel(name);
}

async function inputOf(input: ImageInput): Promise<ImageInput> {
  if (typeof input !== 'string' || isAddress(input) || input.startsWith('data:')) return input;
  if (!existsSync(input))
    throw new SamError('not_found', `There is no file ${input}; give its whole path, an address, or an array.`);
  return statSync(input).isDirectory() ? folderStore(input) : fileBytes(input);
}

function named(input: ImageInput, options: OpenOptions): OpenOptions {
  return typeof input === 'string' && options.name === undefined ? { ...options, name: nameOfFile(input) } : options;
}
