import { asSamError, SamError } from '../errors.js';
import { LruCache } from '../io/cache.js';
import { planeAt, planeCount } from '../io/image.js';
import { itemAt } from '../items.js';
import { mirroredImage, mirroredMaps } from '../model/mirrored.js';
import { FRAME, type ModelSpec, type ObjectSizes } from '../model/model-spec.js';
import type { Embedding, InstanceMaps } from '../model/sam-tensors.js';
import { type IntensityPolicy, intensityKey, resizedSize, toImage } from '../model/transforms.js';
import type { Size, Tensor, YXYX } from '../ndimage/array.js';
import { makeTiling, type Tiling } from '../ndimage/blocking.js';
import { pause, type TaskOptions } from '../task.js';
import { type EmbeddingCache, openEmbeddingCache, type Place, readAttributes } from './cache.js';
import { contentHash } from './content-hash.js';
import type { EmbeddingOptions } from './options.js';
import { chosenIntensity, chosenTiling } from './settings.js';
import { modelFields, pixelSignature, type Signature, signatureKey, WRITER_VERSION } from './signature.js';

/**
 * The embeddings of one image, made when asked for: first from memory, then from the cache on disk, else by the worker.
 * So 2D images, stacks, and images of any size look alike, and nothing is encoded that nobody looks at. Has the shape of
 * `EmbeddingSource` in segmentation/context.ts.
 */
export interface ImageEmbeddings {
  readonly size: Size;
  readonly planes: number;
  readonly tiling?: Tiling;
  /** How images and tiles are fitted into the model's square. */
  readonly resize: ModelSpec['encoderInput']['resize'];
  /** In pixels, as it was given. */
  readonly objectDiameter?: number;
  /** Of the model (`ModelSpec.objectSizes`). */
  readonly objectSizes?: ObjectSizes;
  /** Likewise. */
  readonly pointsByInstances?: boolean;
  readonly signature: Signature;
  readonly intensity: IntensityPolicy;
  /** What a person might want to know: settings taken over from the cache, versions that differ. */
  readonly notices: readonly string[];
  embedding(at: Place, task?: TaskOptions): Promise<Embedding>;
  /**
   * Maps of the objects of a plane or tile, or of any box of a plane, which is encoded for that alone. Absent if the model
   * has no instance decoder.
   */
  instanceMaps?(at: Place | PlaneBox, task?: TaskOptions): Promise<InstanceMaps>;
  /** The recorded pixels of a part of a plane, of the channels that are encoded: [h, w] or [h, w, c]. */
  pixels(at: { readonly plane: number; readonly box: YXYX }, task?: TaskOptions): Promise<Tensor>;
  /** Whether it is in memory or, whole, on disk. */
  isReady(at: Place): Promise<boolean>;
  /** Encodes in the background, one after the other, what is likely to be asked for next; a request goes first. */
  prefetch(places: readonly Place[]): void;
  /**
   * Resolves when what was encoded so far is on disk; an embedding is handed out before it is. Rejects with why the
   * last one could not be kept (it is in memory all the same).
   */
  stored(): Promise<void>;
  /** Declares the cache on disk complete. */
  finish(): Promise<void>;
  /** Ends background work. */
  close(): void;
}

/** Any part of a plane, in pixels; `mirrored`: seen from left to right, with its maps turned back. */
export interface PlaneBox {
  readonly plane: number;
  readonly box: YXYX;
  readonly mirrored?: boolean;
}

