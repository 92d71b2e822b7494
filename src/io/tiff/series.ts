import { SamError } from '../../errors.js';
import type { TaskOptions } from '../../task.js';
import type { ChannelInfo, ImageSource } from '../image.js';
import { namedChannels, planeAxes } from '../ndarray.js';
import { pixelSizeFrom } from '../pixel-size-of.js';
import { colourChannels, groupBy } from '../region.js';
import { TAG, type TiffFile } from './container.js';
import { isRgb, readPage, type TiffPage } from './page.js';

/**
 * How the pages of a TIFF make an image: which page holds plane (t, z, channel). ImageJ and tifffile say so in the image
 * description; other files are read as stacks of the pages that look alike, a pyramid if smaller pages of the same shape
 * follow. OME-TIFF is in ome.ts.
 */
export interface TiffSeries {
  readonly name: string;
  readonly axes: ImageSource['axes'];
  /** Without channels that are samples of one page: `c` counts pages. */
  readonly sizes: { readonly t: number; readonly c: number; readonly z: number };
  readonly first: TiffPage;
  readonly channels: readonly ChannelInfo[];
  readonly pixelSize?: ImageSource['pixelSize'];
  readonly levels: readonly (readonly [height: number, width: number])[];
  /** The files its pages are in, if several. */
  readonly files?: readonly string[];
  page(t: number, z: number, c: number, level: number): Promise<TiffPage | MovedPage>;
}

/** A page whose data lie further on in the file than its directory says. */
export interface MovedPage {
  readonly page: TiffPage;
  readonly shift: number;
}

export async function plainSeries(file: TiffFile, options: TaskOptions): Promise<TiffSeries[]> {
  const first = await readPage(file, file.directories[0]);
  const imagej = imageJFields(first.description);
  if (imagej) {
    const series = await imageJSeries(file, first, imagej);
    if (series) return [series];
  }
  const pages = [first];
  for (const directory of file.directories.slice(1)) {
    options.signal?.throwIfAborted();
    try {
      pages.push(await readPage(file, directory));
    } catch (error) {
      // Thumbnails and other extras in encodings we do not read do not hide the image.
      if (!(error instanceof SamError) || error.code === 'cancelled') throw error;
    }
  }
  const groups = [...groupBy(pages, shapeOf).values()];
  const taken = new Set<TiffPage[]>();
  const series: TiffSeries[] = [];
  for (const group of groups) {
    if (taken.has(group)) continue;
    const lower = groups.filter((other) => other !== group && !taken.has(other) && isLowerLevel(other, group));
    lower.sort((a, b) => b[0].width - a[0].width);
    for (const other of lower) taken.add(other);
    series.push(await stack(file.source.name, [group, ...lower]));
  }
  return series;
}

function shapeOf(page: TiffPage): string {
  return [page.height, page.width, page.samples, page.dtype, page.photometric, page.planar].join();
}

function isLowerLevel(pages: readonly TiffPage[], full: readonly TiffPage[]): boolean {
  const [small] = pages;
  const [large] = full;
  if (pages.length !== full.length || small.samples !== large.samples || small.dtype !== large.dtype) return false;
  if (!(small.reduced || (small.tiled && large.tiled)) || small.width >= large.width) return false;
  const factor = large.width / small.width;
  return Math.abs(large.height / factor - small.height) <= 2;
}

async function stack(name: string, levels: readonly (readonly TiffPage[])[]): Promise<TiffSeries> {
  const [pages] = levels;
  const [first] = pages;
  const shaped = shapedAxes(first.description, pages.length, first);
  const { t, c, z, order } = shaped ?? { t: 1, c: 1, z: pages.length, order: 'z' };
  return {
    name,
    axes: planeAxes(t > 1, z > 1),
    sizes: { t, c, z },
    first,
    channels: channelsOf(first, c),
    pixelSize: await resolution(first),
    levels: levels.map(([page]) => [page.height, page.width]),
    page: async (ti, zi, ci, level) => levels[level][pageIndex(order, { t, c, z }, { t: ti, c: ci, z: zi })],
  };
}

/** The number of a plane where axes vary in `order`, slowest first. */
function pageIndex(
  order: string,
  sizes: { t: number; c: number; z: number },
  at: { t: number; c: number; z: number },
): number {
  let index = 0;
  for (const axis of order) index = index * sizes[axis as 't'] + at[axis as 't'];
  return index;
}

