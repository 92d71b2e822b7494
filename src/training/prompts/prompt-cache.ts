import type { Store } from '../../io/store.js';
import type { Embedding } from '../../model/sam-tensors.js';
import type { LabelImage } from '../../ndimage/array.js';
import { fromHalf, toHalf } from '../../ndimage/half.js';
import { relabelSequential } from '../../ndimage/label.js';
import { resizeNearest } from '../../ndimage/resize.js';
import type { Canvas } from '../canvas.js';

/** With a frozen encoder a canvas is encoded once: its embedding in half precision and its objects, 2.2 MB. */
export interface PromptSample {
  /** [1, 256, 64, 64]. */
  readonly embedding: Float32Array;
  /** [256, 256]: the grid of the mask decoder. */
  readonly labels: LabelImage;
}

const EMBEDDING = 256 * 64 * 64;
export const MASK_SIDE = 256;

export async function cachePrompts(
  store: Store,
  key: string,
  canvas: Canvas,
  { features }: Pick<Embedding, 'features'>,
): Promise<void> {
  const all = new Uint16Array(EMBEDDING + MASK_SIDE ** 2);
  all.set(toHalf(features.data));
  all.set(labelsOnGrid(canvas).data, EMBEDDING);
  await store.set(key, new Uint8Array(all.buffer));
}

/** The objects of a canvas on the grid of the mask decoder, numbered from 1. */
export function labelsOnGrid({ labels }: Canvas): LabelImage {
  return relabelSequential(resizeNearest(labels, [MASK_SIDE, MASK_SIDE])).labels;
}

export async function cachedPrompts(store: Store, key: string): Promise<PromptSample | undefined> {
  const bytes = await store.get(key);
  if (bytes?.length !== 2 * (EMBEDDING + MASK_SIDE ** 2)) return undefined;
  const all = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  return {
    embedding: fromHalf(all.subarray(0, EMBEDDING)),
    labels: { data: Uint32Array.from(all.subarray(EMBEDDING)), shape: [MASK_SIDE, MASK_SIDE] },
  };
}