/** @throws SamError `signature_mismatch` if the store holds embeddings that do not belong to this image and model */
export async function openEmbeddings(options: EmbeddingOptions, task: TaskOptions = {}): Promise<ImageEmbeddings> {
  const { source, worker, model, channels } = options;
  const size: Size = [source.sizes.y, source.sizes.x];
  const planes = planeCount(source);
  const notices: string[] = [];
  const stored = typeof options.store === 'object' ? await readAttributes(options.store) : undefined;

  const choice = chosenTiling(options, size, stored, notices);
  const tiling = choice && makeTiling(size, choice.tileShape, choice.halo);
  const intensity = await chosenIntensity(options, tiling !== undefined, stored, notices, task);
  const extent = options.hash ?? (isPlainHash(stored?.data_signature) ? 'full' : 'auto');
  const signature: Signature = {
    data_signature: await pixelSignature(source, { channels, extent }, task),
    tile_shape: tiling?.tileShape ?? null,
    halo: tiling?.halo ?? null,
    ...modelFields(model),
    micro_sam_version: WRITER_VERSION,
    intensity: intensityKey(intensity),
  };
  const key = signatureKey(signature);
  const store = typeof options.store === 'function' ? options.store(key) : options.store;
  const cache: EmbeddingCache | undefined =
    store &&
    (await openEmbeddingCache(store, {
      signature,
      geometry: {
        size,
        planes,
        stack: source.axes !== 'yx',
        tiling,
        inputSize: (original) => resizedSize(original, FRAME, model.encoderInput.resize),
      },
      levels: model.decoderLayout.levels?.length,
      idOf: (at, features) => idOf(key, at, features),
      half: options.half,
    }));
  for (const warning of cache?.warnings ?? [])
    notices.push(`The stored embeddings say another ${warning}; used all the same.`);

  const { pointsByInstances = false } = model;
  const few = planes * (tiling?.tiles.length ?? 1) <= 16;
  const keepsEarly = model.instances !== undefined && (options.early ?? (few || pointsByInstances));
  const memory = new LruCache<string, Embedding>(options.memoryBytes ?? 2 ** 28);
  let writing: Promise<unknown> = Promise.resolve();
  let storageError: SamError | undefined;
  let background: AbortController | undefined;
  let encodingAhead: string | undefined;

  function check({ plane, tile }: Place): void {
    const tiles = tiling?.tiles.length;
    const tileFits = tiles === undefined ? tile === undefined : isIndex(tile, tiles);
    if (isIndex(plane, planes) && tileFits) return;
    throw new SamError(
      'invalid_argument',
      `There is no embedding of plane ${plane}${tile === undefined ? '' : `, tile ${tile}`}: the image has ${planes} planes and ${tiles ?? 'no'} tiles.`,
    );
  }

  /** As the encoder is given it. */
  async function imageOf(plane: number, box: YXYX | undefined, { signal }: TaskOptions): Promise<Tensor<Uint8Array>> {
    const pixels = await source.readRegion({ ...planeAt(source, plane), channels, box }, { signal });
    signal?.throwIfAborted();
    return toImage(pixels, intensity);
  }

  const boxOf = ({ tile }: Place) => (tiling && tile !== undefined ? itemAt(tiling.tiles, tile).outer : undefined);

  async function encode(at: Place, early: boolean, { signal, onProgress }: TaskOptions): Promise<Embedding> {
    const image = await imageOf(at.plane, boxOf(at), { signal });
    await worker.load(model, { signal, onProgress });
    const encoded = await worker.encode(model.name, image, { early, signal, onProgress });
    await pause(); // megabytes have arrived, are told apart and written: each in tasks of their own
    const embedding = { ...encoded, id: await idOf(key, at, encoded.features) };
    if (cache) keep(cache, at, embedding);
    return embedding;
  }

  /** Writes beside whoever waits for the embedding: it is as good from memory. */
  function keep(cache: EmbeddingCache, at: Place, embedding: Embedding): void {
    const write = pause()
      .then(() => cache.set(at, embedding))
      .then(
        () => {
          storageError = undefined;
        },
        (error) => {
          storageError = asSamError(error);
        },
      );
    writing = Promise.all([writing, write]);
  }

  async function written(): Promise<void> {
    await writing;
    if (storageError) throw storageError;
  }

  function obtain(at: Place, early: boolean, task: TaskOptions): Promise<Embedding> {
    return memory.load(keyOf(at), async () => {
      const value = (await cache?.get(at)) ?? (await encode(at, early, task));
      return { value, bytes: bytesOf(value) };
    });
  }

  async function mapsOf(at: Place, task: TaskOptions): Promise<InstanceMaps> {
    check(at);
    const embedding = await obtain(at, true, task);
    const image = await imageOf(at.plane, boxOf(at), task);
    await worker.load(model, task);
    try {
      return await worker.instanceMaps(model.name, embedding, image, task);
    } catch (error) {
      if (!(error instanceof SamError) || error.code !== 'no_embedding' || embedding.early) throw error;
    }
    // Made when nobody had asked for early features, or elsewhere.
    const early = await cache?.early(at);
    const whole = early ? { ...embedding, early } : await encode(at, true, task);
    memory.set(keyOf(at), whole, bytesOf(whole));
    return worker.instanceMaps(model.name, whole, image, task);
  }

  async function mapsOfBox({ plane, box, mirrored }: PlaneBox, task: TaskOptions): Promise<InstanceMaps> {
    const recorded = await imageOf(plane, box, task);
    const image = mirrored ? mirroredImage(recorded) : recorded;
    await worker.load(model, task);
    const embedding = await worker.encode(model.name, image, { early: true, ...task });
    const found = await worker.instanceMaps(model.name, embedding, image, task);
    return mirrored ? mirroredMaps(found) : found;
  }

  return {
    size,
    planes,
    tiling,
    resize: model.encoderInput.resize,
    objectDiameter: options.objectDiameter,
    ...(model.objectSizes && { objectSizes: model.objectSizes }),
    ...(pointsByInstances && { pointsByInstances }),
    signature,
    intensity,
    notices,
    stored: written,
    async embedding(at, task = {}) {
      check(at);
      task.signal?.throwIfAborted();
      const ready = memory.get(keyOf(at));
      if (ready) return ready;
      if (encodingAhead !== keyOf(at)) background?.abort();
      return obtain(at, keepsEarly, task);
    },
    ...(model.instances && {
      instanceMaps: (at: Parameters<NonNullable<ImageEmbeddings['instanceMaps']>>[0], task: TaskOptions = {}) =>
        'box' in at ? mapsOfBox(at, task) : mapsOf(at, task),
    }),
    pixels: ({ plane, box }, { signal } = {}) =>
      source.readRegion({ ...planeAt(source, plane), channels, box }, { signal }),
    async isReady(at) {
      check(at);
      return memory.get(keyOf(at)) !== undefined || (await cache?.get(at)) !== undefined;
    },
    prefetch(places) {
      background?.abort();
      const controller = new AbortController();
      const { signal } = controller;
      background = controller;
      const run = async () => {
        for (const at of places) {
          if (signal.aborted) return;
          check(at);
          encodingAhead = keyOf(at);
          await obtain(at, keepsEarly, { signal });
        }
      };
      // Nobody waits for this: whoever needs the embedding asks for it and hears of the failure then.
      run().catch(() => undefined);
    },
    async finish() {
      await written();
      await cache?.finish();
    },
    close() {
      background?.abort();
      memory.clear();
    },
  };
}

function bytesOf({ features, early = {}, levels = [] }: Embedding): number {
  const others = [...Object.values(early), ...levels];
  return others.reduce((sum, { data }) => sum + data.byteLength, features.data.byteLength);
}

function keyOf({ plane, tile }: Place): string {
  return `${plane}${tile === undefined ? '' : `/${tile}`}`;
}

/**
 * What decoders and workers know an embedding by. Of two with the same signature, say one from a file and one encoded
 * here, the content may differ.
 */
async function idOf(signature: string, at: Place, { data }: Tensor<Float32Array>): Promise<string> {
  return `${signature}/${keyOf(at)}/${await contentHash(data)}`;
}

const isIndex = (value: number | undefined, length: number) =>
  Number.isInteger(value) && value! >= 0 && value! < length;

const isPlainHash = (value: unknown) => typeof value === 'string' && /^[0-9a-f]{40}$/.test(value);
