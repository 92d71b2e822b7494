import { withoutQuery } from '../http.js';
import { UNREADABLE } from '../unreadable.js';

/** What the name of a file says: which format it should be, whether it is an image at all, what it is called without it. */
export type Format = 'tiff' | 'ome' | 'png' | 'jpeg' | 'webp' | 'nifti' | 'gzip' | 'npy' | 'zip' | 'hdf5';

/** The extensions that files of a format have. The one list of them: what else is asked about names is told from it. */
export const EXTENSIONS: Readonly<Record<Format, readonly string[]>> = {
  tiff: ['tif', 'tiff', 'btf', 'tf8', 'svs', 'lsm', 'ndpi', 'scn', 'qptiff', 'stk', 'flex'],
  ome: ['ome'],
  png: ['png'],
  jpeg: ['jpg', 'jpeg', 'jpe', 'jfif'],
  webp: ['webp'],
  nifti: ['nii'],
  gzip: ['gz'],
  npy: ['npy'],
  zip: ['npz', 'zip', 'ozx'],
  hdf5: ['h5', 'hdf5', 'hdf', 'he5', 'ims', 'mat', 'ilp'],
};

/** Of these, those that are images only inside a longer ending, or not as a rule. */
const SELDOM_IMAGES = new Set(['ome', 'gz', 'zip', 'ilp', 'mat']);

const ends = (extensions: readonly string[]) => new RegExp(`\\.(?:${extensions.join('|')})$`, 'i');
const COMPOUND = ['nii\\.gz', 'zarr\\.zip', 'zarr', 'companion\\.ome'];
const IMAGE = ends([
  ...COMPOUND,
  ...Object.values(EXTENSIONS)
    .flat()
    .filter((one) => !SELDOM_IMAGES.has(one)),
]);
const UNREADABLE_IMAGE = ends(UNREADABLE.flatMap(({ extensions = [] }) => extensions));
const ANY = ends([
  ...COMPOUND,
  ...Object.values(EXTENSIONS).flat(),
  ...UNREADABLE.flatMap(({ extensions = [] }) => extensions),
]);
const ZARR = /\.zarr$/i;

/** Whether a file, or a folder that is an image, has the name of one that can be read. */
export function isImageName(name: string): boolean {
  return IMAGE.test(name);
}

/** An image by its name, but of a format that can only be named. */
export function isUnreadableImageName(name: string): boolean {
  return UNREADABLE_IMAGE.test(name) && !IMAGE.test(name);
}

/** OME-XML that puts TIFFs together. */
export function isCompanionName(name: string): boolean {
  return /\.companion\.ome$/i.test(name);
}

/** A folder that is one image. */
export function isZarrName(name: string): boolean {
  return ZARR.test(name);
}

/** Whether a path or address is that of a zarr, by its name; a query and slashes at the end do not matter. */
export function namesZarr(place: string): boolean {
  return isZarrName(withoutQuery(place).replace(/[\\/]+$/, ''));
}

/** Whether a path or address leads to a zarr, or to an array or image inside of one. */
export function leadsIntoZarr(place: string): boolean {
  return withoutQuery(place).split(/[\\/]/).some(isZarrName);
}

/** A folder that is one thing, as a zarr is, but of a format that can only be named. */
export function isN5Name(name: string): boolean {
  return /\.n5$/i.test(name);
}

/** A small picture of an image, for file browsers: `thumb.png`, `A01_thumb.tif`, `A01_s1_thumb<GUID>.tif` of MetaXpress. */
export function isThumbnailName(path: string): boolean {
  return /^thumb(nail)?s?([_\-.].*)?$|[_\-.]thumb(nail)?s?(\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?)?$/i.test(
    stemOf(path),
  );
}

/** The name of a file without folder; for a part of a zarr from the zarr on: `plate.zarr/A/1/0`. */
export function fileNameOf(path: string): string {
  const names = path.replace(/[\\/]+$/, '').split(/[\\/]/);
  const zarr = names.findIndex((name) => ZARR.test(name));
  return zarr < 0 ? (names.at(-1) ?? '') : names.slice(zarr).join('/');
}

/** The folder's part of a path, with a slash at its end, or nothing. */
export function folderOf(path: string): string {
  const whole = path.replace(/[\\/]+$/, '');
  return whole.slice(0, whole.length - fileNameOf(whole).length).replaceAll('\\', '/');
}

/** The name without folder and without the extension of an image: `a/cells.ome.tif` → `cells`, `p.zarr/A/1` → `p_A_1`. */
export function stemOf(path: string): string {
  const [name = '', ...below] = fileNameOf(path).split('/');
  const stem = ANY.test(name) ? name.replace(ANY, '').replace(/\.ome$/i, '') : name;
  return [stem, ...below].join('_');
}

/** The extension as it is in the name, with its dot; nothing if it is none of an image. */
export function extensionOf(path: string): string {
  const [name = ''] = fileNameOf(path).split('/');
  return ANY.exec(name)?.[0] ?? '';
}

const collator = new Intl.Collator('en', { numeric: true });
const withoutEnding = (name: string) => name.replace(/(?!^)\.[^.]*$/, '');

/**
 * As people count: t2 before t10, and before what is only added: cells.tif, cells_labels.tif. Folder by folder. Names that
 * differ are never equal.
 */
export function naturalOrder(a: string, b: string): number {
  const [one, other] = [a.split('/'), b.split('/')];
  for (const [i, name] of one.entries()) {
    const its = other[i];
    if (its === undefined) break;
    const order = collator.compare(withoutEnding(name), withoutEnding(its)) || collator.compare(name, its);
    if (order !== 0) return order;
  }
  return one.length - other.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** Names that one file system takes for the same: case, and how accents are written, do not count everywhere. */
export function foldedName(name: string): string {
  return name.normalize('NFC').toLowerCase();
}
