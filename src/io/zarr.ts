import { SamError } from '../errors.js';
import { LruCache } from './cache.js';
import { memoryDtype } from './elements.js';
import type { ChannelInfo, ImageSource } from './image.js';
import { arrange, guessAxes, namedChannels, planeAxes } from './ndarray.js';
import { type OmeZarrImage, omeAttributes, omeZarrImages } from './ome-zarr.js';
import type { OpenOptions } from './open.js';
import { allocateRegion, asImageErrors, imageSource } from './region.js';
import type { Store } from './store.js';
import { openZarrArray, readNode, type ZarrArray, type ZarrNode, zarrError } from './zarr-array.js';
import { type Chunk, readZarrRegion } from './zarr-region.js';

/**
 * Zarr over any store: OME-Zarr images with their resolution levels (labels too: they are images at `labels/<name>`),
 * and plain arrays, v2 and v3, by `key`. Only the chunks that a region touches are fetched.
 */
export async function openZarr(store: Store, options: OpenOptions = {}): Promise<ImageSource> {
  const key = (options.key ?? '').replace(/^\/+|\/+$/g, '');
  const where = `${options.name ?? store.name}${key ? `/${key}` : ''}`;
  return asImageErrors(where, async () => {
    const node = await readNode(store, key, options);
    if (node === undefined)
      throw new SamError('not_found', `${where} is not a zarr array or group; check the address or the key.`);
    if (node.kind === 'array') return openPlain(store, key, node, where);
    const images = omeZarrImages(node.attributes, where);
    if (images.length > 0) return openMultiscale(store, key, images, where, options);
    return openContainer(store, key, node, where, options);
  });
}

async function openMultiscale(
  store: Store,
  key: string,
  images: readonly OmeZarrImage[],
  where: string,
  options: OpenOptions,
): Promise<ImageSource> {
  const image = images[options.series ?? 0];
  if (image === undefined)
    throw new SamError(
      'invalid_argument',
      `There is no image ${options.series} in ${where}; it holds ${images.length}, counted from 0.`,
    );
  const levels = await Promise.all(
    image.paths.map(async (path) => {
      const full = key === '' ? path : `${key}/${path}`;
      const node = await readNode(store, full, options);
      if (node?.kind !== 'array')
        throw new SamError(
          'invalid_image',
          `${where} names a resolution level "${path}", which is not there; it is incomplete.`,
        );
      return openZarrArray(store, full, node);
    }),
  );
  const axes = image.axes ?? 'tczyx'.slice(-levels[0].shape.length);
  return fromLevels(levels, axes, {
    ...image,
    name: image.name ?? where,
    images: images.map(({ name }, i) => name ?? `Image ${i + 1}`),
  });
}

async function openPlain(store: Store, key: string, node: ZarrNode, where: string): Promise<ImageSource> {
  const array = await openZarrArray(store, key, node);
  const names = array.dimensionNames?.map((name) => String(name).toLowerCase());
  const named = names?.every((name) => /^[tczyx]$/.test(name)) && new Set(names).size === array.shape.length;
  const axes = named && names ? names.join('') : guessAxes(array.shape, where);
  return fromLevels([array], axes, {
    name: where,
    channels: [],
    pixelSize: elementSize(array, axes),
    images: undefined,
  });
}

/** PlantSeg and ilastik write the size of a pixel, in micrometres and (z, y, x) order, into this attribute. */
function elementSize(array: ZarrArray, axes: string): ImageSource['pixelSize'] {
  const size = array.attributes.element_size_um;
  if (!Array.isArray(size) || size.length !== axes.length || !size.every((length) => length > 0)) return undefined;
  const of = (axis: string) => size[axes.indexOf(axis)] as number;
  if (!axes.includes('y') || !axes.includes('x')) return undefined;
  return { y: of('y'), x: of('x'), ...(axes.includes('z') ? { z: of('z') } : {}), unit: 'µm' };
}

