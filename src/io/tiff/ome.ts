import { SamError } from '../../errors.js';
import { itemAt } from '../../items.js';
import type { TaskOptions } from '../../task.js';
import type { ByteSource } from '../bytes.js';
import { planeAxes } from '../ndarray.js';
import { readSubDirectories, readTiffFile, type TiffFile } from './container.js';
import { baseName, companionDocument, fileNames, isOwnPart } from './ome-files.js';
import type { OmeDocument, OmeImage } from './ome-xml.js';
import { isRgb, readPage, type TiffPage } from './page.js';
import { absentPlanes, channelsOf, MAX_PLANES, readablePages, sameShape, type TiffImage } from './planes.js';
import { groupedImages } from './stacks.js';

/**
 * OME-TIFF: the OME-XML says which page of which file holds plane (c, z, t); lower resolutions are sub-directories of
 * each page. Images that are spread over several files need those files among `companions`; what is in others is absent.
 * What the XML says of the pages themselves (their size, samples per pixel) only counts where the pages agree.
 */
interface PlaneAddress {
  /** Undefined for the file that the XML came with. */
  readonly file: string | undefined;
  readonly page: number;
}

/** The files that an OME document is about. */
interface OmeFiles {
  /** What carries the XML, for messages. */
  readonly name: string;
  /** Opens one of them; undefined stands for the file with the XML. */
  open(name: string | undefined): Promise<TiffFile>;
  /** Whether it is among those that were given. */
  has(name: string | undefined): boolean;
}

/**
 * @param beside files that were not given but found beside this one (see `filesBeside`)
 * @returns undefined if the XML describes no image: the pages are read as they are then
 */
export async function omeImages(
  file: TiffFile,
  document: OmeDocument,
  { companions, beside }: { readonly companions: readonly ByteSource[]; readonly beside: readonly ByteSource[] },
  options: TaskOptions,
): Promise<TiffImage[] | undefined> {
  const among = (sources: readonly ByteSource[]): OmeFiles => {
    const opened = openedOnce(sources, options);
    return {
      name: file.source.name,
      has: (name) => name === undefined || opened.has(name),
      open: async (name) => (name === undefined ? file : opened.open(name, file.source.name)),
    };
  };
  const known = isOwnPart(document, file.source.name);
  const given = among(companions);
  const all = among([...companions, ...beside]);
  // A file that is opened by itself shows what it has a part in, never another position.
  const filesOf = (image: OmeImage) => (image.tiffData.some(known) ? all : given);
  const images = await imagesOf(document, filesOf, all, known, options);
  if (images.length === 0) return undefined;
  return [...images, ...(await undescribed(file, document, known, options))];
}

/**
 * A companion file (`.companion.ome`): the OME-XML alone, of pages that lie in TIFF files beside it.
 */
export async function companionImages(
  source: ByteSource,
  beside: readonly ByteSource[],
  options: TaskOptions,
): Promise<TiffImage[]> {
  const document = await companionDocument(source, options);
  const opened = openedOnce(beside, options);
  const parts = document.images.flatMap((image) => image.tiffData);
  if (parts.length === 0)
    throw new SamError(
      'unsupported',
      `${source.name} is OME-XML that names no TIFF files; pixels inside the XML are not read. Save it as OME-TIFF.`,
    );
  const files: OmeFiles = {
    name: source.name,
    has: (name) => name !== undefined && opened.has(name),
    async open(name) {
      if (name !== undefined) return opened.open(name, source.name);
      throw new SamError('invalid_image', `${source.name} does not say in which file its planes are; it is damaged.`);
    },
  };
  const images = await imagesOf(
    document,
    () => files,
    files,
    () => false,
    options,
  );
  if (images.length > 0) return images;
  const [missing] = fileNames(document);
  throw missingFile(source.name, missing ?? 'its TIFF files');
}

async function imagesOf(
  document: OmeDocument,
  filesOf: (image: OmeImage) => OmeFiles,
  files: OmeFiles,
  isOwn: (part: OmeImage['tiffData'][number]) => boolean,
  options: TaskOptions,
): Promise<TiffImage[]> {
  const images: TiffImage[] = [];
  const elsewhere: string[] = [];
  const present = filesAtHand(document, files, isOwn);
  let offset = 0;
  for (const image of document.images) {
    options.signal?.throwIfAborted();
    const read = await readImage(image, filesOf(image), isOwn, offset);
    offset += image.tiffData.length === 0 ? read.planes : 0;
    if (read.image) images.push({ ...read.image, files: present.length > 1 ? present : undefined });
    else if (read.missing !== undefined) elsewhere.push(`${image.name || 'an image'} (in ${read.missing})`);
  }
  if (elsewhere.length === 0) return images;
  const notice = `${files.name} is one of several files of a recording. To see ${firstOf(elsewhere)} too, open all its files together.`;
  return images.map((image) => ({ ...image, notices: [...(image.notices ?? []), notice] }));
}

