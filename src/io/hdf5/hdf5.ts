import { SamError } from '../../errors.js';
import { allocate, sizeOf } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import { type ByteSource, memoryBytes } from '../bytes.js';
import { elementSize, fromChunks } from '../chunked-image.js';
import type { Chunk, ChunkedArray } from '../chunked-region.js';
import { bytesPerElement, decodeElements, memoryDtype } from '../elements.js';
import type { ImageSource } from '../image.js';
import { arrange, guessAxes, namedChannels, planeAxes } from '../ndarray.js';
import type { OpenOptions } from '../open-options.js';
import { checkBlockSize, colourChannels } from '../region.js';
import { openStrided } from '../strided.js';
import { openChunkIndex } from './chunks.js';
import { datasetShape, type Hdf5Dataset, parseDataset } from './dataset.js';
import { type Hdf5File, openHdf5File } from './fields.js';
import { unpackChunk } from './filters.js';
import { type Message, readHeader } from './header.js';
import { findObject, readLinks } from './links.js';

/**
 * A dataset of an HDF5 file by key: the structures that lead to it and the chunks a region touches are read, never the
 * whole file. Without a key a file with one image-like dataset opens; with several the error lists them.
 */
export async function openHdf5(source: ByteSource, options: OpenOptions = {}): Promise<ImageSource> {
  const name = options.name ?? source.name;
  const file = await openHdf5File(source, options);
  const key = options.key?.replace(/^\/+|\/+$/g, '');
  const named = key === undefined ? undefined : await findObject(file, key, options);
  if (key !== undefined && named && datasetShape(file, named)) return openDataset(file, named, key, [key], options);
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

/** Datasets with two or more axes, by path; each object once. */
async function findImages(file: Hdf5File, options: TaskOptions): Promise<Map<string, readonly Message[]>> {
  const found = new Map<string, readonly Message[]>();
  const seen = new Set<number>();
  const visit = async (address: number, path: string, depth: number): Promise<void> => {
    if (seen.has(address) || seen.size >= MAX_OBJECTS || depth > MAX_DEPTH) return;
    seen.add(address);
    const messages = await readHeader(file, address, options);
    const shape = datasetShape(file, messages);
    if (shape !== undefined) {
      if (shape.length >= 2) found.set(path, messages);
      return;
    }
    const links = [...(await readLinks(file, messages, options))].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, target] of links)
      if (typeof target === 'number') await visit(target, path === '' ? name : `${path}/${name}`, depth + 1);
  };
  await visit(file.root, '', 0);
  return found;
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
  const axes = guessAxes(shape, where);
  const pixelSize = elementSize(dataset.attributes, axes);
  if (storage.kind === 'chunked' || (storage.kind === 'contiguous' && storage.address === undefined)) {
    const array = await chunkedArray(file, dataset, options);
    const colours = axes.includes('s') ? colourChannels(shape[axes.indexOf('s')]) : [];
    return fromChunks([array], axes, { name, channels: colours, pixelSize, images });
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
  };
  return { ...openStrided({ source, offset, dtype, littleEndian, layout }, description), images };
}

/** A dataset as an array of chunks; one that was never written is a single chunk that is not there. */
async function chunkedArray(file: Hdf5File, dataset: Hdf5Dataset, options: TaskOptions): Promise<ChunkedArray> {
  const { name, shape, maxShape, dtype, littleEndian, storage, filters } = dataset;
  const elementSize = bytesPerElement(dtype);
  const fill = dataset.fill ? decodeElements(dataset.fill, dtype, littleEndian) : allocate(memoryDtype(dtype), 1);
  const unwritten: Chunk = { data: fill, strides: shape.map(() => 0) };
  if (storage.kind !== 'chunked') return { shape, chunks: shape, dtype, chunk: async () => unwritten };
  const { chunks } = storage;
  checkBlockSize(name, 'chunks', chunks, elementSize);
  const chunkBytes = sizeOf(chunks) * elementSize;
  const strides = chunks.map((_, axis) => sizeOf(chunks.slice(axis + 1)));
  const grid = { shape, maxShape, chunks, chunkBytes, filtered: filters.length > 0 };
  const find = await openChunkIndex(file, storage.index, storage.address, grid, options);
  return {
    shape,
    chunks,
    dtype,
    async chunk(place, { signal }) {
      const stored = await find(place, { signal });
      if (stored === undefined) return unwritten;
      const whole = place.every((at, axis) => (at + 1) * chunks[axis] <= shape[axis]);
      const packed = await file.pixels(stored.address, stored.bytes, { signal });
      const used = storage.plainEdges && !whole ? [] : filters;
      const bytes = await unpackChunk(packed, used, stored.mask, chunkBytes, elementSize, name);
      return { data: decodeElements(bytes, dtype, littleEndian), strides };
    },
  };
}
