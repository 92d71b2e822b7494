import { SamError } from '../../errors.js';
import type { Store } from '../../io/store.js';
import { keysOf, tableOf } from '../../items.js';
import { halfSizeImage } from '../../model/instance-decoder.js';
import type { Embedding } from '../../model/sam-tensors.js';
import { tensor } from '../../ndimage/array.js';
import { toHalf } from '../../ndimage/half.js';
import { dilate } from '../../ndimage/morphology.js';
import { resizeNearest } from '../../ndimage/resize.js';
import { CANVAS_SIDE, type Canvas } from '../canvas.js';
import { distanceTargets } from './distance-targets.js';

/**
 * With a frozen encoder a canvas is encoded once. What training needs of it is kept in half precision, one value per
 * canvas: the encoder's features, the image at half its size, and the targets.
 */

/** Channels and cells per side of what is kept, in the order in which it is. */
export const CACHED = {
  /** The embedding. */
  emb: { channels: 256, side: 64 },
  /** Output of the encoder's second stage. */
  s1: { channels: 128, side: 128 },
  /** Output of the encoder's first stage. */
  s0: { channels: 64, side: 256 },
  /** The image, as `halfSizeImage` makes it. */
  img: { channels: 3, side: 512 },
  /** Foreground, distance to the centre, distance to the boundary, and 1 where these are known. */
  target: { channels: 4, side: 512 },
} as const;

export type CachedPart = keyof typeof CACHED;
export type CanvasFeatures = Readonly<Record<CachedPart, Uint16Array>>;

export const PARTS = keysOf(CACHED);

export function mapParts<T>(of: (part: CachedPart) => T): Record<CachedPart, T> {
  return tableOf(PARTS, of);
}

const BYTES = PARTS.reduce((sum, part) => sum + 2 * lengthOf(part), 0);

function lengthOf(part: CachedPart): number {
  return CACHED[part].channels * CACHED[part].side ** 2;
}

/** Names of the encoder's early features that are kept (model/early-features.ts). */
export const EARLY = ['s0', 's1'] as const;

/** What of a canvas the decoder is trained on. */
export function targetsOf({ labels, size, partial }: Canvas): Float32Array {
  const { side } = CACHED.target;
  const small = resizeNearest(labels, [side, side]);
  const { foreground, centre, boundary } = distanceTargets(small);
  const known = partial ? nearObjects(foreground, side) : new Float32Array(side * side).fill(1);
  const cell = CANVAS_SIDE / side;
  const [rows, columns] = size.map((length) => Math.ceil(length / cell));
  for (let p = 0; p < known.length; p++) if (Math.floor(p / side) >= rows || p % side >= columns) known[p] = 0;
  const all = new Float32Array(lengthOf('target'));
  for (const [i, map] of [foreground, centre, boundary, known].entries()) all.set(map, i * side * side);
  return all;
}

/** Cells around an annotated object that are taken for background where not all objects are annotated. */
const RIM = 4;

function nearObjects(foreground: Float32Array, side: number): Float32Array {
  return Float32Array.from(dilate(tensor(foreground, [side, side]), { structure: 'all', iterations: RIM }).data);
}

/** @param encoded the canvas, with `EARLY` beside the embedding */
export async function cacheCanvas(
  store: Store,
  key: string,
  canvas: Canvas,
  { features, early }: Pick<Embedding, 'features' | 'early'>,
): Promise<void> {
  const [image] = halfSizeImage(canvas.image, [CANVAS_SIDE, CANVAS_SIDE], CANVAS_SIDE);
  const parts: Readonly<Record<CachedPart, Uint16Array | undefined>> = {
    emb: toHalf(features.data),
    s0: early?.s0?.data,
    s1: early?.s1?.data,
    img: toHalf(image),
    target: toHalf(targetsOf(canvas)),
  };
  const all = new Uint16Array(BYTES / 2);
  let at = 0;
  for (const part of PARTS) {
    const data = parts[part];
    if (data?.length !== lengthOf(part))
      throw new SamError(
        'unsupported',
        `The encoder gives no '${part}' of the size that the instance decoder builds on.`,
      );
    all.set(data, at);
    at += data.length;
  }
  await store.set(key, new Uint8Array(all.buffer));
}

export async function cachedCanvas(store: Store, key: string): Promise<CanvasFeatures | undefined> {
  const bytes = await store.get(key);
  if (bytes?.length !== BYTES) return undefined;
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, BYTES / 2);
  let end = 0;
  return mapParts((part) => {
    const start = end;
    end += lengthOf(part);
    return halves.subarray(start, end);
  });
}
