import { CARD_FORMAT } from '../checkpoints/card-format.js';
import { SamError } from '../errors.js';
import type { Store } from '../io/store.js';
import { deleteAll, listKeys } from '../io/stores/prefix.js';
import type { FileParts } from '../onnx/write-parts.js';
import type { TaskOptions } from '../task.js';
import { CARDS, cardOf, FILES, isOfNewer, type KeptModel, keptModels } from './kept-models.js';

const PART_BYTES = 16 << 20;
/** What was left by writing that was cut off is removed after this time, in milliseconds. */
const ABANDONED_MS = 3_600_000;

type WriteParts = (file: FileParts, task: TaskOptions) => Promise<void>;

/**
 * Keeps a model in a store (kept-models.ts); an earlier one of its name is replaced.
 *
 * @param make writes the files, and tells what the card says
 * @throws SamError `unsupported` if a newer program keeps a model of that name
 */
export async function keepFiles(
  store: Store,
  { signal }: TaskOptions,
  make: (write: WriteParts) => Promise<Omit<KeptModel, 'version'>>,
): Promise<KeptModel> {
  await removeAbandoned(store);
  const version = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
  const folder = `${FILES}${version}`;
  try {
    const card = await make((file, task) => writeParts(store, `${folder}/${file.name}`, file, task));
    const kept: KeptModel = { format: CARD_FORMAT, ...card, version };
    signal?.throwIfAborted();
    if (await isOfNewer(store, card.name))
      throw new SamError(
        'unsupported',
        `A newer version of this program keeps a model ${card.name} here, which stays. Give this one another name.`,
      );
    const earlier = await cardOf(store, card.name);
    await store.set(CARDS + card.name, new TextEncoder().encode(JSON.stringify(kept)));
    if (earlier) await deleteAll(store, `${FILES}${earlier.version}/`);
    return kept;
  } catch (error) {
    await deleteAll(store, `${folder}/`).catch(() => undefined);
    throw error;
  }
}

async function writeParts(
  store: Store,
  folder: string,
  { size, pieces }: FileParts,
  { signal, onProgress }: TaskOptions,
): Promise<void> {
  let part = new Uint8Array(Math.min(PART_BYTES, size));
  let [filled, count, done] = [0, 0, 0];
  for (const piece of pieces) {
    signal?.throwIfAborted();
    const bytes = piece instanceof Uint8Array ? piece : await piece.load();
    for (let at = 0; at < bytes.length; ) {
      const some = bytes.subarray(at, at + part.length - filled);
      part.set(some, filled);
      filled += some.length;
      at += some.length;
      if (filled < part.length) continue;
      await store.set(`${folder}/${count++}`, part);
      done += filled;
      filled = 0;
      onProgress?.({ done, total: size, message: folder });
      if (size - done < part.length) part = new Uint8Array(size - done);
    }
  }
}

/** What was left when a page was closed in the middle of an import. Which files a newer program's models have is not known. */
async function removeAbandoned(store: Store): Promise<void> {
  for (const key of await listKeys(store, CARDS)) if (await isOfNewer(store, key.slice(CARDS.length))) return;
  const whole = new Set((await keptModels(store)).map(({ version }) => version));
  for (const key of await listKeys(store, FILES)) {
    const [version] = key.slice(FILES.length).split('/');
    if (!whole.has(version) && Date.now() - Number.parseInt(version, 36) > ABANDONED_MS) await store.delete(key);
  }
}
