import { isNewerCard } from '../checkpoints/card-format.js';
import type { ImportCard } from '../checkpoints/import-checkpoint.js';
import { SamError } from '../errors.js';
import type { Store } from '../io/store.js';
import { deleteAll, listKeys } from '../io/stores/prefix.js';
import type { TaskOptions } from '../task.js';
import { type ModelSpec, type ObjectSizes, ofMasks } from './model-spec.js';
import type { ModelDeclaration } from './registry.js';

/**
 * Models made of checkpoints, kept in a store: `cards/<name>`, written last, names the version whose files lie in parts at
 * `files/<version>/<file>/<part>`. So a model is there whole or not at all, an earlier one stays until the new one
 * is complete, and neither writing nor reading needs more memory than one part beside what the runtime is given.
 */
export interface KeptModel extends Omit<ImportCard, 'type' | 'half' | 'source' | 'encoder' | 'decoder'> {
  /** Of one that was imported. */
  readonly type?: ImportCard['type'];
  readonly half?: boolean;
  readonly source?: string;
  readonly encoder?: string;
  readonly decoder?: string;
  /** Of one that was trained here: the model whose the files are that are not kept. */
  readonly base?: ModelSpec;
  readonly objectSizes?: ObjectSizes;
  readonly pointsByInstances?: boolean;
  /** Other than of any model of this name before, so that none of its files is taken for theirs. */
  readonly version: string;
  /** Bytes of each file. */
  readonly sizes: Readonly<Record<string, number>>;
}

/** Name of the store that a browser has for them. */
export const KEPT_MODELS = 'micro-sam-imported';

/** Addresses of their files begin with it: `kept:my_cells/m1x2/encoder.onnx`. */
const SCHEME = 'kept:';

export function isKept(url: string): boolean {
  return url.startsWith(SCHEME);
}

export const CARDS = 'cards/';
export const FILES = 'files/';

/** All models that are there whole. */
export async function keptModels(store: Store): Promise<KeptModel[]> {
  const models: KeptModel[] = [];
  for (const key of await listKeys(store, CARDS)) {
    const kept = await cardOf(store, key.slice(CARDS.length));
    if (kept) models.push(kept);
  }
  return models;
}

export async function cardOf(store: Store, name: string): Promise<KeptModel | undefined> {
  const card = await readCard(store, name);
  if (!card || isNewerCard(card)) return undefined;
  return card.name === name && typeof card.version === 'string' && typeof card.sizes === 'object' ? card : undefined;
}

/** Whether a newer program keeps a model of this name. */
export async function isOfNewer(store: Store, name: string): Promise<boolean> {
  return isNewerCard(await readCard(store, name));
}

async function readCard(store: Store, name: string): Promise<KeptModel | undefined> {
  const bytes = await store.get(CARDS + name);
  try {
    return (bytes && JSON.parse(new TextDecoder().decode(bytes))) ?? undefined;
  } catch {
    return undefined; // nobody else writes here; what is damaged is no model
  }
}

/** For `registerModel`. */
export function declarationOfKept(kept: KeptModel): ModelDeclaration {
  const {
    name,
    description,
    licence,
    encoder,
    encoderDigest: digest,
    decoder,
    instances,
    version,
    base,
    objectSizes,
    pointsByInstances,
  } = kept;
  const addressOf = (file: string) => `${SCHEME}${name}/${version}/${file}`;
  return {
    ...(base && partsOf(base, instances !== undefined)),
    name,
    description,
    licence,
    ...(encoder && { encoder: { url: addressOf(encoder), digest } }),
    ...(decoder && { decoder: addressOf(decoder) }),
    ...(instances && { instances: addressOf(instances) }),
    ...(objectSizes && { objectSizes }),
    ...(pointsByInstances && { pointsByInstances }),
  };
}

/** @param otherMaps its instance decoder is another */
function partsOf(base: ModelSpec, otherMaps: boolean): Omit<ModelDeclaration, 'name'> {
  const {
    decoderLayout: decoderInput,
    encoderPrecision: _,
    description: __,
    defaults,
    pointsByInstances,
    ...parts
  } = base;
  return {
    ...parts,
    ...(pointsByInstances && !otherMaps && { pointsByInstances }),
    decoderInput,
    encoderName: base.encoderName ?? base.name,
    defaults: otherMaps ? ofMasks(defaults) : defaults,
  };
}

/**
 * The bytes of a file of a kept model.
 *
 * @throws SamError `model_unavailable` if it is not there any more
 */
export async function readKept(
  store: Store,
  url: string,
  { signal, onProgress }: TaskOptions = {},
): Promise<Uint8Array> {
  const [name, version, file] = url.slice(SCHEME.length).split('/');
  const card = await cardOf(store, name);
  const size = card?.version === version ? card.sizes[file] : undefined;
  const gone = () =>
    new SamError(
      'model_unavailable',
      `The model ${name} is not kept here any more: it was deleted or replaced, or the browser cleared its storage. Import its checkpoint again.`,
    );
  if (size === undefined) throw gone();
  const bytes = new Uint8Array(size);
  for (let done = 0, part = 0; done < size; part++) {
    signal?.throwIfAborted();
    const some = await store.get(`${FILES}${version}/${file}/${part}`);
    if (!some || some.length === 0 || done + some.length > size) throw gone();
    bytes.set(some, done);
    done += some.length;
    onProgress?.({ done, total: size, message: `Loading ${name}` });
  }
  return bytes;
}

export async function removeKept(store: Store, name: string): Promise<void> {
  if (await isOfNewer(store, name)) return;
  const card = await cardOf(store, name);
  await store.delete(CARDS + name);
  if (card) await deleteAll(store, `${FILES}${card.version}/`);
}
