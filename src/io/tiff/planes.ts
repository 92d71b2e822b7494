import { SamError } from '../../errors.js';
import { itemAt } from '../../items.js';
import type { TaskOptions } from '../../task.js';
import type { ChannelInfo, ImageSource } from '../image.js';
import { namedChannels, planeAxes } from '../ndarray.js';
import { colourChannels } from '../region.js';
import { TAG, type TiffDirectory, type TiffFile } from './container.js';
import { isRgb, readPage, type TiffPage } from './page.js';

/**
 * How planes make an image: an image of a TIFF file, and where its planes are. Most files have a directory per plane;
 * others (ImageJ above 4 GB, MetaMorph, tifffile, ScanImage) have one directory with all planes behind its first.
 */
export interface TiffImage {
  readonly name: string;
  readonly axes: ImageSource['axes'];
  /** Without channels that are samples of one page: `c` counts pages. */
  readonly sizes: { readonly t: number; readonly c: number; readonly z: number };
  readonly first: TiffPage;
  /** The samples of a page are the colours of a picture. */
  readonly rgb: boolean;
  readonly channels: readonly ChannelInfo[];
  readonly pixelSize?: ImageSource['pixelSize'];
  readonly levels: readonly (readonly [height: number, width: number])[];
  /** The files its pages are in, if several. */
  readonly files?: readonly string[];
  readonly notices?: readonly string[];
  readonly absentPlanes?: readonly number[];
  /** Undefined for a plane that the file announces and does not hold. */
  page(t: number, z: number, c: number, level: number): Promise<TiffPage | MovedPage | undefined>;
}

/** A page whose data lie further on in the file than its directory says. */
export interface MovedPage {
  readonly page: TiffPage;
  readonly shift: number;
}

/** Planes in the order of the file. */
export interface PlaneList {
  /** How many are there. */
  readonly count: number;
  at(index: number): Promise<TiffPage | MovedPage>;
}

/**
 * The planes of a file that announces `expected` of them: its directories, or what lies behind the plane of `first`
 * where there is only one, or not enough, and the next one is beyond them all.
 */
export async function listPlanes(
  file: TiffFile,
  first: TiffPage,
  expected: number,
  directories: readonly TiffDirectory[] = file.directories,
): Promise<PlaneList> {
  const start = directories.length < expected ? await blockStart(first) : undefined;
  if (start !== undefined) {
    const bytes = planeBytes(first);
    const end = file.directories.reduce(
      (least, directory) => Math.min(least, directory.firstFrom(start)),
      file.source.size,
    );
    const count = Math.min(expected, Math.max(1, Math.floor((end - start) / bytes)));
    if (directories.length === 1 || count === expected)
      return { count, at: async (index) => (index === 0 ? first : { page: first, shift: index * bytes }) };
  }
  const loaded = new Map<number, Promise<TiffPage>>();
  return {
    count: directories.length,
    async at(index) {
      let page = loaded.get(index);
      if (page === undefined) {
        const directory = itemAt(directories, index);
        page = directory === first.directory ? Promise.resolve(first) : readPage(file, directory);
        loaded.set(index, page);
        page.catch(() => loaded.delete(index));
      }
      return sameShape(await page, first);
    },
  };
}

function planeBytes(page: TiffPage): number {
  return (page.width * page.height * page.samples * page.bits) / 8;
}

/** Where an uncompressed plane begins, if it is one block. */
async function blockStart(page: TiffPage): Promise<number | undefined> {
  if (page.compression !== 1 || page.bits % 8 !== 0 || page.tiled) return undefined;
  const offsets = await page.directory.numbers(TAG.stripOffsets);
  const rows = Math.min(await page.directory.number(TAG.rowsPerStrip, page.height), page.height);
  const rowBytes = (page.width * (page.planar ? 1 : page.samples) * page.bits) / 8;
  const strips = Math.ceil(page.height / rows);
  const [start] = offsets;
  if (start === undefined) return undefined;
  const together = offsets.every((offset, i) => {
    const [sample, strip] = [Math.floor(i / strips), i % strips];
    return offset === start + (sample * page.height + strip * rows) * rowBytes;
  });
  return together ? start : undefined;
}