/** A group that is no image: open the one image in it, or say what it holds. */
async function openContainer(
  store: Store,
  key: string,
  node: ZarrNode,
  where: string,
  options: OpenOptions,
): Promise<ImageSource> {
  const own = omeAttributes(node.attributes);
  const at = (path: string) => (key === '' ? path : `${key}/${path}`);
  if (own['bioformats2raw.layout'] !== undefined)
    return openZarr(store, { ...options, key: at(String(options.series ?? 0)), series: 0 });
  if (own.plate !== undefined)
    throw new SamError(
      'unsupported',
      `${where} is a plate of wells; open one field of it by its key, for example "A/1/0".`,
      {
        details: { feature: 'OME-Zarr plate' },
      },
    );
  const paths = [...new Set([...listedArrays(node), ...(await storedArrays(store, key))])];
  if (paths.length === 1) return openZarr(store, { ...options, key: at(paths[0]) });
  throw new SamError(
    'invalid_argument',
    paths.length === 0
      ? `${where} is a zarr group without OME-Zarr metadata; say by a key which array in it is the image.`
      : `${where} holds several arrays; say which one is the image: ${paths.slice(0, 20).join(', ')}.`,
    { details: { keys: paths } },
  );
}

function listedArrays(node: ZarrNode): string[] {
  const { metadata } = (node.metadata.consolidated_metadata ?? {}) as {
    metadata?: Record<string, { node_type?: string }>;
  };
  return Object.entries(metadata ?? {}).flatMap(([path, child]) => (child?.node_type === 'array' ? [path] : []));
}

/** Arrays in stores that can be listed; at most some thousand keys are looked at. */
async function storedArrays(store: Store, key: string): Promise<string[]> {
  const prefix = key === '' ? '' : `${key}/`;
  const found: string[] = [];
  let seen = 0;
  try {
    for await (const path of store.list(prefix)) {
      if (++seen > 20_000) break;
      const folder = /^(.+)\/(zarr\.json|\.zarray)$/.exec(path.slice(prefix.length))?.[1];
      if (folder !== undefined && (await readNode(store, prefix + folder))?.kind === 'array') found.push(folder);
    }
  } catch (error) {
    if (!(error instanceof SamError) || error.code !== 'unsupported') throw error;
  }
  return found.sort();
}

const CACHE_BYTES = 128 * 2 ** 20;

type Described = {
  readonly name: string;
  readonly channels: readonly Partial<ChannelInfo>[];
  readonly pixelSize: ImageSource['pixelSize'];
  readonly images: readonly string[] | undefined;
};

function fromLevels(levels: readonly ZarrArray[], letters: string, described: Described): ImageSource {
  const [full] = levels;
  const { name } = described;
  const sizes = levels.map((array) => arrange(array.shape, letters, name).sizes);
  const colour = letters.includes('s');
  for (const [i, array] of levels.entries())
    if (
      array.dtype !== full.dtype ||
      (['t', 'c', 'z'] as const).some((axis) => axis !== 'z' && sizes[i][axis] !== sizes[0][axis])
    )
      throw new SamError(
        'invalid_image',
        `Resolution level ${i} of ${name} differs from the first in more than size; it is damaged.`,
      );
  const axes = letters.replace('s', 'c');
  const cache = new LruCache<string, Chunk>(CACHE_BYTES);
  const { t, c, z } = sizes[0];
  const dtype = memoryDtype(full.dtype);
  const names = namedChannels(c);
  return imageSource(
    {
      name,
      axes: planeAxes(t > 1, z > 1),
      sizes: sizes[0],
      dtype,
      channels: names.map((channel, i) => ({ ...channel, ...described.channels[i] })),
      rgb: colour,
      pixelSize: described.pixelSize,
      levels: sizes.map((level) => [level.y, level.x]),
      images: described.images,
    },
    async (region, options) => {
      const array = levels[region.level];
      // A level may have fewer planes than the image.
      const plane = Math.min(sizes[region.level].z - 1, Math.floor((region.z * sizes[region.level].z) / z));
      const out = allocateRegion(dtype, region);
      try {
        return await readZarrRegion(name, array, axes, { ...region, z: plane }, cache, out, options);
      } catch (error) {
        throw zarrError(error, name);
      }
    },
    async () => cache.clear(),
  );
}
