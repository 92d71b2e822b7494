import { SamError } from '../../errors.js';
import type { TaskOptions } from '../../task.js';
import { type ByteSource, readAll } from '../bytes.js';
import type { ImageSource } from '../image.js';
import { planeAxes } from '../ndarray.js';
import { micrometres } from '../pixel-size.js';
import { readTiffFile, TAG, type TiffFile } from './container.js';
import { isRgb, readPage, type TiffPage } from './page.js';
import { absentPlanes, channelsOf, MAX_PLANES, type TiffImage } from './planes.js';

/**
 * NDTiff, as Micro-Manager and Pycro-Manager write it (versions 2 and 3): `NDTiff.index` beside the files tells of every
 * plane its place on each axis, its file and where in it. Positions and all other axes than time, z and channel are
 * images of their own.
 */
export const NDTIFF_INDEX = 'NDTiff.index';

export function isNdTiffName(name: string): boolean {
  return /NDTiffStack(_\d+)?\.tiff?$/i.test(name);
}

interface Entry {
  readonly axes: Readonly<Record<string, number | string>>;
  readonly file: string;
  readonly offset: number;
  readonly width: number;
  readonly height: number;
  readonly compression: number;
  readonly metadata: readonly [offset: number, length: number];
}

/** Entries up to the first that is not whole: a recording may still be running. */
export async function readNdTiffIndex(source: ByteSource, options: TaskOptions): Promise<Entry[]> {
  const bytes = await readAll(source, options);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const entries: Entry[] = [];
  let at = 0;
  const text = () => {
    const length = view.getUint32(at, true);
    at += 4 + length;
    if (at > bytes.length) throw new RangeError('The index ends.');
    return new TextDecoder().decode(bytes.subarray(at - length, at));
  };
  try {
    while (at < bytes.length) {
      const axes = JSON.parse(text());
      const file = text();
      const number = (i: number) => view.getUint32(at + 4 * i, true);
      entries.push({
        axes,
        file,
        offset: number(0),
        width: number(1),
        height: number(2),
        compression: number(4),
        metadata: [number(5), number(6)],
      });
      at += 32;
    }
  } catch (error) {
    if (entries.length === 0)
      throw new SamError('invalid_image', `${source.name} is damaged; get a complete copy.`, { cause: error });
  }
  return entries;
}

/** The files that an index names, in its order. */
export function ndTiffFiles(entries: readonly Entry[]): string[] {
  return [...new Set(entries.map(({ file }) => file))];
}

/** @param others the other files that were found */
export async function ndTiffImages(
  file: TiffFile,
  entries: readonly Entry[],
  others: readonly ByteSource[],
  options: TaskOptions,
): Promise<TiffImage[]> {
  const files = new Map<string, TiffPage>([[file.source.name, await readPage(file, file.directories[0])]]);
  for (const source of others) {
    const other = await readTiffFile(source, options, 1);
    files.set(source.name, await readPage(other, other.directories[0]));
  }
  const axes = { t: valuesOf(entries, 'time'), z: valuesOf(entries, 'z'), c: valuesOf(entries, 'channel') };
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const name = positionOf(entry);
    groups.set(name, [...(groups.get(name) ?? []), entry]);
  }
  const pixelSize = await pixelSizeOf(file, entries, options);
  const images: TiffImage[] = [];
  for (const [name, planes] of groups) {
    const first = planes.flatMap((entry) => files.get(entry.file) ?? [])[0];
    if (first) images.push(await describe(name || file.source.name, { planes, axes, files, first, pixelSize }));
  }
  return images;
}

type Values = readonly (number | string | undefined)[];

/** In the order of their numbers, or in that of the recording. */
function valuesOf(entries: readonly Entry[], axis: string): Values {
  const values = [...new Set(entries.map(({ axes }) => axes[axis]))];
  return values.every((value) => typeof value === 'number') ? values.sort((a, b) => Number(a) - Number(b)) : values;
}

function positionOf({ axes }: Entry): string {
  const others = Object.entries(axes).filter(([axis]) => !['time', 'z', 'channel'].includes(axis));
  return others.map(([axis, value]) => `${axis} ${value}`).join(', ');
}

