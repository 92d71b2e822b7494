import { SamError } from '../errors.js';
import type { Store } from '../io/store.js';
import { writeGroup } from '../io/zarr/writer.js';
import { hasMembers, itemAt, membersOf } from '../items.js';
import type { EarlyFeatures, Embedding } from '../model/sam-tensors.js';
import type { Size } from '../ndimage/array.js';
import type { Tiling } from '../ndimage/blocking.js';
import { createFeatureArray, type FeatureArray, openFeatureArray } from './feature-array.js';
import { FurtherArrays } from './further-arrays.js';
import { compareSignatures, SIGNATURE_MEANING, type Signature } from './signature.js';

/**
 * Embeddings in a Store, in micro-sam's zarr layout (micro_sam/util.py, 1.8): `features`, or a group `features` with one array per
 * tile. Written as zarr v3; v2 and any codec are read. What surprises: the signature is written first, but `input_size`
 * last of all, because its presence is what tells micro-sam that nothing is missing.
 */
export interface EmbeddingCache {
  /** Attributes found in the store that are not as wanted but do no harm (versions). */
  readonly warnings: readonly (keyof Signature)[];
  /** The stored embedding, with its levels where the model has some, without early features; `undefined` if there is none or it is damaged: it is computed anew. */
  get(at: Place): Promise<Embedding | undefined>;
  /** The early features stored beside it, likewise. */
  early(at: Place): Promise<EarlyFeatures | undefined>;
  set(at: Place, embedding: Embedding): Promise<void>;
  /** Declares the cache complete. */
  finish(): Promise<void>;
}

export interface Place {
  readonly plane: number;
  readonly tile?: number;
}

export interface CacheGeometry {
  readonly size: Size;
  readonly planes: number;
  /** Stacks have a leading plane axis, even if it is 1 long. */
  readonly stack: boolean;
  readonly tiling?: Tiling;
  /** What the encoder's resizing makes of an image or tile. */
  inputSize(originalSize: Size): Size;
}

export interface CacheOptions {
  readonly signature: Signature;
  readonly geometry: CacheGeometry;
  /** Gives each embedding its `id`. */
  idOf(at: Place, features: Embedding['features']): Promise<string>;
  /** How many further levels an embedding has to have (`Embedding.levels`). */
  readonly levels?: number;
  /** Store new embeddings in half precision: half the space, relative error up to 2^-11. */
  readonly half?: boolean;
}

/**
 * @throws SamError `signature_mismatch` if the store holds embeddings of other pixels, another model or tiling, and
 *   `storage` if its metadata are damaged
 */
export async function openEmbeddingCache(store: Store, options: CacheOptions): Promise<EmbeddingCache> {
  const { signature, geometry } = options;
  const stored = await readAttributes(store);
  const warnings = stored ? checkSignature(store, stored, signature) : [];
  const { tiling } = geometry;
  // A place that cannot be written is no reason not to segment: the error comes with the first embedding to be kept.
  const unwritable = stored ? undefined : await begin(store, options).catch(storageErrorOnly);

  const arrays = new Map<string, Promise<FeatureArray | undefined>>();
  const pathOf = ({ tile }: Place) => (tiling ? `features/${tile}` : 'features');
  const frameOf = ({ tile }: Place): { originalSize: Size; inputSize: Size } => {
    const originalSize = tiling ? outerSize(tiling, tile) : geometry.size;
    return { originalSize, inputSize: geometry.inputSize(originalSize) };
  };
  const planes = geometry.stack ? geometry.planes : undefined;

  const earlyArrays = new FurtherArrays(store, planes);
  const levelArrays = new FurtherArrays(store, planes, 'levels');

  async function levelsAt({ plane, tile }: Place): Promise<Embedding['levels']> {
    const stored = Object.values((await levelArrays.get(plane, tile)) ?? {});
    return stored.length === options.levels ? stored : undefined;
  }

  function arrayAt(at: Place, create: boolean): Promise<FeatureArray | undefined> {
    const path = pathOf(at);
    const known = arrays.get(path) ?? Promise.resolve(undefined);
    const opened = known.then(async (array) => {
      const found = array ?? (await openFeatureArray(store, path, planes));
      if (found || !create) return found;
      const { inputSize, originalSize } = frameOf(at);
      const attributes = tiling ? { original_size: originalSize, input_size: inputSize } : {};
      return createFeatureArray(store, path, { planes, half: options.half ?? false, attributes });
    });
    // A failed attempt must not stand in the way of the next one.
    arrays.set(
      path,
      opened.catch(() => undefined),
    );
    return opened;
  }

  return {
    warnings,
    async get(at) {
      const features = await (await arrayAt(at, false))?.get(at.plane);
      if (!features) return undefined;
      const levels = options.levels ? await levelsAt(at) : undefined;
      if (options.levels && !levels) return undefined;
      return { features, ...(levels && { levels }), ...frameOf(at), id: await options.idOf(at, features) };
    },
    early: ({ plane, tile }) => earlyArrays.get(plane, tile),
    async set(at, { features, early, levels }) {
      if (unwritable) throw unwritable;
      if (levels) await levelArrays.set(byNumber(levels), at.plane, at.tile);
      await (await arrayAt(at, true))?.set(at.plane, features);
      if (early) await earlyArrays.set(early, at.plane, at.tile);
    },
    async finish() {
      if (unwritable) throw unwritable;
      const current = (await readAttributes(store)) ?? {};
      if ('input_size' in current) return;
      const { inputSize, originalSize } = frameOf({ plane: 0 });
      await writeGroup(store, '', 3, {
        ...signatureAttributes(signature),
        input_size: tiling ? null : inputSize,
        original_size: tiling ? null : originalSize,
      });
    },
  };
}

