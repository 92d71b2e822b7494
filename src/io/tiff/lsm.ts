import { SamError } from '../../errors.js';
import { itemAt } from '../../items.js';
import type { TaskOptions } from '../../task.js';
import type { ChannelInfo } from '../image.js';
import { namedChannels } from '../ndarray.js';
import { pixelSizeFrom } from '../pixel-size-of.js';
import { TAG, type TiffDirectory, type TiffFile } from './container.js';
import type { TiffPage } from './page.js';
import { hyperstack, listPlanes, readablePages, type TiffImage } from './planes.js';

/**
 * Zeiss LSM: a TIFF whose first page carries the structure CZ_LSMINFO, with the dimensions, the size of a voxel in metres
 * and where the names of the channels are. Every other page is a thumbnail; the samples of a page are its channels.
 * Layout as in tifffile's CZ_LSMINFO (tifffile 2026.3).
 */
const OFFSET = {
  dimensionZ: 16,
  dimensionTime: 24,
  voxelSize: 40,
  scanType: 88,
  channelColours: 108,
  dimensionP: 264,
  dimensionM: 268,
} as const;
const MAGIC = [0x0030494c, 0x0040494c, 0x0300494c, 0x0400494c];
const LEAST_BYTES = 112;

/** Which axes have a page per step, by the kind of scan: of the others one page holds all, x-z scans as its rows. */
const SCANS: Readonly<Record<number, string>> = { 0: 'z', 3: 't', 4: 't', 6: 'tz', 7: 'tz', 9: 't' };

export async function lsmImages(
  file: TiffFile,
  first: TiffPage,
  options: TaskOptions,
): Promise<TiffImage[] | undefined> {
  if (!first.directory.has(TAG.lsmInfo)) return undefined;
  const info = await first.directory.bytes(TAG.lsmInfo);
  if (info === undefined || info.length < LEAST_BYTES) return undefined;
  const view = new DataView(info.buffer, info.byteOffset, info.length);
  if (!MAGIC.includes(view.getUint32(0, true))) return undefined;
  const dimension = (at: number) => (at + 4 <= info.length ? Math.max(1, view.getInt32(at, true)) : 1);
  const axes = SCANS[view.getUint16(OFFSET.scanType, true)] ?? '';
  const stated = {
    t: axes.includes('t') ? dimension(OFFSET.dimensionTime) : 1,
    z: axes.includes('z') ? dimension(OFFSET.dimensionZ) : 1,
    c: 1,
  };
  const pages = (await readablePages(file, 0, options)).filter((page) => !page.reduced);
  if (pages.length === 0)
    throw new SamError('invalid_image', `${file.source.name} holds nothing but thumbnails; it is damaged.`);
  const statedPositions = dimension(OFFSET.dimensionP) * dimension(OFFSET.dimensionM);
  const announced = stated.t * stated.z * statedPositions;
  // More pages than it states: they are a stack of some kind.
  const fits = announced >= pages.length && statedPositions <= pages.length;
  const sizes = fits ? stated : { t: 1, z: pages.length, c: 1 };
  const positions = fits ? statedPositions : 1;
  const perPosition = sizes.t * sizes.z;
  const directories = await unwrapped(file, pages, { ...sizes, positions });
  const planes = await listPlanes(file, { ...first, directory: itemAt(directories, 0) }, pages.length, directories);
  const voxel = (axis: number) => ({ length: view.getFloat64(OFFSET.voxelSize + 8 * axis, true), unit: 'm' });
  const metres = pixelSizeFrom({ x: voxel(0), y: voxel(1), z: voxel(2) });
  const channels = await channelsOf(file, view.getUint32(OFFSET.channelColours, true), first.samples, options);
  return Array.from({ length: positions }, (_, position) =>
    hyperstack({
      name: positions > 1 ? `${file.source.name} position ${position + 1}` : file.source.name,
      first,
      planes,
      sizes,
      order: 'tzc',
      start: position * perPosition,
      rgb: false,
      channels,
      notices: fits
        ? []
        : [`${file.source.name} announces ${announced} planes and holds ${pages.length}; they are shown as one stack.`],
      pixelSize: metres && {
        y: micrometres(metres.y),
        x: micrometres(metres.x),
        ...(metres.z === undefined ? {} : { z: micrometres(metres.z) }),
        unit: 'µm',
      },
    }),
  );
}

/**
 * The directories of pages whose offsets are right beyond 4 GB. An LSM is no BigTIFF: its offsets are counted modulo 2^32,
 * in the order in which it was recorded, all positions of a time point before the next (tifffile's
 * `_lsm_fix_strip_offsets`).
 */
async function unwrapped(
  file: TiffFile,
  pages: readonly TiffPage[],
  { t, z, positions }: { readonly t: number; readonly z: number; readonly positions: number },
): Promise<TiffDirectory[]> {
  const directories = pages.map(({ directory }) => directory);
  if (file.big || file.source.size <= WRAP) return directories;
  const recorded = pages.map((_, i) => i);
  if (positions > 1) {
    const time = (i: number) => Math.floor((i % (t * z)) / z);
    recorded.sort((a, b) => time(a) - time(b) || a - b);
  }
  let [turns, last] = [0, 0];
  for (const i of recorded) {
    const directory = itemAt(directories, i);
    const offsets = (await directory.numbers(TAG.stripOffsets)).map((offset) => {
      if (offset < last) turns += WRAP;
      last = offset;
      return offset + turns;
    });
    directories[i] = {
      ...directory,
      numbers: (tag, options) =>
        tag === TAG.stripOffsets ? Promise.resolve(offsets) : directory.numbers(tag, options),
    };
  }
  return directories;
}

const WRAP = 2 ** 32;

function micrometres(metres: number): number {
  return Number((metres * 1e6).toPrecision(12));
}

/** Colours as four bytes each, and names, each with its length before it; plain names where the structure is damaged. */
async function channelsOf(file: TiffFile, offset: number, count: number, options: TaskOptions): Promise<ChannelInfo[]> {
  const plain = namedChannels(count);
  const { source } = file;
  if (offset === 0 || offset + 24 > source.size) return plain;
  const head = await source.read(offset, 24, options);
  const fields = new DataView(head.buffer, head.byteOffset, head.length);
  const field = (i: number) => fields.getUint32(4 * i, true);
  const [bytes, colours, names, coloursAt, namesAt] = [field(0), field(1), field(2), field(3), field(4)];
  if (colours !== count || names !== count || bytes > 65_536 || offset + bytes > source.size) return plain;
  const block = await source.read(offset, bytes, options);
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  let at = namesAt;
  return plain.map((channel, i) => {
    let { name } = channel;
    if (at + 4 <= bytes) {
      const length = view.getUint32(at, true);
      const text = new TextDecoder('windows-1252')
        .decode(block.subarray(at + 4, at + 4 + length))
        .replace(/\0.*$/s, '');
      at += 4 + length;
      name = text.trim() || name;
    }
    const rgb = block.subarray(coloursAt + 4 * i, coloursAt + 4 * i + 3);
    const color = `#${Array.from(rgb, (value) => value.toString(16).padStart(2, '0')).join('')}`;
    return rgb.length === 3 ? { name, color } : { name };
  });
}
