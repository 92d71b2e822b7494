import { IMPORT_CARD, type ImportOptions, importCheckpoint, type WriteFile } from '../checkpoints/import-checkpoint.js';
import type { ByteSource } from '../io/bytes.js';
import type { Store } from '../io/store.js';
import { keepFiles } from './keep-files.js';
import { type KeptModel, keptModels } from './kept-models.js';

/** Importing into a store, apart from reading what it holds: this brings all that converts checkpoints along. */
/**
 * Imports a checkpoint into the store; an earlier model of the name that is asked for is replaced.
 *
 * @throws SamError as `importCheckpoint` does, and `storage` where there is no space
 */
export async function keepModel(store: Store, checkpoint: ByteSource, options: ImportOptions = {}): Promise<KeptModel> {
  return keepFiles(store, options, async (writeTo) => {
    const sizes: Record<string, number> = {};
    const write: WriteFile = async (file, task) => {
      if (file.name === IMPORT_CARD) return;
      sizes[file.name] = file.size;
      await writeTo(file, task);
    };
    const earlier = (await keptModels(store)).map(({ name, source = '', checkpointDigest }) => ({
      name,
      source,
      checkpointDigest,
    }));
    return { ...(await importCheckpoint(checkpoint, write, { ...options, earlier })), sizes };
  });
}
