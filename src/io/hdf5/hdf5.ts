import { SamError } from '../../errors.js';
import { itemAt } from '../../items.js';
import type { TaskOptions } from '../../task.js';
import { type ByteSource, memoryBytes } from '../bytes.js';
import { elementSize, fromChunks } from '../chunked-image.js';
import type { ImageSource } from '../image.js';
import { arrange, namedChannels, planeAxes } from '../ndarray.js';
import type { OpenOptions } from '../open-options.js';
import { colourChannels, reports } from '../region.js';
import { openStrided } from '../strided.js';
import { readAttributes } from './attributes.js';
import { datasetAxes } from './axes.js';
import { datasetShape, parseDataset } from './dataset.js';
import { chunkedDataset } from './dataset-chunks.js';
import { type Hdf5File, openHdf5File } from './fields.js';
import { type Message, readHeader } from './header.js';
import { isImaris, openImaris } from './imaris.js';
import { findObject, readLinks } from './links.js';

/**
 * A dataset of an HDF5 file by key: the structures that lead to it and the chunks a region touches are read, never the
 * whole file. Without a key a file with one image-like dataset opens, and an Imaris file as the image it is; with several
 * the error lists them.
 */
export async function openHdf5(source: ByteSource, options: OpenOptions = {}): Promise<ImageSource> {
  const name = options.name ?? source.name;
  const file = await openHdf5File(source, options);
  const key = options.key?.replace(/^\/+|\/+$/g, '');
  const named = key === undefined ? undefined : await findObject(file, key, options);
  if (key !== undefined && named && datasetShape(file, named)) return openDataset(file, named, key, [key], options);
  if (key === undefined && (await isImaris(file, options))) return openImaris(file, options);
  const images = await findImages(file, options);
  const keys = [...images.keys()];
  if (key !== undefined)
    throw new SamError(
      'not_found',
      `${name} has no dataset "${key}"; it has ${keys.slice(0, 20).join(', ') || 'none'}.`,
      {
        details: { keys },
      },
    );
  const path = keys[options.series ?? 0];
  if (path === undefined || (keys.length > 1 && options.series === undefined))
    throw new SamError(
      keys.length === 0 ? 'unsupported' : 'invalid_argument',
      keys.length === 0
        ? `${name} holds no dataset with two or more axes.`
        : `${name} holds several datasets; say which one is the image: ${keys.slice(0, 20).join(', ')}.`,
      { details: { keys } },
    );
  return openDataset(file, images.get(path) ?? [], path, keys, options);
}

/** Groups deeper or files fuller than this are not searched for datasets. */
const MAX_DEPTH = 12;
const MAX_OBJECTS = 10_000;
/** Groups in which MATLAB keeps what its cells and objects point to. */
const MATLAB_INTERNAL = /^#(refs|subsystem)#$/;

/**
 * Datasets with two or more axes, by path; each object once. MATLAB's single numbers and texts, which have two axes of
 * which one is 1 long, only where there is nothing else.
 */
async function findImages(file: Hdf5File, options: TaskOptions): Promise<Map<string, readonly Message[]>> {
  const found = new Map<string, readonly Message[]>();
  const flat = new Map<string, readonly Message[]>();
  const seen = new Set<number>();
  const visit = async (address: number, path: string, depth: number): Promise<void> => {
    if (seen.has(address) || seen.size >= MAX_OBJECTS || depth > MAX_DEPTH) return;
    seen.add(address);
    const messages = await readHeader(file, address, options);
    const shape = datasetShape(file, messages);
    if (shape !== undefined) {
      if (shape.filter((length) => length > 1).length >= 2) found.set(path, messages);
      else if (shape.length >= 2) flat.set(path, messages);
      return;
    }
    const links = [...(await readLinks(file, messages, options))].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, target] of links)
      if (!MATLAB_INTERNAL.test(name) && typeof target === 'number')
        await visit(target, path === '' ? name : `${path}/${name}`, depth + 1);
  };
  await visit(file.root, '', 0);
  return found.size > 0 ? found : flat;
}

async function openDataset(
  file: Hdf5File,
  messages: readonly Message[],
  path: string,
  images: readonly string[],
  options: OpenOptions,
): Promise<ImageSource> {
  const { name } = file;
  const where = `${name}/${path}`;
  const dataset = parseDataset(file, messages, where);
  const { shape, storage, dtype, littleEndian } = dataset;
  if (shape.length === 0 || shape.some((length) => !Number.isSafeInteger(length) || length < 1))
    throw new SamError(
      'invalid_image',
      `${where} has the shape [${shape}]; an image needs at least one pixel along every axis.`,
    );
  const attributes = await readAttributes(file, messages, options);
  const { letters: axes, notices } = datasetAxes(attributes, shape, where);
  const pixelSize = elementSize(attributes, axes);
  if (storage.kind === 'chunked' || (storage.kind === 'contiguous' && storage.address === undefined)) {
    const array = await chunkedDataset(file, dataset, options);
    const colours = axes.includes('s') ? colourChannels(itemAt(shape, axes.indexOf('s'))) : [];
    return fromChunks([array], axes, { name, channels: colours, pixelSize, images, notices });
  }
  const layout = arrange(shape, axes, where);
  const { t, c, z } = layout.sizes;
  const [source, offset] =
    storage.kind === 'compact'
      ? [memoryBytes(storage.bytes, name), 0]
      : [file.source, file.base + (storage.address ?? 0)];
  const description = {
    name,
    axes: planeAxes(t > 1, z > 1),
    channels: axes.includes('s') ? colourChannels(c) : namedChannels(c),
    rgb: axes.includes('s'),
    pixelSize,
    ...reports({ notices }),
  };
  return { ...openStrided({ source, offset, dtype, littleEndian, layout }, description), images };
}
