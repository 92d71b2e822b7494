import { SamError } from '../errors.js';
import { fileBytes, kindOf } from '../io/node-file.js';
import { isAddress, nameOfFile } from '../io/node-open.js';
import type { ImageInput } from '../io/open.js';
import { folderStore } from '../io/stores/fs.js';
import type { MicroSamService } from '../service/service.js';
import { createNodeWorker } from '../worker/hosts/node-worker.js';
import type { SamWorker } from '../worker/sam-worker.js';
import { type ScriptHost, scriptService } from './script-service.js';

export interface NodeServiceOptions {
  readonly worker?: SamWorker;
  /** Where models are trained; nowhere if absent. */
  readonly training?: ScriptHost['training'];
}

/**
 * The annotator of one script in Node, without a window; see docs/scripting.md for its functions.
 *
 * @param options.worker what computes, the caller's to close; default: one in this process, which ends with the service
 * @example
 * const sam = await openNodeService();
 * await sam.open_image('cells.tif');
 * await sam.add_point_prompts([[120, 84]]);
 * await sam.commit();
 * const labels = await sam.get_layer('committed_objects');
 */
export async function openNodeService({ worker, training }: NodeServiceOptions = {}): Promise<MicroSamService> {
  if (worker) return nodeService(worker, { training });
  const own = await createNodeWorker();
  const service = nodeService(own, { training });
  return {
    ...service,
    async close() {
      await service.close();
      await own.close();
    },
  };
}

/** The same over a worker that is there. Images may be named by path, and embeddings kept in folders. */
export function nodeService(
  worker: SamWorker,
  { engine, training }: Pick<ScriptHost, 'engine' | 'training'> = {},
): MicroSamService {
  return scriptService(worker, { inputOf, nameOf: nameOfFile, folder: folderStore, engine, training });
}

export async function inputOf(input: ImageInput): Promise<ImageInput> {
  if (typeof input !== 'string' || isAddress(input) || input.startsWith('data:')) return input;
  const kind = kindOf(input);
  if (kind === undefined)
    throw new SamError('not_found', `There is no file ${input}; give its whole path, an address, or an array.`);
  return kind === 'folder' ? folderStore(input) : fileBytes(input);
}
