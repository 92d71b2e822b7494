import { SamError } from '../../errors.js';
import { itemAt } from '../../items.js';
import type { TypedArray } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import type { ByteSource } from '../bytes.js';
import { LruCache } from '../cache.js';
import { memoryDtype } from '../elements.js';
import { distinctNames } from '../folder/result-names.js';
import type { ImageSource } from '../image.js';
import {
  allocateRegion,
  checkBlockCount,
  copyTile,
  forEachConcurrently,
  groupBy,
  imageSource,
  type Region,
  reports,
  tilesIn,
} from '../region.js';
import { readSubDirectories, readTiffFile, TAG, type TiffFile } from './container.js';
import { plainImages } from './images.js';
import { isNdTiffName, NDTIFF_INDEX, ndTiffFiles, ndTiffImages, readNdTiffIndex } from './ndtiff.js';
import { companionImages, omeImages } from './ome.js';
import { companionDocument, documentIn, documentOf, fileNames, filesBeside } from './ome-files.js';
import { companionOf } from './ome-xml.js';
import { readBlock, readPage, samplesPerBlock, type TiffPage } from './page.js';
import type { MovedPage, TiffImage } from './planes.js';

/**
 * The TIFF family as an ImageSource: plain, BigTIFF, ImageJ, OME-TIFF, pyramids. Only the blocks that a region touches
 * are read and decoded. Palette images are given as indices (ImageJ writes look-up tables over intensities so), bilevel
 * ones as 0 and 1 as stored.
 */
export interface TiffOptions extends TaskOptions {
  /** Which image of the file, where it holds several of different shapes. */
  readonly series?: number;
  /** Other files that an OME-TIFF of several files may need. */
  readonly companions?: readonly ByteSource[];
  /** Finds a file beside this one by its name. */
  readonly beside?: (name: string) => Promise<ByteSource | undefined>;
  /** Decoded blocks kept, in bytes. */
  readonly cacheBytes?: number;
}

const JPEG = 7;
const CACHE_BYTES = 128 * 2 ** 20;

interface Block {
  readonly data: TypedArray;
  readonly height: number;
}

export async function openTiff(source: ByteSource, options: TiffOptions = {}): Promise<ImageSource> {
  const file = await readTiffFile(source, options);
  const { description } = await readPage(file, file.directories[0]);
  const { companions = [] } = options;
  const index = isNdTiffName(source.name) ? await readBeside(NDTIFF_INDEX, options, readNdTiffIndex) : undefined;
  const recorded = index && ndTiffFiles(index);
  if (index && recorded?.includes(source.name)) {
    const others = recorded.filter((name) => name !== source.name);
    const given = companions.filter(({ name }) => others.includes(name));
    return withFilesBeside(given.length > 0 ? [] : others, options, async (beside) =>
      openOneOf(await ndTiffImages(file, index, [...given, ...beside], options), source.name, [], options),
    );
  }
  const document = await documentOf(source.name, description, (name) => readBeside(name, options, documentIn));
  if (document === undefined) {
    const notices = [...breakOff(file), ...partOf(source.name, description)];
    return openOneOf(await plainImages(file, options), source.name, notices, options);
  }
  const others = companions.length > 0 ? [] : filesBeside(document, source.name);
  return withFilesBeside(others, options, async (beside) => {
    const described = await omeImages(file, document, { companions, beside }, options);
    const undescribed = [`The OME-XML of ${source.name} does not describe its pages; they are read as they are.`];
    const notices = [...(described ? [] : undescribed), ...breakOff(file)];
    return openOneOf(described ?? (await plainImages(file, options)), source.name, notices, options);
  });
}

/** What is in another file, among those given or beside; undefined if it is not there, or cannot be read. */
async function readBeside<T>(
  name: string,
  options: TiffOptions,
  work: (source: ByteSource, options: TaskOptions) => Promise<T>,
): Promise<T | undefined> {
  const { companions = [], beside } = options;
  const given = companions.find((file) => file.name.toLowerCase() === name.toLowerCase());
  const source = given ?? (await beside?.(name));
  try {
    return source && (await work(source, options));
  } catch {
    return undefined; // whoever opens it is told what is wrong with it
  } finally {
    if (source !== given) await source?.close?.();
  }
}

function breakOff({ broken, source, directories }: TiffFile): string[] {
  return broken ? [`${source.name} breaks off after ${directories.length} pages; these are read.`] : [];
}

/** A companion file of an OME-TIFF, with the files that hold its pages: those that were given, else those beside it. */
export async function openCompanion(source: ByteSource, options: TiffOptions = {}): Promise<ImageSource> {
  const { companions = [] } = options;
  const others = companions.length > 0 ? [] : fileNames(await companionDocument(source, options));
  return withFilesBeside(others, options, async (beside) => {
    const all = await companionImages(source, [...companions, ...beside], options);
    return openOneOf(all, source.name, [], options);
  });
}

