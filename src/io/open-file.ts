import { SamError } from '../errors.js';
import { hasMembers } from '../items.js';
import { type ByteSource, blobBytes, isByteSource, memoryBytes } from './bytes.js';
import { EXTENSIONS, type Format, isCompanionName, leadsIntoZarr } from './folder/file-names.js';
import { openJpeg } from './formats/jpeg.js';
import { openNifti } from './formats/nifti.js';
import { openNpy } from './formats/npy.js';
import { openZip } from './formats/npz.js';
import { openPng } from './formats/png.js';
import { openWebp } from './formats/webp.js';
import { openFrameFiles } from './frame-files.js';
import { findSuperblock } from './hdf5/fields.js';
import { openHdf5 } from './hdf5/hdf5.js';
import { addressBeside, nameOfUrl, withoutQuery } from './http.js';
import { httpBytes } from './http-bytes.js';
import type { ImageSource } from './image.js';
import type { ImageInput } from './image-input.js';
import type { NdarrayImage } from './ndarray.js';
import type { OpenOptions } from './open-options.js';
import { asImageErrors } from './region.js';
import { notReadable, SNIFF_LENGTH, sniffFormat, unknownFormat } from './sniff.js';
import type { Store } from './store.js';
import { httpStore } from './stores/http.js';
import { openCompanion, openTiff } from './tiff/tiff.js';
import { misleadingFormat, unreadableFormat } from './unreadable.js';
import { zarrOfFiles } from './zarr/files.js';
import { openZarr } from './zarr/zarr.js';

/** An image from a file, several of them, an address or a store; what it is, is told from its bytes. */
export async function openFile(input: Exclude<ImageInput, NdarrayImage>, options: OpenOptions): Promise<ImageSource> {
  if (typeof input === 'string') return openUrl(input, options);
  if (Array.isArray(input)) return openFiles(input, options);
  if (isByteSource(input)) return openBytes(input, options);
  if (input instanceof Uint8Array) return openBytes(memoryBytes(input), options);
  if (input instanceof Blob) return openBytes(blobBytes(input), options);
  if (isStore(input)) return openZarr(input, options);
  throw new SamError(
    'invalid_argument',
    'An image is opened from a file, a list of files, an address, an array {data, shape}, or a store; this is none of them.',
  );
}

function isStore(value: unknown): value is Store {
  return hasMembers(value) && typeof value.get === 'function' && typeof value.list === 'function';
}

async function openUrl(url: string, options: OpenOptions): Promise<ImageSource> {
  if (!/^(https?|blob|data):/i.test(url))
    throw new SamError('invalid_argument', `"${url}" is not a web address; it should start with https://.`);
  const path = withoutQuery(url);
  if ((leadsIntoZarr(path) || path.endsWith('/')) && !/\.zip$/i.test(path)) {
    return openZarr(httpStore(url), { name: nameOfUrl(url), ...options });
  }
  const beside = async (name: string) => {
    try {
      return await httpBytes(addressBeside(url, name), options);
    } catch {
      return undefined; // not there, or not an address beside which others are (blob:)
    }
  };
  return openBytes(await httpBytes(url, options), { beside, ...options });
}

async function openFiles(given: readonly (Blob | ByteSource)[], options: OpenOptions): Promise<ImageSource> {
  if (given.length === 0) throw new SamError('invalid_argument', 'No file was given; choose at least one.');
  const zarr = zarrOfFiles(given);
  if (zarr) return openZarr(zarr, { name: zarr.name, ...options });
  const sources = given.map((file) => (isByteSource(file) ? file : blobBytes(file)));
  const companion = sources.find(({ name }) => isCompanionName(name.replace(/\.xml$/i, ''))); // as some servers name it
  if (companion) {
    const others = sources.filter((source) => source !== companion);
    return closing(await openBytes(companion, options, others), others);
  }
  return openFrameFiles(sources, (source, companions) => openBytes(source, options, companions));
}

/** Formats that are decoded when opened; their files are not needed afterwards. */
const WHOLE: ReadonlySet<Format> = new Set(['png', 'jpeg', 'webp', 'gzip']);

/** One file; `companions` are files beside it that a multi-file format may need. The image owns the source. */
async function openBytes(
  source: ByteSource,
  options: OpenOptions,
  companions: readonly ByteSource[] = [],
): Promise<ImageSource> {
  const name = options.name ?? source.name;
  try {
    if (source.size === 0)
      throw new SamError('invalid_image', `${name} is empty (0 bytes); copy or download it again.`);
    const head = await source.read(0, Math.min(SNIFF_LENGTH, source.size), options);
    const elsewhere = misleadingFormat(source.name);
    if (elsewhere) throw notReadable(name, elsewhere);
    const format = sniffFormat(head) ?? (await behindUserBlock(source, head, options));
    if (format === undefined) throw unknownFormat(name, head);
    const image = await openKnown(format, source, options, companions);
    if (source.close === undefined) return image;
    if (!WHOLE.has(format)) return closing(image, [source]);
    await source.close();
    return image;
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

/** HDF5 may begin with a block of anything, which its superblock follows. */
async function behindUserBlock(
  source: ByteSource,
  head: Uint8Array,
  options: OpenOptions,
): Promise<Format | undefined> {
  if (unreadableFormat(source.name, head)) return undefined;
  return (await findSuperblock(source, options)) === undefined ? undefined : 'hdf5';
}

/** The same image, which closes the sources it was read from too. */
function closing(image: ImageSource, sources: readonly ByteSource[]): ImageSource {
  return {
    ...image,
    async close() {
      await image.close();
      for (const source of sources) await source.close?.();
    },
  };
}

async function openKnown(
  format: Format,
  source: ByteSource,
  options: OpenOptions,
  companions: readonly ByteSource[],
): Promise<ImageSource> {
  const name = options.name ?? source.name;
  try {
    return await asImageErrors(name, () => openFormat(format, source, options, companions));
  } catch (error) {
    throw withExtensionHint(error, name, format);
  }
}

async function openFormat(
  format: Format,
  source: ByteSource,
  options: OpenOptions,
  companions: readonly ByteSource[],
): Promise<ImageSource> {
  switch (format) {
    case 'tiff':
      return openTiff(source, { ...options, companions });
    case 'ome':
      return openCompanion(source, { ...options, companions });
    case 'png':
      return openPng(source, options);
    case 'jpeg':
      return openJpeg(source, options);
    case 'webp':
      return openWebp(source, options);
    case 'nifti':
    case 'gzip':
      return openNifti(source, options);
    case 'npy':
      return openNpy(source, options);
    case 'zip':
      return openZip(source, options);
    case 'hdf5':
      return openHdf5(source, options);
  }
}

function withExtensionHint(error: unknown, name: string, format: Format): unknown {
  const extension = /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase();
  if (!(error instanceof SamError) || error.code !== 'invalid_image' || extension === undefined) return error;
  if (EXTENSIONS[format].includes(extension)) return error;
  return new SamError(
    error.code,
    `${error.message} (By its contents it is ${format.toUpperCase()}, not .${extension}.)`,
    {
      cause: error,
      details: error.details,
    },
  );
}
