import { SamError } from '../../errors.js';
import type { TaskOptions } from '../../task.js';
import type { ByteSource } from '../bytes.js';
import { planeAxes } from '../ndarray.js';
import { readSubDirectories, readTiffFile, type TiffFile } from './container.js';
import { type OmeDocument, type OmeImage, parseOmeXml } from './ome-xml.js';
import { readPage, type TiffPage } from './page.js';
import { channelsOf, sameShape, type TiffSeries } from './series.js';

/**
 * OME-TIFF: the OME-XML says which page of which file holds plane (c, z, t); lower resolutions are sub-directories of
 * each page. Images that are spread over several files need those files among `companions`.
 */
interface PlaneAddress {
  readonly file: string | undefined;
  readonly page: number;
}

export async function omeSeries(
  file: TiffFile,
  xml: string,
  companions: readonly ByteSource[],
  options: TaskOptions,
): Promise<TiffSeries[]> {
  const document = parseOmeXml(xml);
  if (document.images.length === 0)
    throw new SamError('invalid_image', `${file.source.name} carries OME-XML that describes no image; it is damaged.`);
  const open = tiffOpener(file, companions, options);
  const series: TiffSeries[] = [];
  let offset = 0;
  for (const image of document.images) {
    const addresses = planeAddresses(image, document, file.source.name, offset);
    offset += image.tiffData.length === 0 ? addresses.length : 0;
    if (addresses.length > 0) series.push(await describe(file, image, addresses, open, options));
  }
  return series;
}

/** Index planes as [t][z][c], c fastest. */
function planeAddresses(image: OmeImage, document: OmeDocument, ownName: string, offset: number): PlaneAddress[] {
  const samples = image.channels[0]?.samples ?? 1;
  const sizes = { ...image.sizes, c: image.sizes.c / Math.max(1, samples) };
  for (const axis of ['t', 'c', 'z'] as const)
    if (!Number.isInteger(sizes[axis]) || sizes[axis] < 1)
      throw new SamError(
        'invalid_image',
        `The OME-XML of ${ownName} says the image is ${sizes[axis]} long along ${axis}.`,
      );
  const total = sizes.t * sizes.c * sizes.z;
  if (total > 10_000_000)
    throw new SamError('invalid_image', `The OME-XML of ${ownName} claims ${total} planes; it is damaged.`);
  const order = [...image.planeOrder] as ('t' | 'c' | 'z')[];
  if (order.length !== 3 || new Set(order).size !== 3 || !order.every((axis) => 'tcz'.includes(axis)))
    throw new SamError('invalid_image', `The OME-XML of ${ownName} has the plane order "${image.planeOrder}".`);
  const addresses = new Array<PlaneAddress>(total);
  const files = new Set(image.tiffData.map((part) => part.file).filter(Boolean));
  const parts = image.tiffData.length > 0 ? image.tiffData : [{ c: 0, z: 0, t: 0, page: offset, count: total }];
  for (const part of parts) {
    const own = part.uuid === document.uuid || baseName(part.file) === ownName || files.size <= 1;
    const at = { c: Math.floor(part.c / Math.max(1, samples)), z: part.z, t: part.t };
    const count = Math.min(part.count ?? (part.page === undefined ? total : 1), total);
    for (let k = 0; k < count && order.every((axis) => at[axis] < sizes[axis]); k++) {
      addresses[(at.t * sizes.z + at.z) * sizes.c + at.c] = {
        file: part.file === undefined || own ? undefined : baseName(part.file),
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

function baseName(path: string | undefined): string | undefined {
  return path?.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}

type TiffOpener = (name: string | undefined) => Promise<TiffFile>;

function tiffOpener(file: TiffFile, companions: readonly ByteSource[], options: TaskOptions): TiffOpener {
  const opened = new Map<string, Promise<TiffFile>>();
  return async (name) => {
    if (name === undefined) return file;
    const source = companions.find((companion) => companion.name === name);
    if (source === undefined)
      throw new SamError(
        'unsupported',
        `${file.source.name} is one part of an OME-TIFF of several files and needs ${name}; open all its files together, or their folder.`,
        { details: { feature: 'multi-file OME-TIFF', missing: name } },
      );
    let other = opened.get(name);
    if (other === undefined) {
      other = readTiffFile(source, options);
      opened.set(name, other);
    }
    return other;
  };
}

async function describe(
  file: TiffFile,
  image: OmeImage,
  addresses: readonly (PlaneAddress | undefined)[],
  open: TiffOpener,
  options: TaskOptions,
): Promise<TiffSeries> {
  const pages = new Map<number, Promise<TiffPage[]>>();
  const pyramid = (index: number) => {
    let levels = pages.get(index);
    if (levels === undefined) {
      levels = readPyramid(addresses[index], open, file.source.name);
      pages.set(index, levels);
      levels.catch(() => pages.delete(index));
    }
    return levels;
  };
  const start = addresses.findIndex((address) => address !== undefined);
  if (start < 0)
    throw new SamError(
      'invalid_image',
      `The OME-XML of ${file.source.name} names no page for any plane; it is damaged.`,
    );
  options.signal?.throwIfAborted();
  const levels = await pyramid(start);
  const [first] = levels;
  if (first.width !== image.sizes.x || first.height !== image.sizes.y)
    throw new SamError(
      'invalid_image',
      `${file.source.name} has pages of ${first.height} x ${first.width} pixels, but its OME-XML says ${image.sizes.y} x ${image.sizes.x}; it is damaged.`,
    );
  const { t, z } = image.sizes;
  const c = addresses.length / (t * z);
  const plain = channelsOf(first, c);
  const files = [...new Set(addresses.map((address) => address?.file ?? file.source.name))];
  return {
    name: image.name || file.source.name,
    axes: planeAxes(t > 1, z > 1),
    sizes: { t, c, z },
    first,
    channels: plain.map((channel, i) => {
      const { name, color } = (first.samples === 1 ? image.channels[i] : undefined) ?? {};
      return { name: name || channel.name, color: color ?? channel.color };
    }),
    pixelSize: image.pixelSize,
    levels: levels.map((page) => [page.height, page.width]),
    files: files.length > 1 ? files : undefined,
    async page(ti, zi, ci, level) {
      const own = await pyramid((ti * z + zi) * c + ci);
      if (own[level] === undefined)
        throw new SamError(
          'invalid_image',
          `A plane of ${file.source.name} lacks resolution level ${level}; it is damaged.`,
        );
      return sameShape(own[level], levels[level]);
    },
  };
}

async function readPyramid(address: PlaneAddress | undefined, open: TiffOpener, name: string): Promise<TiffPage[]> {
  if (address === undefined)
    throw new SamError(
      'invalid_image',
      `${name} has no page for this plane; the recording may have been stopped early.`,
    );
  const file = await open(address.file);
  const directory = file.directories[address.page];
  if (directory === undefined)
    throw new SamError(
      'invalid_image',
      `${file.source.name} is truncated: its OME-XML names page ${address.page}, but it has ${file.directories.length}.`,
    );
  const full = await readPage(file, directory);
  const lower = await Promise.all((await readSubDirectories(file, directory)).map((sub) => readPage(file, sub)));
  return [full, ...lower.filter((page) => page.samples === full.samples && page.dtype === full.dtype)];
}
