import type { Store } from '../../io/store.js';
import type { Embedding } from '../../model/sam-tensors.js';
import { toHalf } from '../../ndimage/half.js';
import type { Canvas } from '../canvas.js';
import { canvasBytes, type KeptCanvas, keptCanvas } from '../kept-canvas.js';

const EMBEDDING = 256 * 64 * 64;

/** With a frozen encoder a canvas is encoded once: its embedding, [1, 256, 64, 64], and its objects, 2.2 MB. */
export async function cachePrompts(
  store: Store,
  key: string,
  canvas: Canvas,
  { features }: Pick<Embedding, 'features'>,
): Promise<void> {
  await store.set(key, canvasBytes(toHalf(features.data), canvas));
}

/** With the embedding as its features. */
export async function cachedPrompts(store: Store, key: string): Promise<KeptCanvas | undefined> {
  return keptCanvas(await store.get(key), EMBEDDING);
}
