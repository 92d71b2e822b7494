import type { Place } from '../../embeddings/cache.js';
import type { EmbeddingSource } from '../../embeddings/embedding-source.js';
import { LruCache } from '../../io/cache.js';
import type { InstanceMaps } from '../../model/sam-tensors.js';
import type { LabelImage, Size, YX } from '../../ndimage/array.js';
import type { Mask } from '../../ndimage/mask.js';
import { maskFromLabels } from '../../ndimage/rle.js';
import type { TaskOptions } from '../../task.js';
import { generateInstances, labelsOf, medianDiameter } from './generate.js';
import { tileOf } from './initialize.js';
import { type InstanceState, MICRO_SAM_SETTINGS } from './state.js';

/**
 * Which object a person means by a point in it, as the instance decoder tells: the objects of a whole plane or tile are
 * found once, and looked up for each point.
 */

/** A label image each, of the planes and tiles that were prompted last: 16 MB of 2048 x 2048 pixels. */
const KEPT_BYTES = 2 ** 26;

const kept = new WeakMap<EmbeddingSource, LruCache<string, LabelImage>>();

/**
 * @param place a tile exactly if the image is in tiles
 * @param at in pixels of the plane or of the tile's outer box
 * @returns the object that holds the point, in the same pixels; none where the decoder sees background
 */
export async function instanceAt(
  embeddings: EmbeddingSource,
  place: Place,
  size: Size,
  at: YX,
  task: TaskOptions = {},
): Promise<Mask | undefined> {
  const { instanceMaps, objectDiameter } = embeddings;
  if (!instanceMaps) return undefined;
  const cache = kept.get(embeddings) ?? new LruCache<string, LabelImage>(KEPT_BYTES);
  kept.set(embeddings, cache);
  const labels = await cache.load(`${place.plane}/${place.tile ?? ''}`, async () => {
    const value = objectsOfMaps(await instanceMaps(place, task), size, objectDiameter);
    return { value, bytes: value.data.byteLength };
  });
  const [row, column] = [Math.floor(at[0]), Math.floor(at[1])];
  const id = labels.data[row * size[1] + column];
  return id === 0 ? undefined : maskFromLabels(labels, id);
}

/**
 * Maps of one plane or tile → its objects, by the rules that suit their size.
 *
 * @param diameter typical, in pixels, if it is known; else it is measured first
 * @returns [H, W] of `size`
 */
export function objectsOfMaps(maps: InstanceMaps, size: Size, diameter?: number): LabelImage {
  const state: InstanceState = { size, tiles: [tileOf(maps, [0, 0, ...size])], diameter };
  const measured = diameter ?? medianDiameter(generateInstances(state, MICRO_SAM_SETTINGS));
  return labelsOf(generateInstances({ ...state, diameter: measured }), size);
}
