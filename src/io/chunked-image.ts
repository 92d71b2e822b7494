import { SamError } from '../errors.js';
import { itemAt } from '../items.js';
import { LruCache } from './cache.js';
import { type Chunk, type ChunkedArray, readChunkedRegion } from './chunked-region.js';
import { memoryDtype } from './elements.js';
import type { ChannelInfo, ImageSource } from './image.js';
import { arrange, namedChannels, planeAxes } from './ndarray.js';
import { allocateRegion, imageSource, reports } from './region.js';

/** Images that lie in chunks (zarr, HDF5): only those that a region touches are fetched, and a limited amount is kept. */
const CACHE_BYTES = 128 * 2 ** 20;

export interface Described {
  readonly name: string;
  readonly channels: readonly Partial<ChannelInfo>[];
  readonly pixelSize: ImageSource['pixelSize'];
  readonly images: readonly string[] | undefined;
  readonly absentPlanes?: readonly number[];
  readonly notices?: readonly string[];
}

/** An image over arrays, one per resolution level, whose axes are `letters`: of `tczyx`, or `s` for colours. */
export function fromChunks(levels: readonly ChunkedArray[], letters: string, described: Described): ImageSource {
  const { name } = described;
  const arranged = levels.map((array) => ({ array, sizes: arrange(array.shape, letters, name).sizes }));
  const [full] = arranged;
  if (full === undefined) throw new SamError('invalid_image', `${name} has no resolution level; it is damaged.`);
  const colour = letters.includes('s');
  for (const [i, { array, sizes }] of arranged.entries())
    if (array.dtype !== full.array.dtype || sizes.t !== full.sizes.t || sizes.c !== full.sizes.c)
      throw new SamError(
        'invalid_image',
        `Resolution level ${i} of ${name} differs from the first in more than size; it is damaged.`,
      );
  const axes = letters.replace('s', 'c');
  const cache = new LruCache<string, Chunk>(CACHE_BYTES);
  const { t, c, z } = full.sizes;
  const dtype = memoryDtype(full.array.dtype);
  const names = namedChannels(c);
  return imageSource(
    {
      name,
      axes: planeAxes(t > 1, z > 1),
      sizes: full.sizes,
      dtype,
      channels: names.map((channel, i) => ({ ...channel, ...described.channels[i] })),
      rgb: colour,
      pixelSize: described.pixelSize,
      levels: arranged.map(({ sizes }) => [sizes.y, sizes.x]),
      images: described.images,
      ...reports(described),
    },
    async (region, options) => {
      const { array, sizes } = itemAt(arranged, region.level);
      // A level may have fewer planes than the image.
      const plane = Math.min(sizes.z - 1, Math.floor((region.z * sizes.z) / z));
      const out = allocateRegion(dtype, region);
      return readChunkedRegion({ name, array, axes, cache }, { ...region, z: plane }, out, options);
    },
    async () => cache.clear(),
  );
}

/** PlantSeg and ilastik write the size of a pixel, in micrometres and (z, y, x) order, into this attribute. */
export function elementSize(attributes: Readonly<Record<string, unknown>>, axes: string): ImageSource['pixelSize'] {
  const size = attributes.element_size_um;
  if (!Array.isArray(size) || !size.every((length) => length > 0)) return undefined;
  // One length per axis, or those of space alone where there are channels or time points too.
  const order = size.length === axes.length ? axes : 'zyx'.slice(-size.length);
  const of = (axis: string) => size[order.indexOf(axis)] as number;
  if (!['y', 'x'].every((axis) => axes.includes(axis) && order.includes(axis))) return undefined;
  return { y: of('y'), x: of('x'), ...(axes.includes('z') && order.includes('z') ? { z: of('z') } : {}), unit: 'µm' };
}