function firstOf(names: readonly string[]): string {
  return `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
}

/** Of the files that the document names, those that were given. */
function filesAtHand(
  document: OmeDocument,
  files: OmeFiles,
  isOwn: (part: OmeImage['tiffData'][number]) => boolean,
): string[] {
  const parts = document.images.flatMap(({ tiffData }) => tiffData);
  const names = parts.map((part) => (part.file === undefined || isOwn(part) ? files.name : baseName(part.file)));
  return [...new Set(names)].filter(
    (name) => name !== undefined && (name === files.name || files.has(name)),
  ) as string[];
}

interface ReadImage {
  /** Pages that an image without TiffData takes. */
  readonly planes: number;
  readonly image?: TiffImage;
  /** The file that is missing for an image of which no plane is at hand. */
  readonly missing?: string;
}

async function readImage(
  image: OmeImage,
  files: OmeFiles,
  isOwn: (part: OmeImage['tiffData'][number]) => boolean,
  offset: number,
): Promise<ReadImage> {
  if (!isConsistent(image)) return { planes: 0 };
  const find = (samples: number) => planeAddresses(image, isOwn, samples, offset);
  const pages = pageReader(files);
  const guess = find(1);
  const start = await firstPage(guess, files, pages);
  if (start === undefined) {
    const missing = guess.find((address) => address !== undefined && !files.has(address.file))?.file;
    return { planes: guess.length, missing };
  }
  const [{ samples }] = start;
  const addresses = image.sizes.c % samples === 0 ? find(samples) : guess;
  return { planes: addresses.length, image: await describe(image, addresses, start, files, pages) };
}

function isConsistent({ sizes, planeOrder }: OmeImage): boolean {
  const { t, c, z } = sizes;
  const whole = [t, c, z].every((length) => Number.isInteger(length) && length >= 1);
  return whole && t * c * z <= MAX_PLANES && /^[tcz]{3}$/.test(planeOrder) && new Set(planeOrder).size === 3;
}

/** Planes as [t][z][c], c fastest, where a page holds `samples` channels. */
function planeAddresses(
  image: OmeImage,
  isOwn: (part: OmeImage['tiffData'][number]) => boolean,
  samples: number,
  offset: number,
): (PlaneAddress | undefined)[] {
  const sizes = { ...image.sizes, c: image.sizes.c / samples };
  const total = sizes.t * sizes.c * sizes.z;
  const order = [...image.planeOrder] as ('t' | 'c' | 'z')[];
  const addresses = new Array<PlaneAddress | undefined>(total).fill(undefined);
  const parts = image.tiffData.length > 0 ? image.tiffData : [{ c: 0, z: 0, t: 0, page: offset, count: total }];
  for (const part of parts) {
    const at = { c: Math.floor(part.c / samples), z: part.z, t: part.t };
    const count = Math.min(part.count ?? (part.page === undefined ? total : 1), total);
    const valid = order.every((axis) => Number.isInteger(at[axis]) && at[axis] >= 0);
    for (let k = 0; valid && k < count && order.every((axis) => at[axis] < sizes[axis]); k++) {
      addresses[(at.t * sizes.z + at.z) * sizes.c + at.c] = {
        file: part.file === undefined || isOwn(part) ? undefined : baseName(part.file),
        page: (part.page ?? 0) + k,
      };
      for (const axis of order) {
        at[axis]++;
        if (at[axis] < sizes[axis] || axis === order[2]) break;
        at[axis] = 0;
      }
    }
  }
  return addresses;
}

function openedOnce(sources: readonly ByteSource[], options: TaskOptions) {
  const opened = new Map<string, Promise<TiffFile>>();
  const find = (name: string) =>
    sources.find((source) => source.name === name) ??
    sources.find((source) => source.name.toLowerCase() === name.toLowerCase());
  return {
    has: (name: string) => find(name) !== undefined,
    async open(name: string, asker: string): Promise<TiffFile> {
      const source = find(name);
      if (source === undefined) throw missingFile(asker, name);
      let other = opened.get(name);
      if (other === undefined) {
        other = readTiffFile(source, options);
        opened.set(name, other);
        other.catch(() => opened.delete(name));
      }
      return other;
    },
  };
}

function missingFile(asker: string, name: string): SamError {
  return new SamError(
    'unsupported',
    `${asker} is one part of an OME-TIFF of several files and needs ${name}; open all its files together, or their folder.`,
    { details: { feature: 'multi-file OME-TIFF', missing: name } },
  );
}

/** A page and its lower resolutions. */
type Pyramid = readonly [full: TiffPage, ...lower: TiffPage[]];

type PageReader = (address: PlaneAddress) => Promise<Pyramid | undefined>;

/** The page at an address with its lower resolutions; undefined where its file ends before. */
function pageReader(files: OmeFiles): PageReader {
  const loaded = new Map<string, Promise<Pyramid | undefined>>();
  return (address) => {
    const key = `${address.page} ${address.file ?? ''}`;
    let levels = loaded.get(key);
    if (levels === undefined) {
      levels = readPyramid(address, files);
      loaded.set(key, levels);
      levels.catch(() => loaded.delete(key));
    }
    return levels;
  };
}

async function readPyramid(address: PlaneAddress, files: OmeFiles): Promise<Pyramid | undefined> {
  const file = await files.open(address.file);
  const directory = file.directories[address.page];
  if (directory === undefined) return undefined;
  const full = await readPage(file, directory);
  const lower = await Promise.all((await readSubDirectories(file, directory)).map((sub) => readPage(file, sub)));
  return [full, ...lower.filter((page) => page.samples === full.samples && page.dtype === full.dtype)];
}

/** The first plane that is at hand. */
async function firstPage(
  addresses: readonly (PlaneAddress | undefined)[],
  files: OmeFiles,
  pages: PageReader,
): Promise<Pyramid | undefined> {
  for (const address of addresses) {
    if (address === undefined || !files.has(address.file)) continue;
    const levels = await pages(address);
    if (levels !== undefined) return levels;
  }
  return undefined;
}

async function describe(
  image: OmeImage,
  addresses: readonly (PlaneAddress | undefined)[],
  levels: Pyramid,
  files: OmeFiles,
  pages: PageReader,
): Promise<TiffImage> {
  const [first] = levels;
  const { t, z } = image.sizes;
  const c = addresses.length / (t * z);
  const ends = new Map<string | undefined, number>();
  for (const name of new Set(addresses.map((address) => address?.file)))
    if (files.has(name))
      ends.set(
        name,
        await files.open(name).then(
          (file) => file.directories.length,
          () => 0,
        ),
      );
  const addressOf = (ti: number, zi: number, ci: number) => {
    const address = addresses[(ti * z + zi) * c + ci];
    return address && address.page < (ends.get(address.file) ?? 0) ? address : undefined;
  };
  const named = addresses.flatMap((address) => address?.file ?? []);
  const elsewhere = [...new Set(named)].filter((name) => !files.has(name));
  const absence = absentPlanes(files.name, { t, z, c }, (...plane) => addressOf(...plane) !== undefined);
  const missing = `${files.name} is one of several files of a recording. What is in ${firstOf(elsewhere)} is black: open all its files together, or have them in one folder.`;
  const { x, y } = image.sizes;
  const resized =
    first.width !== x || first.height !== y
      ? [`The OME-XML of ${files.name} says ${y} x ${x} pixels, but its pages are ${first.height} x ${first.width}.`]
      : [];
  const plain = channelsOf(first, c);
  return {
    name: image.name || files.name,
    axes: planeAxes(t > 1, z > 1),
    sizes: { t, c, z },
    first,
    rgb: c === 1 && isRgb(first),
    channels: plain.map((channel, i) => {
      const { name, color, wavelength } = (first.samples === 1 ? image.channels[i] : undefined) ?? {};
      return { name: name || channel.name, color: color ?? channel.color, ...(wavelength && { wavelength }) };
    }),
    pixelSize: image.pixelSize,
    levels: levels.map((page) => [page.height, page.width]),
    notices: [...resized, ...(elsewhere.length > 0 ? [missing] : absence.notices)],
    absentPlanes: absence.absentPlanes,
    async page(ti, zi, ci, level) {
      const address = addressOf(ti, zi, ci);
      const own = address && (await pages(address));
      if (own === undefined) return undefined;
      const page = own[level];
      if (page === undefined)
        throw new SamError('invalid_image', `A plane of ${files.name} lacks resolution level ${level}; it is damaged.`);
      return sameShape(page, itemAt(levels, level));
    },
  };
}

/** Pages that no image of the XML uses: a recording may have gone on for longer than it says. */
async function undescribed(
  file: TiffFile,
  document: OmeDocument,
  isOwn: (part: OmeImage['tiffData'][number]) => boolean,
  options: TaskOptions,
): Promise<TiffImage[]> {
  const used = new Set<number>();
  let offset = 0;
  for (const image of document.images) {
    if (!isConsistent(image)) continue;
    const addresses = planeAddresses(image, isOwn, 1, offset);
    offset += image.tiffData.length === 0 ? addresses.length : 0;
    for (const address of addresses) if (address && address.file === undefined) used.add(address.page);
  }
  const last = Math.max(...used) + 1;
  if (last >= file.directories.length) return [];
  const rest = await readablePages(file, last, options);
  const count = `${rest.length} ${rest.length === 1 ? 'page' : 'pages'}`;
  return groupedImages(`${count} beyond the OME-XML`, rest);
}
