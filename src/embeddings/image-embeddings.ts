import { SamError } from '../errors.js';
import { planeCount } from '../io/image.js';
import { FRAME } from '../model/model-spec.js';
import type { InstanceMaps } from '../model/sam-tensors.js';
import { type IntensityPolicy, intensityKey, resizedSize } from '../model/transforms.js';
import type { Size } from '../ndimage/array.js';
import { makeTiling } from '../ndimage/blocking.js';
import type { TaskOptions } from '../task.js';
import { type EmbeddingCache, openEmbeddingCache, type Place, readAttributes } from './cache.js';
import type { EmbeddingSource } from './embedding-source.js';
import { idOf, KeptEmbeddings, keyOf } from './kept-embeddings.js';
import type { EmbeddingOptions } from './options.js';
import { PlaneEncoder } from './plane-encoder.js';
import { chosenIntensity, chosenTiling } from './settings.js';
import { modelFields, pixelSignature, type Signature, signatureKey, WRITER_VERSION } from './signature.js';

/** What other sources of embeddings may lack. */
type Always = 'resize' | 'pixels' | 'isReady';

/**
 * The embeddings of one image, made when asked for: first from memory, then from the cache on disk, else by the worker.
 * So 2D images, stacks, and images of any size look alike, and nothing is encoded that nobody looks at.
 */
export interface ImageEmbeddings extends Omit<EmbeddingSource, Always>, Required<Pick<EmbeddingSource, Always>> {
  readonly planes: number;
  readonly signature: Signature;
  readonly intensity: IntensityPolicy;
  /** What a person might want to know: settings taken over from the cache, versions that differ. */
  readonly notices: readonly string[];
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
  const kept = new KeptEmbeddings(cache, options.memoryBytes ?? 2 ** 28);
  const encoder = new PlaneEncoder({ source, worker, model, channels, intensity, tiling, signature: key });
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

  const obtain = (at: Place, early: boolean, task: TaskOptions) => kept.load(at, () => encoder.encode(at, early, task));

  async function mapsOf(at: Place, task: TaskOptions): Promise<InstanceMaps> {
    check(at);
    const embedding = await obtain(at, true, task);
    try {
      return await encoder.maps(at, embedding, task);
    } catch (error) {
      if (!(error instanceof SamError) || error.code !== 'no_embedding' || embedding.early) throw error;
    }
    // Made when nobody had asked for early features, or elsewhere.
    const whole = await kept.withEarly(at, embedding, () => encoder.encode(at, true, task));
    return encoder.maps(at, whole, task);
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
    stored: () => kept.written(),
    async embedding(at, task = {}) {
      check(at);
      task.signal?.throwIfAborted();
      const ready = kept.get(at);
      if (ready) return ready;
      if (encodingAhead !== keyOf(at)) background?.abort();
      return obtain(at, keepsEarly, task);
    },
    ...(model.instances && {
      instanceMaps: (at: Parameters<NonNullable<ImageEmbeddings['instanceMaps']>>[0], task: TaskOptions = {}) =>
        'box' in at ? encoder.mapsOfBox(at, task) : mapsOf(at, task),
    }),
    pixels: ({ plane, box }, task = {}) => encoder.pixels(plane, box, task),
    async isReady(at) {
      check(at);
      return kept.has(at);
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
    finish: () => kept.finish(),
    close() {
      background?.abort();
      kept.clear();
    },
  };
}

const isIndex = (value: number | undefined, length: number) =>
  value !== undefined && Number.isInteger(value) && value >= 0 && value < length;

const isPlainHash = (value: unknown) => typeof value === 'string' && /^[0-9a-f]{40}$/.test(value);
