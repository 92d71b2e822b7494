import { SamError } from '../../errors.js';
import { itemAt, membersOf } from '../../items.js';
import { sizeOf } from '../../ndimage/array.js';
import { elementSize, fromChunks } from '../chunked-image.js';
import type { ImageSource } from '../image.js';
import { guessAxes } from '../ndarray.js';
import type { OpenOptions } from '../open-options.js';
import { asImageErrors } from '../region.js';
import { notReadable } from '../sniff.js';
import type { Store } from '../store.js';
import { N5 } from '../unreadable.js';
import { openZarrArray, readNode, type ZarrNode } from './array.js';
import { imagesOf } from './images.js';
import { type OmeZarrImage, omeAttributes, omeZarrImages } from './ome-zarr.js';

/**
 * Zarr over any store: OME-Zarr images with their resolution levels (labels too: they are images at `labels/<name>`),
 * and plain arrays, v2 and v3, by `key`. Only the chunks that a region touches are fetched.
 */
export async function openZarr(store: Store, options: OpenOptions = {}): Promise<ImageSource> {
  const key = (options.key ?? '').replace(/^\/+|\/+$/g, '');
  const where = `${options.name ?? store.name}${key ? `/${key}` : ''}`;
  return asImageErrors(where, async () => {
    const node = await readNode(store, key, options);
    if (node === undefined) throw await nothingThere(store, where, options);
    if (node.kind === 'array') return openPlain(store, key, node, where);
    const images = omeZarrImages(node.attributes, where);
    if (images.length > 0) return openMultiscale(store, key, images, where, options);
    return openContainer(store, key, node, where, options);
  });
}

async function nothingThere(store: Store, where: string, options: OpenOptions): Promise<SamError> {
  const isN5 = await store.get('attributes.json', options).catch(() => undefined);
  return isN5
    ? notReadable(where, N5)
    : new SamError('not_found', `${where} is not a zarr array or group; check the address or the key.`);
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
  const nodes = await Promise.all(
    image.levels.map(async (level) => {
      const full = key === '' ? level.path : `${key}/${level.path}`;
      return { ...level, full, node: await readNode(store, full, options) };
    }),
  );
  // Smaller copies that were never written are no loss.
  const there = nodes.flatMap(({ node, ...level }) => (node?.kind === 'array' ? [{ ...level, node }] : []));
  const absent = nodes.filter(({ node }) => node?.kind !== 'array').map(({ path }) => path);
  if (absent.includes(itemAt(image.levels, 0).path))
    throw new SamError(
      'invalid_image',
      `${where} names a resolution level "${absent[0]}", which is not there; it is incomplete.`,
    );
  const opened = await Promise.all(
    there.map(async ({ full, node, pixelSize }) => ({ pixelSize, array: await openZarrArray(store, full, node) })),
  );
  // The largest is the image, whatever the order in which they are named.
  const levels = [...opened].sort((a, b) => sizeOf(b.array.shape) - sizeOf(a.array.shape));
  const full = itemAt(levels, 0);
  const { axes, notices } = axesOf(image, full.array.shape, where);
  return fromChunks(
    levels.map(({ array }) => array),
    axes,
    {
      name: image.name ?? where,
      channels: image.channels,
      pixelSize: full.pixelSize,
      notices: [
        ...notices,
        ...(full === opened[0]
          ? []
          : [`${where} does not name its largest resolution level first; it is read as the image.`]),
        ...(absent.length > 0
          ? [`${where} names the resolution levels ${absent.join(', ')}, which are not there.`]
          : []),
      ],
      images: images.map(({ name }, i) => name || `Image ${i + 1}`),
    },
  );
}

/** What the metadata say of the axes, if that fits the array; else what its shape says. */
function axesOf({ axes }: OmeZarrImage, shape: readonly number[], where: string): { axes: string; notices: string[] } {
  if (axes === undefined) return { axes: 'tczyx'.slice(-shape.length), notices: [] };
  if (axes.length === shape.length) return { axes, notices: [] };
  const notice = `${where} names the axes ${[...axes].join(' ')}, which do not fit its shape [${shape}]; the axes are inferred from the shape.`;
  return { axes: guessAxes(shape, where), notices: [notice] };
}

async function openPlain(store: Store, key: string, node: ZarrNode, where: string): Promise<ImageSource> {
  const array = await openZarrArray(store, key, node);
  const names = array.dimensionNames?.map((name) => String(name).toLowerCase());
  const named = names?.every((name) => /^[tczyx]$/.test(name)) && new Set(names).size === array.shape.length;
  const axes = named && names ? names.join('') : guessAxes(array.shape, where);
  return fromChunks([array], axes, {
    name: where,
    channels: [],
    pixelSize: elementSize(array.attributes, axes),
    images: undefined,
  });
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
  if (own['bioformats2raw.layout'] !== undefined) {
    const image = await openOneOfSeveral(store, key, where, options);
    if (image) return image;
  }
  if (own.plate !== undefined)
    throw new SamError(
      'unsupported',
      `${where} is a plate of wells; open one field of it by its key, for example "A/1/0".`,
      {
        details: { feature: 'OME-Zarr plate' },
      },
    );
  const paths = [...new Set([...listedArrays(node), ...(await storedArrays(store, key))])];
  const [only] = paths;
  if (only !== undefined && paths.length === 1) return openZarr(store, { ...options, key: at(only) });
  throw new SamError(
    'invalid_argument',
    paths.length === 0
      ? `${where} is a zarr group without OME-Zarr metadata; say by a key which array in it is the image.`
      : `${where} holds several arrays; say which one is the image: ${paths.slice(0, 20).join(', ')}.`,
    { details: { keys: paths } },
  );
}

/** What bioformats2raw makes of a file with several images: undefined if it holds none. */
async function openOneOfSeveral(
  store: Store,
  key: string,
  where: string,
  options: OpenOptions,
): Promise<ImageSource | undefined> {
  const several = await imagesOf(store, key, options);
  if (several.length === 0) return undefined;
  const chosen = several[options.series ?? 0];
  if (chosen === undefined)
    throw new SamError(
      'invalid_argument',
      `There is no image ${options.series} in ${where}; it holds ${several.length}, counted from 0.`,
    );
  const image = await openZarr(store, { ...options, key: chosen.key, series: 0 });
  return { ...image, images: several.map(({ name }) => name) };
}

function listedArrays(node: ZarrNode): string[] {
  const { metadata } = membersOf(node.metadata.consolidated_metadata);
  const children = Object.entries(membersOf(metadata));
  return children.flatMap(([path, child]) => (membersOf(child).node_type === 'array' ? [path] : []));
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
