import { readAttributes } from '../embeddings/cache.js';
import { type ImageEmbeddings, openEmbeddings } from '../embeddings/image-embeddings.js';
import { asSamError } from '../errors.js';
import type { ImageSource } from '../io/image.js';
import type { PixelSize } from '../io/pixel-size.js';
import type { Store } from '../io/store.js';
import { prefixStore } from '../io/stores/prefix.js';
import type { ModelSpec } from '../model/model-spec.js';
import { BUILT_IN_MODELS, resolveModel } from '../model/registry.js';
import type { EncodingChange } from '../service/engine.js';
import type { SamWorker } from '../worker/sam-worker.js';
import { recallSize, rememberSize } from './remembered-size.js';

/** How an image goes to the model, as far as somebody has said so; what is absent is chosen automatically. */
export type Encoding = Omit<EncodingChange, 'channels' | 'pixelSize'>;

/** What encodes, and where embeddings and settings are kept. */
export interface ModelParts {
  readonly worker: SamWorker;
  readonly store: Store;
}

/** An image to be encoded. */
export interface EncodedImage {
  readonly source: ImageSource;
  /** Where somebody keeps its embeddings. */
  readonly kept?: Store;
  /** The built-in model that made these. */
  readonly keptModel?: string;
}

/** Model and intensity stay from image to image; tiles and sizes belong to one, where they were set for it. */
export async function settingsFor(
  store: Store,
  signature: string,
  { model, intensity }: Encoding,
): Promise<{ readonly encoding: Encoding; readonly pixelSize: PixelSize | undefined }> {
  const { pixelSize, ...sizes } = await recallSize(prefixStore(store, SIZES), signature);
  const encoding = {
    ...(model && { model }),
    ...(intensity && intensity.kind !== 'fixed' && { intensity }),
    ...sizes,
  };
  return { encoding, pixelSize: pixelSize ?? undefined };
}

export function rememberSettings(
  store: Store,
  signature: string,
  encoding: Encoding,
  pixelSize: PixelSize | undefined,
): Promise<void> {
  return rememberSize(prefixStore(store, SIZES), signature, { ...encoding, pixelSize });
}

/** As chosen; else the one that embeddings were made with beforehand; else the default. */
export function modelFor(
  chosen: EncodingChange['model'],
  opened: Pick<EncodedImage, 'keptModel'> | undefined,
): ModelSpec {
  return resolveModel(chosen ?? opened?.keptModel);
}

/** Which of the built-in models made the embeddings of a store, if one did. */
export async function builtInModelOf(store: Store): Promise<string | undefined> {
  const { model_name: name } = (await readAttributes(store)) ?? {};
  return BUILT_IN_MODELS.find((known) => known === name);
}

/**
 * The embeddings of an image as these settings have them, in the place where somebody keeps them, else in a place of our own.
 *
 * @param channels that the model is given; undefined: all
 */
export async function embeddingsOf(
  image: EncodedImage,
  channels: readonly number[] | undefined,
  { model, intensity, tiling, objectDiameter }: Encoding,
  { worker, store }: ModelParts,
  signal?: AbortSignal,
): Promise<ImageEmbeddings> {
  const { source, kept } = image;
  const options = {
    source,
    worker,
    model: modelFor(model, image),
    channels,
    intensity: intensity ?? undefined,
    tiling: tiling ?? undefined,
    objectDiameter: objectDiameter ?? undefined,
  };
  const own = (key: string) => prefixStore(store, `embeddings/${key}`);
  if (!kept) return openEmbeddings({ ...options, store: own }, { signal });
  try {
    return await openEmbeddings({ ...options, store: kept }, { signal });
  } catch (error) {
    const { code, message } = asSamError(error);
    if (code !== 'signature_mismatch') throw error;
    const embeddings = await openEmbeddings({ ...options, store: own }, { signal });
    return {
      ...embeddings,
      notices: [...embeddings.notices, `The embeddings given with -e are not used: ${message}`],
    };
  }
}

/** Up to three channels are segmented together, as one picture; of more, the first, until others are chosen. */
export function defaultChannels(source: ImageSource): readonly number[] | undefined {
  return source.rgb || source.sizes.c <= 3 ? undefined : [0];
}

/** Folder of the store for what `rememberSize` keeps. */
const SIZES = 'sizes';
