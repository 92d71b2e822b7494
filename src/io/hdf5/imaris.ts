import { SamError } from '../../errors.js';
import { itemAt } from '../../items.js';
import { allocate } from '../../ndimage/array.js';
import { fromChunks } from '../chunked-image.js';
import type { Chunk, ChunkedArray } from '../chunked-region.js';
import { memoryDtype } from '../elements.js';
import type { ChannelInfo, ImageSource } from '../image.js';
import { arrange } from '../ndarray.js';
import type { OpenOptions } from '../open-options.js';
import { pixelSizeFrom } from '../pixel-size-of.js';
import { type Attributes, readAttributes, textOf } from './attributes.js';
import { parseDataset } from './dataset.js';
import { chunkedDataset } from './dataset-chunks.js';
import type { Hdf5File } from './fields.js';
import { findObject, readLinks } from './links.js';

/**
 * Imaris files (.ims, version 5.5): an HDF5 file in which each resolution level, time point and channel is a dataset of
 * its own, padded to whole chunks. The sizes that count are in attributes, as text, one letter per element
 * (imaris.oxinst.com, "Imaris 5.5 file format").
 */
const LEVELS = 'DataSet';
const INFO = 'DataSetInfo';

/** Whether the root of an HDF5 file is that of an Imaris file. */
export async function isImaris(file: Hdf5File, options: OpenOptions): Promise<boolean> {
  return (await findObject(file, `${LEVELS}/ResolutionLevel 0`, options)) !== undefined;
}

export async function openImaris(file: Hdf5File, options: OpenOptions): Promise<ImageSource> {
  const { name } = file;
  const times = await numbered(file, `${LEVELS}/ResolutionLevel 0`, 'TimePoint', options);
  const channelsAt = await Promise.all(
    times.map((t) => numbered(file, `${LEVELS}/ResolutionLevel 0/TimePoint ${t}`, 'Channel', options)),
  );
  const t = lastOf(times) + 1;
  const c = lastOf(channelsAt.flat()) + 1;
  if (t < 1 || c < 1)
    throw new SamError('invalid_image', `${name} is an Imaris file without any image in it; it is damaged.`);
  const levels: ChunkedArray[] = [];
  for (const level of await numbered(file, LEVELS, 'ResolutionLevel', options)) {
    // Levels are named without gaps; what comes after one is not known to be a level.
    if (level !== levels.length) break;
    levels.push(await openLevel(file, level, t, c, options));
  }
  const absent: number[] = [];
  for (let at = 0; at < t; at++) if (!times.includes(at)) absent.push(at);
  const image = await attributesOf(file, `${INFO}/Image`, options);
  const channels = await Promise.all(
    Array.from({ length: c }, async (_, i) => channelInfo(await attributesOf(file, `${INFO}/Channel ${i}`, options))),
  );
  const { z, y, x } = arrange(itemAt(levels, 0).shape, 'tczyx', name).sizes;
  return fromChunks(levels, 'tczyx', {
    name: options.name ?? name,
    channels,
    pixelSize: pixelSizeOf(image, { z, y, x }),
    images: undefined,
    absentPlanes: absent.flatMap((at) => Array.from({ length: z }, (_, plane) => at * z + plane)),
    notices:
      absent.length > 0 ? [`${name} has no pixels for the time points ${absent.join(', ')}; they are black.`] : [],
  });
}

/** The numbers n of the members `<prefix> n` of a group, in order. */
async function numbered(file: Hdf5File, path: string, prefix: string, options: OpenOptions): Promise<number[]> {
  const group = await findObject(file, path, options);
  const names = group ? [...(await readLinks(file, group, options)).keys()] : [];
  return names
    .flatMap((name) => (name.startsWith(`${prefix} `) ? [Number(name.slice(prefix.length + 1))] : []))
    .filter((number) => Number.isInteger(number) && number >= 0 && number < MAX_PARTS)
    .sort((a, b) => a - b);
}

const MAX_PARTS = 100_000;
const lastOf = (numbers: readonly number[]) => numbers.reduce((most, number) => Math.max(most, number), -1);