interface Parts {
  readonly planes: readonly Entry[];
  readonly axes: Readonly<Record<'t' | 'z' | 'c', Values>>;
  readonly files: ReadonlyMap<string, TiffPage>;
  readonly first: TiffPage;
  readonly pixelSize: ImageSource['pixelSize'];
}

async function describe(name: string, { planes, axes, files, first, pixelSize }: Parts): Promise<TiffImage> {
  const sizes = { t: axes.t.length, z: axes.z.length, c: axes.c.length };
  if (sizes.t * sizes.z * sizes.c > MAX_PLANES)
    throw new SamError(
      'invalid_image',
      `${name} announces ${sizes.t} x ${sizes.z} x ${sizes.c} planes; it is damaged.`,
    );
  const byPlace = new Map<string, Entry>();
  for (const entry of planes) {
    const { time, z, channel } = entry.axes;
    byPlace.set([axes.t.indexOf(time), axes.z.indexOf(z), axes.c.indexOf(channel)].join(), entry);
  }
  const entryAt = (...place: number[]) => {
    const entry = byPlace.get(place.join());
    return entry && files.has(entry.file) ? entry : undefined;
  };
  const missing = [...new Set(planes.map(({ file }) => file))].filter((file) => !files.has(file));
  const absence = absentPlanes(name, sizes, (...place) => entryAt(...place) !== undefined);
  const elsewhere = `What is in ${missing.slice(0, 5).join(', ')} is black: have all files of the recording in one folder.`;
  const plain = channelsOf(first, sizes.c);
  return {
    name,
    axes: planeAxes(sizes.t > 1, sizes.z > 1),
    sizes,
    first,
    rgb: sizes.c === 1 && isRgb(first),
    channels: plain.map((channel, i) => {
      const value = first.samples === 1 ? axes.c[i] : undefined;
      return typeof value === 'string' ? { ...channel, name: value } : channel;
    }),
    pixelSize,
    levels: [[first.height, first.width]],
    files: files.size > 1 ? [...files.keys()] : undefined,
    notices: missing.length > 0 ? [elsewhere] : absence.notices,
    absentPlanes: absence.absentPlanes,
    async page(t, z, c) {
      const entry = entryAt(t, z, c);
      const page = entry && files.get(entry.file);
      if (entry === undefined || page === undefined) return undefined;
      if (entry.compression !== 0)
        throw new SamError('unsupported', `${name} has compressed planes, which are not read. Save it as OME-TIFF.`);
      if (entry.width !== first.width || entry.height !== first.height || page.dtype !== first.dtype)
        throw new SamError(
          'invalid_image',
          `The planes of ${name} differ in size or type; ${NDTIFF_INDEX} is damaged.`,
        );
      const [start] = await page.directory.numbers(TAG.stripOffsets);
      if (start === undefined)
        throw new SamError('unsupported', `${name} has planes in tiles, which are not read. Save it as OME-TIFF.`);
      return { page, shift: entry.offset - start };
    },
  };
}

/** Of the first plane's metadata and, for z, of the recording's: µm, where they say so. */
async function pixelSizeOf(
  { source }: TiffFile,
  entries: readonly Entry[],
  options: TaskOptions,
): Promise<ImageSource['pixelSize']> {
  const own = entries.find(({ file }) => file === source.name);
  if (own === undefined) return undefined;
  try {
    const json = async (offset: number, length: number) =>
      JSON.parse(new TextDecoder().decode(await source.read(offset, length, options)));
    const size = Number((await json(...own.metadata)).PixelSizeUm);
    if (!(size > 0)) return undefined;
    const head = new DataView((await source.read(0, SUMMARY_START, options)).slice().buffer);
    const summary =
      head.getUint32(20, true) === SUMMARY_MAGIC ? await json(SUMMARY_START, head.getUint32(24, true)) : {};
    const step = Math.abs(Number(summary['z-step_um']));
    return micrometres(step > 0 ? [step, size, size] : [size, size]);
  } catch {
    return undefined; // metadata that cannot be read say nothing; the pixels are there
  }
}

const SUMMARY_START = 28;
const SUMMARY_MAGIC = 2355492;
