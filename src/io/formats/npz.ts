import { SamError } from '../../errors.js';
import { type ByteSource, memoryBytes } from '../bytes.js';
import type { ImageSource } from '../image.js';
import type { OpenOptions } from '../open-options.js';
import { prefixStore } from '../stores/prefix.js';
import { archiveStore } from '../stores/zip.js';
import { rootOfKeys } from '../zarr/keys.js';
import { openZarr } from '../zarr/zarr.js';
import { openZipArchive, type ZipArchive } from '../zip-archive.js';
import { npyLength, openNpy } from './npy.js';

/** Longer than any header of an array of numbers. */
const HEADER_BYTES = 65_536;

/** Zip archives that hold an image: NumPy's .npz (choose the array by `key`), and zipped zarrs. Only members are read. */
export async function openZip(source: ByteSource, options: OpenOptions = {}): Promise<ImageSource> {
  const { name } = source;
  const archive = await openZipArchive(source, options);
  const members = [...archive.members.keys()];
  if (members.some((member) => /(^|\/)(zarr\.json|\.zarray|\.zgroup)$/.test(member)))
    return openZippedZarr(archive, members, options);
  const arrays = members.filter((member) => member.endsWith('.npy'));
  const wanted =
    options.key === undefined ? arrays[options.series ?? 0] : arrays.find((member) => member === `${options.key}.npy`);
  if (wanted === undefined)
    throw new SamError(
      options.key === undefined ? 'unsupported' : 'not_found',
      `${name} holds ${arrays.length === 0 ? 'no NumPy array and no zarr' : `the arrays ${arrays.map((a) => a.replace(/\.npy$/, '')).join(', ')}`}${options.key === undefined ? '; unpack it and open the image inside.' : `, not "${options.key}".`}`,
    );
  // Not more than its own header says, whatever the archive does.
  const head = (limit: number) => archive.read(wanted, { ...options, limit });
  const limit = archive.members.get(wanted)?.stored
    ? undefined
    : await npyLength(memoryBytes(await head(HEADER_BYTES), name), options);
  const image = await openNpy({ ...(await archive.open(wanted, { ...options, limit })), name }, options);
  return { ...image, images: arrays.map((member) => member.replace(/\.npy$/, '')) };
}

async function openZippedZarr(
  archive: ZipArchive,
  members: readonly string[],
  options: OpenOptions,
): Promise<ImageSource> {
  const store = archiveStore(archive);
  const root = rootOfKeys(members) ?? '';
  return openZarr(root === '' ? store : prefixStore(store, root), { name: archive.name, ...options });
}