/** tifffile's `{"shape": [...], "axes": "TCYX"}` description. */
function shapedAxes(description: string | undefined, pages: number, first: TiffPage) {
  if (!description?.startsWith('{"shape"')) return undefined;
  let parsed: { shape?: unknown; axes?: unknown };
  try {
    parsed = JSON.parse(description);
  } catch {
    return undefined;
  }
  const { shape, axes } = parsed;
  if (!Array.isArray(shape) || typeof axes !== 'string' || axes.length !== shape.length) return undefined;
  const sizes = { t: 1, c: 1, z: 1 };
  let order = '';
  for (const [i, letter] of [...axes.toLowerCase()].entries()) {
    if (letter === 'y' || letter === 'x' || letter === 's') continue;
    if (!(letter in sizes) || order.includes(letter)) return undefined;
    sizes[letter as 't'] = Number(shape[i]);
    order += letter;
  }
  if (first.samples > 1 && sizes.c === first.samples) return undefined;
  return sizes.t * sizes.c * sizes.z === pages ? { ...sizes, order } : undefined;
}

function imageJFields(description: string | undefined): Map<string, string> | undefined {
  if (!description?.startsWith('ImageJ=')) return undefined;
  return new Map(
    description.split(/\r?\n/).map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

/** ImageJ hyperstacks: channels vary fastest, then slices, then frames; large ones list one page for all planes. */
async function imageJSeries(
  file: TiffFile,
  first: TiffPage,
  fields: ReadonlyMap<string, string>,
): Promise<TiffSeries | undefined> {
  const count = (key: string) => Math.max(1, Math.floor(Number(fields.get(key) ?? 1)) || 1);
  const images = count('images');
  let [c, z, t] = [count('channels'), count('slices'), count('frames')];
  if (c * z * t !== images) [c, z, t] = [1, images, 1];
  const pages = file.directories.length;
  const planeBytes = (first.width * first.height * first.samples * first.bits) / 8;
  const contiguous = pages === 1 && images > 1 && first.compression === 1 && first.bits % 8 === 0;
  if (images !== pages && !contiguous) return undefined;
  const start = contiguous ? (await first.directory.numbers(TAG.stripOffsets))[0] : 0;
  if (contiguous && start + planeBytes * images > file.source.size)
    throw new SamError(
      'invalid_image',
      `${file.source.name} is truncated: ImageJ lists ${images} planes of ${planeBytes} bytes, but the file ends at ${file.source.size}.`,
    );
  const loaded = new Map<number, Promise<TiffPage>>([[0, Promise.resolve(first)]]);
  const pageAt = async (index: number): Promise<TiffPage | MovedPage> => {
    if (contiguous) return { page: first, shift: index * planeBytes };
    let page = loaded.get(index);
    if (page === undefined) {
      page = readPage(file, file.directories[index]);
      loaded.set(index, page);
      page.catch(() => loaded.delete(index));
    }
    return sameShape(await page, first);
  };
  const low = Number(fields.get('min') ?? Number.NaN);
  const high = Number(fields.get('max') ?? Number.NaN);
  const channels = channelsOf(first, c);
  return {
    name: file.source.name,
    axes: planeAxes(t > 1, z > 1),
    sizes: { t, c, z },
    first,
    channels: c === 1 && first.samples === 1 && low < high ? [{ ...channels[0], limits: [low, high] }] : channels,
    pixelSize: await imageJPixelSize(first, fields),
    levels: [[first.height, first.width]],
    page: (ti, zi, ci) => pageAt(pageIndex('tzc', { t, c, z }, { t: ti, c: ci, z: zi })),
  };
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

async function imageJPixelSize(page: TiffPage, fields: ReadonlyMap<string, string>): Promise<ImageSource['pixelSize']> {
  const unit = fields.get('unit') ?? '';
  const perUnit = async (tag: number) => 1 / (await page.directory.number(tag, 0));
  if (unit === '' || unit === 'pixel') return undefined;
  return pixelSizeFrom({
    z: { length: Number(fields.get('spacing') ?? Number.NaN), unit },
    y: { length: await perUnit(TAG.yResolution), unit },
    x: { length: await perUnit(TAG.xResolution), unit },
  });
}

/** Pixels per centimetre are a measurement; pixels per inch are what drawing programs put into every file. */
async function resolution(page: TiffPage): Promise<ImageSource['pixelSize']> {
  if ((await page.directory.number(TAG.resolutionUnit, 2)) !== 3) return undefined;
  const x = await page.directory.number(TAG.xResolution, 0);
  const y = await page.directory.number(TAG.yResolution, 0);
  return x > 0 && y > 0 && Number.isFinite(x * y) ? { y: 1e4 / y, x: 1e4 / x, unit: 'µm' } : undefined;
}
