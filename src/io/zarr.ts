import { SamError } from '../errors.js';
import type { TypedArray } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';
import { LruCache } from './cache.js';
import { memoryDtype } from './elements.js';
import type { ChannelInfo, ImageSource } from './image.js';
import { arrange, guessAxes, namedChannels, planeAxes } from './ndarray.js';
import { type OmeZarrImage, omeAttributes, omeZarrImages } from './ome-zarr.js';
import type { OpenOptions } from './open.js';
import {
  allocateRegion,
  asImageErrors,
  checkBlockCount,
  forEachConcurrently,
  imageSource,
  type Region,
} from './region.js';
import type { Store } from './store.js';
import { openZarrArray, readNode, type ZarrArray, type ZarrNode, zarrError } from './zarr-array.js';

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

interface Chunk {
  readonly data: TypedArray;
  readonly strides: readonly number[];
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
        return await readRegion(name, array, axes, { ...region, z: plane }, cache, out, options);
      } catch (error) {
        throw zarrError(error, name);
      }
    },
    async () => cache.clear(),
  );
}

async function readRegion(
  name: string,
  array: ZarrArray,
  axes: string,
  region: Region,
  cache: LruCache<string, Chunk>,
  out: TypedArray,
  options: TaskOptions,
): Promise<TypedArray> {
  const [y0, x0, y1, x1] = region.box;
  const wanted: Record<string, readonly number[]> = {
    t: [region.t],
    z: [region.z],
    c: region.channels,
    y: range(y0, y1),
    x: range(x0, x1),
  };
  /** Per axis: the chunk index, and which of the wanted positions lie in that chunk. */
  const perAxis = [...axes].map((axis, i) => split(wanted[axis], array.chunks[i]));
  checkBlockCount(
    name,
    perAxis.reduce((count, parts) => count * parts.length, 1),
  );
  const steps: Record<string, number> = {
    c: 1,
    x: region.channels.length,
    y: region.width * region.channels.length,
    t: 0,
    z: 0,
  };
  await forEachConcurrently(
    product(perAxis),
    async (parts) => {
      const index = parts.map((part) => part.chunk);
      const chunk = await cache.load(`${region.level}/${index.join('.')}`, async () => {
        const value = await array.chunk(index, options);
        return { value, bytes: value.data.byteLength };
      });
      copy(
        chunk,
        parts,
        [...axes].map((axis) => steps[axis]),
        out,
      );
    },
    options.signal,
  );
  return out;
}

interface Part {
  readonly chunk: number;
  readonly inside: readonly number[];
  readonly position: readonly number[];
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

function split(positions: readonly number[], chunk: number): Part[] {
  const parts = new Map<number, { chunk: number; inside: number[]; position: number[] }>();
  positions.forEach((at, i) => {
    const index = Math.floor(at / chunk);
    const part = parts.get(index) ?? { chunk: index, inside: [], position: [] };
    parts.set(index, part);
    part.inside.push(at - index * chunk);
    part.position.push(i);
  });
  return [...parts.values()];
}

function* product(perAxis: readonly (readonly Part[])[], chosen: readonly Part[] = []): Generator<readonly Part[]> {
  if (chosen.length === perAxis.length) yield chosen;
  else for (const part of perAxis[chosen.length]) yield* product(perAxis, [...chosen, part]);
}

function copy(chunk: Chunk, parts: readonly Part[], steps: readonly number[], out: TypedArray): void {
  const last = parts.length - 1;
  const walk = (axis: number, from: number, to: number) => {
    const { inside, position } = parts[axis];
    const stride = chunk.strides[axis];
    const step = steps[axis];
    for (let i = 0; i < inside.length; i++) {
      const source = from + inside[i] * stride;
      const target = to + position[i] * step;
      if (axis === last) out[target] = chunk.data[source];
      else walk(axis + 1, source, target);
    }
  };
  walk(0, 0, 0);
}
