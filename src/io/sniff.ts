import { SamError } from '../errors.js';
import { isJpeg } from './formats/jpeg.js';
import { isPng } from './formats/png.js';
import { isTiff } from './tiff/container.js';

/** What a file is, by its first bytes: names lie. */
export type Format = 'tiff' | 'png' | 'jpeg' | 'webp' | 'nifti' | 'gzip' | 'npy' | 'zip' | 'hdf5';

/** As many bytes as telling formats apart takes (a NIfTI-2 header). */
export const SNIFF_LENGTH = 540;

export const READABLE =
  'TIFF and OME-TIFF, OME-Zarr and zarr, PNG, JPEG, WebP, NIfTI (.nii, .nii.gz), NumPy (.npy, .npz) and HDF5';

function startsWith(head: Uint8Array, text: string, at = 0): boolean {
  return [...text].every((letter, i) => head[at + i] === letter.charCodeAt(0));
}

export function sniffFormat(head: Uint8Array): Format | undefined {
  if (isTiff(head)) return 'tiff';
  if (isPng(head)) return 'png';
  if (isJpeg(head)) return 'jpeg';
  if (startsWith(head, 'RIFF') && startsWith(head, 'WEBP', 8)) return 'webp';
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (startsWith(head, '\x93NUMPY')) return 'npy';
  if (startsWith(head, 'PK\x03\x04') || startsWith(head, 'PK\x05\x06')) return 'zip';
  if (startsWith(head, '\x89HDF\r\n\x1a\n')) return 'hdf5';
  if (startsWith(head, 'n+1\0', 344) || startsWith(head, 'ni1\0', 344) || startsWith(head, 'n+2\0', 4)) return 'nifti';
  return undefined;
}

/** Formats that people try, with what to do instead. */
const KNOWN: readonly (readonly [start: string, at: number, what: string, advice: string])[] = [
  ['ZISRAWFILE', 0, 'a Zeiss CZI file', 'Save it as OME-TIFF or OME-Zarr in ZEN or Fiji.'],
  ['\xda\xce\xbe\x0a', 0, 'a Nikon ND2 file', 'Save it as OME-TIFF or OME-Zarr in NIS-Elements or Fiji.'],
  ['\x70\0\0\0', 0, 'a Leica LIF file', 'Save it as OME-TIFF or OME-Zarr in LAS X or Fiji.'],
  ['\xd0\xcf\x11\xe0', 0, 'an Olympus OIB or Zeiss ZVI file', 'Save it as OME-TIFF or OME-Zarr in Fiji.'],
  ['DICM', 128, 'a DICOM file', 'Convert it to NIfTI or TIFF.'],
  ['GIF8', 0, 'a GIF', 'Save it as PNG or TIFF.'],
  ['BM', 0, 'a BMP', 'Save it as PNG or TIFF.'],
  ['\0\0\0\x0cjP', 0, 'a JPEG 2000 file', 'Save it as TIFF.'],
  ['%PDF', 0, 'a PDF', 'Export the picture in it as PNG or TIFF.'],
  ['<!', 0, 'a web page, not an image', 'Check the address: it may be a page about the file, or ask for a login.'],
  ['<html', 0, 'a web page, not an image', 'Check the address: it may be a page about the file, or ask for a login.'],
];

/** What to tell someone whose file is none of ours. */
export function unknownFormat(name: string, head: Uint8Array): SamError {
  const known = KNOWN.find(([start, at]) => startsWith(head, start, at));
  const what = known ? `${known[2]}. ${known[3]}` : 'not an image in a format that is known here.';
  return new SamError('unsupported', `${name} is ${what} These can be read: ${READABLE}.`, {
    details: { feature: known?.[2] ?? 'unknown format' },
  });
}

/** The extensions a format usually has; told where a file that cannot be decoded has another. */
export const EXTENSIONS: Record<Format, readonly string[]> = {
  tiff: ['tif', 'tiff', 'btf', 'tf8', 'svs', 'lsm', 'ndpi', 'scn', 'qptiff', 'stk', 'flex'],
  png: ['png'],
  jpeg: ['jpg', 'jpeg', 'jpe', 'jfif'],
  webp: ['webp'],
  nifti: ['nii'],
  gzip: ['gz'],
  npy: ['npy'],
  zip: ['npz', 'zip', 'ozx'],
  hdf5: ['h5', 'hdf5', 'hdf', 'ims', 'ilp', 'n5'],
};