/** Opens an image with those of these files that are beside it, which are closed with it. */
async function withFilesBeside(
  names: readonly string[],
  { beside }: TiffOptions,
  open: (found: readonly ByteSource[]) => Promise<ImageSource>,
): Promise<ImageSource> {
  const found: ByteSource[] = [];
  const close = async () => {
    for (const file of found) await file.close?.();
  };
  try {
    for (const name of beside ? names.slice(0, MAX_FILES) : []) {
      const file = await beside?.(name);
      if (file) found.push(file);
    }
    const image = await open(found);
    return { ...image, close: () => image.close().then(close) };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A recording of more files is opened by giving them all. */
const MAX_FILES = 1000;

function partOf(name: string, description: string | undefined): string[] {
  const companion = companionOf(description)?.name;
  return companion ? [`${name} is one of the files that ${companion} puts together; open them all for the whole.`] : [];
}

async function openOneOf(
  all: readonly TiffImage[],
  name: string,
  notices: readonly string[],
  options: TiffOptions,
): Promise<ImageSource> {
  const image = all[options.series ?? 0];
  if (image === undefined)
    throw new SamError(
      'invalid_argument',
      `There is no image ${options.series} in ${name}; it holds ${all.length}, counted from 0.`,
    );
  const withLevels = await addSubResolutions(image);
  const { first, sizes } = withLevels;
  const dtype = memoryDtype(first.dtype);
  const cache = new LruCache<string, Block>(options.cacheBytes ?? CACHE_BYTES);
  return imageSource(
    {
      name: withLevels.name,
      axes: withLevels.axes,
      sizes: { ...sizes, c: sizes.c * first.samples, y: first.height, x: first.width },
      dtype,
      channels: withLevels.channels,
      rgb: withLevels.rgb,
      pixelSize: withLevels.pixelSize,
      levels: withLevels.levels,
      images: distinctNames(all.map((image) => image.name)),
      files: withLevels.files,
      ...(first.compression === JPEG && { lossy: true }),
      ...reports({ ...withLevels, notices: [...notices, ...(withLevels.notices ?? [])] }),
    },
    (region, task) => readRegion(withLevels, cache, region, allocateRegion(dtype, region), task),
    async () => cache.clear(),
  );
}

/** Sub-directories as lower levels, for files that do not say so in OME-XML. */
async function addSubResolutions(image: TiffImage): Promise<TiffImage> {
  if (image.levels.length > 1 || !image.first.directory.has(TAG.subIfds)) return image;
  const load = async (page: TiffPage) =>
    Promise.all((await readSubDirectories(page.file, page.directory)).map((sub) => readPage(page.file, sub)));
  const lower = (await load(image.first)).filter(
    (page) => page.samples === image.first.samples && page.dtype === image.first.dtype,
  );
  return {
    ...image,
    levels: [...image.levels, ...lower.map((page) => [page.height, page.width] as const)],
    async page(t, z, c, level) {
      const full = await image.page(t, z, c, 0);
      if (level === 0 || full === undefined) return full;
      if ('shift' in full)
        throw new SamError('invalid_image', `Only the first plane of ${image.name} has resolution level ${level}.`);
      const page = (await load(full))[level - 1];
      const like = itemAt(lower, level - 1);
      if (page === undefined || page.width !== like.width || page.height !== like.height)
        throw new SamError('invalid_image', `A page of ${image.name} lacks resolution level ${level}.`);
      return page;
    },
  };
}

async function readRegion(
  image: TiffImage,
  cache: LruCache<string, Block>,
  region: Region,
  out: TypedArray,
  options: TaskOptions,
): Promise<TypedArray> {
  const { samples } = image.first;
  const byPage = groupBy(
    region.channels.map((channel, position) => ({ channel, position })),
    ({ channel }) => Math.floor(channel / samples),
  );
  for (const [pageChannel, wanted] of byPage) {
    const found = await image.page(region.t, region.z, pageChannel, region.level);
    // What the file announces and does not hold is black.
    if (found === undefined) continue;
    const { page, shift } = asMoved(found);
    const places = wanted.map(({ channel, position }) => [position, channel % samples] as const);
    const groups = page.planar
      ? places.map(([position, sample]) => ({ plane: sample, places: [[position, 0]] as const }))
      : [{ plane: 0, places }];
    const [y0, x0, y1, x1] = region.box;
    const blocks = ((y1 - y0) / page.tileHeight + 1) * ((x1 - x0) / page.tileWidth + 1) * groups.length;
    checkBlockCount(image.name, Math.floor(blocks));
    const jobs = [...tilesIn(region.box, page.tileHeight, page.tileWidth)].flatMap(([row, column]) =>
      groups.map((group) => ({ row, column, ...group })),
    );
    await forEachConcurrently(
      jobs,
      async ({ row, column, plane, places: samplesOf }) => {
        const key = [region.t, region.z, pageChannel, region.level, plane, row, column].join();
        const block = await cache.load(key, async () => {
          const value = await readBlock(page, { row, column, sample: plane, shift }, options);
          return { value, bytes: value.data.byteLength };
        });
        const tile = { ...block, width: page.tileWidth, stride: samplesPerBlock(page) };
        copyTile(tile, row * page.tileHeight, column * page.tileWidth, out, region, samplesOf);
      },
      options.signal,
    );
  }
  return out;
}

function asMoved(page: TiffPage | MovedPage): MovedPage {
  return 'shift' in page ? page : { page, shift: 0 };
}