/** One resolution level as an array of axes t, c, z, y, x; its datasets are opened when a chunk of them is read. */
async function openLevel(file: Hdf5File, level: number, t: number, c: number, options: OpenOptions) {
  const opened = new Map<string, Promise<ChunkedArray | undefined>>();
  const dataset = (ti: number, ci: number) => {
    const path = `${LEVELS}/ResolutionLevel ${level}/TimePoint ${ti}/Channel ${ci}`;
    let array = opened.get(path);
    if (array === undefined) {
      array = openPart(file, path, options);
      opened.set(path, array);
      array.catch(() => opened.delete(path));
    }
    return array;
  };
  let first: ChunkedArray | undefined;
  let sizes: readonly (number | undefined)[] = [];
  for (let i = 0; i < t * c && first === undefined; i++) {
    const [ti, ci] = [Math.floor(i / c), i % c];
    first = await dataset(ti, ci);
    const path = `${LEVELS}/ResolutionLevel ${level}/TimePoint ${ti}/Channel ${ci}`;
    const attributes = await attributesOf(file, path, options);
    sizes = ['Z', 'Y', 'X'].map((axis) => wholeNumber(textOf(attributes, `ImageSize${axis}`)));
  }
  if (first === undefined)
    throw new SamError('invalid_image', `${file.name} has no pixels in its resolution level ${level}; it is damaged.`);
  const like = first;
  // The datasets are padded to whole chunks; one that is smaller than it says ends where it ends.
  const shape = like.shape.map((length, axis) => Math.min(length, sizes[axis] || length));
  const unwritten: Chunk = { data: allocate(memoryDtype(like.dtype), 1), strides: [0, 0, 0, 0, 0] };
  return {
    shape: [t, c, ...shape],
    chunks: [1, 1, ...like.chunks],
    dtype: like.dtype,
    async chunk([ti = 0, ci = 0, ...place]: readonly number[], task): Promise<Chunk> {
      const part = await dataset(ti, ci);
      if (part === undefined) return unwritten;
      const alike =
        part.dtype === like.dtype &&
        part.shape.every((length, axis) => length === like.shape[axis]) &&
        part.chunks.every((length, axis) => length === like.chunks[axis]);
      if (!alike)
        throw new SamError(
          'unsupported',
          `Channel ${ci} of time point ${ti} of ${file.name} is [${part.shape}] ${part.dtype} in chunks of [${part.chunks}], the first [${like.shape}] ${like.dtype} in [${like.chunks}]; such files are not read. Save it as OME-TIFF.`,
        );
      const { data, strides } = await part.chunk(place, task);
      return { data, strides: [0, 0, ...strides] };
    },
  } satisfies ChunkedArray;
}

async function openPart(file: Hdf5File, path: string, options: OpenOptions): Promise<ChunkedArray | undefined> {
  const messages = await findObject(file, `${path}/Data`, options);
  if (messages === undefined) return undefined;
  const where = `${file.name}/${path}`;
  const dataset = parseDataset(file, messages, where);
  if (dataset.shape.length !== 3 || dataset.shape.some((length) => length < 1))
    throw new SamError('invalid_image', `${where} has the shape [${dataset.shape}], which no image has.`);
  return chunkedDataset(file, dataset, options);
}

async function attributesOf(file: Hdf5File, path: string, options: OpenOptions): Promise<Attributes> {
  const messages = await findObject(file, path, options);
  return messages ? readAttributes(file, messages, options) : {};
}

function wholeNumber(text: string | undefined): number | undefined {
  const value = Number(text ?? Number.NaN);
  return Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

/** The corners of the volume, in `Unit`, which is µm where it is not said. */
function pixelSizeOf(
  attributes: Attributes,
  sizes: { readonly z: number; readonly y: number; readonly x: number },
): ImageSource['pixelSize'] {
  const unit = textOf(attributes, 'Unit') || 'um';
  const length = (axis: number, pixels: number) => {
    const end = (which: 'Min' | 'Max') => Number(textOf(attributes, `Ext${which}${axis}`) ?? Number.NaN);
    return { length: (end('Max') - end('Min')) / pixels, unit };
  };
  return pixelSizeFrom({ x: length(0, sizes.x), y: length(1, sizes.y), z: length(2, sizes.z) });
}

function channelInfo(attributes: Attributes): Partial<ChannelInfo> {
  const numbers = (name: string) =>
    (textOf(attributes, name) ?? '').split(/\s+/).flatMap((part) => (part === '' ? [] : [Number(part)]));
  const name = textOf(attributes, 'Name');
  const rgb = numbers('Color');
  const [low, high] = numbers('ColorRange');
  const byte = (value: number) =>
    Math.round(Math.min(1, Math.max(0, value)) * 255)
      .toString(16)
      .padStart(2, '0');
  return {
    ...(name ? { name } : {}),
    ...(rgb.length === 3 && rgb.every(Number.isFinite) ? { color: `#${rgb.map(byte).join('')}` } : {}),
    ...(low !== undefined && high !== undefined && low < high ? { limits: [low, high] as const } : {}),
  };
}