export interface Hyperstack {
  readonly name: string;
  readonly first: TiffPage;
  readonly planes: PlaneList;
  readonly sizes: TiffImage['sizes'];
  /** The axes of planes, slowest first, e.g. 'tzc'. */
  readonly order: string;
  /** The number of its first plane in the list. */
  readonly start?: number;
  readonly rgb?: boolean;
  readonly channels?: readonly ChannelInfo[];
  readonly pixelSize?: ImageSource['pixelSize'];
  readonly notices?: readonly string[];
}

/** An image of planes that follow each other; those beyond the end of the list are absent. */
export function hyperstack(stack: Hyperstack): TiffImage {
  const { name, first, planes, sizes, order, start = 0 } = stack;
  const { t, z, c } = sizes;
  if (t * z * c > MAX_PLANES)
    throw new SamError('invalid_image', `${name} announces ${t} x ${z} x ${c} planes; it is damaged.`);
  const numberOf = (ti: number, zi: number, ci: number) => start + pageIndex(order, sizes, { t: ti, z: zi, c: ci });
  const there = (index: number) => index < planes.count;
  const absence = absentPlanes(name, sizes, (ti, zi, ci) => there(numberOf(ti, zi, ci)));
  const rgb = stack.rgb ?? (c === 1 && isRgb(first));
  return {
    name,
    axes: planeAxes(t > 1, z > 1),
    sizes,
    first,
    rgb,
    channels: stack.channels ?? channelsOf(first, c),
    pixelSize: stack.pixelSize,
    levels: [[first.height, first.width]],
    notices: [...(stack.notices ?? []), ...absence.notices],
    absentPlanes: absence.absentPlanes,
    async page(ti, zi, ci) {
      const index = numberOf(ti, zi, ci);
      return there(index) ? planes.at(index) : undefined;
    },
  };
}

export const MAX_PLANES = 10_000_000;

/** Which planes are not there, and a sentence about it where any is missing. */
export function absentPlanes(
  name: string,
  { t, z, c }: TiffImage['sizes'],
  isThere: (t: number, z: number, c: number) => boolean,
): { readonly absentPlanes: readonly number[]; readonly notices: readonly string[] } {
  const absent: number[] = [];
  let missing = 0;
  for (let plane = 0; plane < t * z; plane++) {
    let here = 0;
    for (let ci = 0; ci < c; ci++) if (isThere(Math.floor(plane / z), plane % z, ci)) here++;
    missing += c - here;
    if (here === 0) absent.push(plane);
  }
  const notice = `${name} announces ${t * z * c} planes and holds ${t * z * c - missing}; the recording may have been stopped early. What is missing is black.`;
  return { absentPlanes: absent, notices: missing > 0 ? [notice] : [] };
}

/** The number of a plane where axes vary in `order`, slowest first. */
function pageIndex(order: string, sizes: TiffImage['sizes'], at: TiffImage['sizes']): number {
  let index = 0;
  for (const axis of order) index = index * sizes[axis as 't'] + at[axis as 't'];
  return index;
}

export function sameShape(page: TiffPage, first: TiffPage): TiffPage {
  if (
    page.height === first.height &&
    page.width === first.width &&
    page.samples === first.samples &&
    page.dtype === first.dtype
  )
    return page;
  throw new SamError(
    'invalid_image',
    `${page.file.source.name} has a page of ${page.height} x ${page.width} x ${page.samples} ${page.dtype} in a stack of ${first.height} x ${first.width} x ${first.samples} ${first.dtype}; the file is damaged.`,
  );
}

export function channelsOf(first: TiffPage, pageChannels: number): ChannelInfo[] {
  if (pageChannels === 1 && isRgb(first)) return colourChannels(first.samples);
  return namedChannels(pageChannels * first.samples);
}

/** Pages from `start` on, but for extras in encodings that are not read (thumbnails, say). */
export async function readablePages(file: TiffFile, start: number, options: TaskOptions): Promise<TiffPage[]> {
  const pages: TiffPage[] = [];
  for (const [i, directory] of file.directories.entries()) {
    if (i < start) continue;
    options.signal?.throwIfAborted();
    try {
      pages.push(await readPage(file, directory));
    } catch (error) {
      if (i === 0 || !(error instanceof SamError) || error.code === 'cancelled') throw error;
    }
  }
  return pages;
}
