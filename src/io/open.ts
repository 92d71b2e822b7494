import { SamError } from '../errors.js';
import { type ByteSource, blobBytes, isByteSource, memoryBytes } from './bytes.js';
import { EXTENSIONS, type Format } from './folder/file-names.js';
import { addressBeside, nameOfUrl, withoutQuery } from './http.js';
import { httpBytes } from './http-bytes.js';
import type { ImageSource } from './image.js';
import { isNdarray, type NdarrayImage, openNdarray } from './ndarray.js';
import type { OpenOptions } from './open-options.js';
import { asImageErrors } from './region.js';
import { openSeries } from './series.js';
import { notReadable, SNIFF_LENGTH, sniffFormat, unknownFormat } from './sniff.js';
import type { Store } from './store.js';
import { misleadingFormat, unreadableFormat } from './unreadable.js';

/**
 * `openImage`: anything that holds an image, as an ImageSource. What it is, is told from its bytes. Readers are loaded
 * when first needed.
 */
export type ImageInput =
  | ByteSource
  | Uint8Array
  | Blob
  /** A dropped folder, or files chosen together: one zarr, the parts of one OME-TIFF, or frames of a time series. */
  | readonly (Blob | ByteSource)[]
  /** The address of a file or of a zarr group. */
  | string
  | NdarrayImage
  | Store;

export async function openImage(input: ImageInput, options: OpenOptions = {}): Promise<ImageSource> {
  const opened = await asImageErrors(options.name ?? 'The image', async () => {
    options.signal?.throwIfAborted();
    return openAny(input, options);
  });
  return {
    ...opened,
    ...(options.name !== undefined && { name: options.name }),
    ...(options.pixelSize && { pixelSize: options.pixelSize }),
  };
}

const load = () => import('./readers.js');

async function openAny(input: ImageInput, options: OpenOptions): Promise<ImageSource> {
  if (typeof input === 'string') return openUrl(input, options);
  if (Array.isArray(input)) return openFiles(input, options);
  if (isNdarray(input)) return openNdarray({ name: options.name ?? 'array', ...input });
  if (isByteSource(input)) return openBytes(input, options);
  if (input instanceof Uint8Array) return openBytes(memoryBytes(input), options);
  if (input instanceof Blob) return openBytes(blobBytes(input), options);
  if (isStore(input)) return openStore(input, options);
  throw new SamError(
    'invalid_argument',
    'An image is opened from a file, a list of files, an address, an array {data, shape}, or a store; this is none of them.',
  );
}

function isStore(value: unknown): value is Store {
  const store = value as Store;
  return (
    typeof store === 'object' && store !== null && typeof store.get === 'function' && typeof store.list === 'function'
  );
}

async function openStore(store: Store, options: OpenOptions): Promise<ImageSource> {
  const { openZarr } = await load();
  return openZarr(store, options);
}

async function openUrl(url: string, options: OpenOptions): Promise<ImageSource> {
  if (!/^(https?|blob|data):/i.test(url))
    throw new SamError('invalid_argument', `"${url}" is not an address of the web; it should start with https://.`);
  const path = withoutQuery(url);
  if (/\.zarr(\/|$)|\/$/i.test(path) && !/\.zip$/i.test(path)) {
    const { httpStore } = await load();
    return openStore(httpStore(url), { name: nameOfUrl(url), ...options });
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

async function openFiles(files: readonly (Blob | ByteSource)[], options: OpenOptions): Promise<ImageSource> {
  if (files.length === 0) throw new SamError('invalid_argument', 'No file was given; choose at least one.');
  const { zarrOfFiles } = await load();
  const zarr = zarrOfFiles(files);
  if (zarr) return openStore(zarr, { name: zarr.name, ...options });
  const sources = files.map((file) => (isByteSource(file) ? file : blobBytes(file)));
  const companion = sources.find(({ name }) => /\.companion\.ome(\.xml)?$/i.test(name));
  if (companion) {
    const others = sources.filter((source) => source !== companion);
    return closing(await openBytes(companion, options, others), others);
  }
  return openSeries(sources, (source, companions) => openBytes(source, options, companions));
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
  const { findSuperblock } = await load();
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
  const readers = await load();
  switch (format) {
    case 'tiff':
      return readers.openTiff(source, { ...options, companions });
    case 'ome':
      return readers.openCompanion(source, { ...options, companions });
    case 'png':
      return readers.openPng(source, options);
    case 'jpeg':
      return readers.openJpeg(source, options);
    case 'webp':
      return readers.openWebp(source, options);
    case 'nifti':
    case 'gzip':
      return readers.openNifti(source, options);
    case 'npy':
      return readers.openNpy(source, options);
    case 'zip':
      return readers.openZip(source, options);
    case 'hdf5':
      return readers.openHdf5(source, options);
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