function byNumber(levels: NonNullable<Embedding['levels']>): EarlyFeatures {
  return Object.fromEntries(levels.map((level, n) => [`level${n}`, level]));
}

async function begin(store: Store, { signature, geometry: { tiling } }: CacheOptions): Promise<undefined> {
  await writeGroup(store, '', 3, signatureAttributes(signature));
  if (!tiling) return;
  const { size, tileShape, halo } = tiling;
  await writeGroup(store, 'features', 3, { shape: size, tile_shape: tileShape, halo });
}

function storageErrorOnly(error: unknown): SamError {
  if (error instanceof SamError && (error.code === 'storage' || error.code === 'unsupported')) return error;
  throw error;
}

/** The root attributes of the embeddings in a store, `undefined` if there are none; for adopting their settings. */
export async function readAttributes(store: Store): Promise<Readonly<Record<string, unknown>> | undefined> {
  const v3 = await readJson(store, 'zarr.json');
  if (v3) return membersOf(v3.attributes);
  const v2 = await readJson(store, '.zgroup');
  return v2 && ((await readJson(store, '.zattrs')) ?? {});
}

async function readJson(store: Store, key: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const bytes = await store.get(key);
  if (!bytes) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (hasMembers(value) && !Array.isArray(value)) return value;
  } catch {
    // The message below says what to do; the parser's own would not help.
  }
  throw new SamError(
    'storage',
    `The embeddings in ${store.name} are damaged ("${key}" is not JSON). Delete them; they will be computed again.`,
    { details: { key } },
  );
}

function checkSignature(
  store: Store,
  stored: Readonly<Record<string, unknown>>,
  signature: Signature,
): (keyof Signature)[] {
  if (!('data_signature' in stored))
    throw new SamError(
      'signature_mismatch',
      `${store.name} holds data that do not say which image they belong to: an image itself, or embeddings whose computation was interrupted in another program. Choose another place.`,
      { details: { mismatches: ['data_signature'] } },
    );
  const { mismatches, warnings } = compareSignatures(stored, signature);
  if (mismatches.length === 0) return warnings;
  const reasons = mismatches.map(
    (key) =>
      `${SIGNATURE_MEANING[key]} (${key}: ${JSON.stringify(stored[key] ?? null)}, wanted ${JSON.stringify(signature[key])})`,
  );
  throw new SamError(
    'signature_mismatch',
    `The embeddings in ${store.name} were made from ${reasons.join('; ')}. Choose matching settings, another place, or delete them.`,
    { details: { mismatches, stored, wanted: signature } },
  );
}

function signatureAttributes(signature: Signature): Record<string, unknown> {
  return { ...signature };
}

function outerSize({ tiles }: Tiling, tile = 0): Size {
  const [y0, x0, y1, x1] = itemAt(tiles, tile).outer;
  return [y1 - y0, x1 - x0];
}
