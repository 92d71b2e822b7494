import { SamError } from '../errors.js';
import type { Format } from './folder/file-names.js';
import { isJpeg, isPng, isTiff } from './signatures.js';
import { type UnreadableFormat, unreadableFormat } from './unreadable.js';

/** What a file is, by its first bytes: names lie. */

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
  if (startsWith(head, HDF5)) return 'hdf5';
  if (startsWith(head, 'n+1\0', 344) || startsWith(head, 'ni1\0', 344) || startsWith(head, 'n+2\0', 4)) return 'nifti';
  if (/^\ufeff?\s*<(\?xml|!--|(\w+:)?OME)[\s\S]*<(\w+:)?OME[\s>]/.test(asText(head))) return 'ome';
  // Behind the user block of MATLAB 7.3 files.
  if (startsWith(head, HDF5, 512)) return 'hdf5';
  return undefined;
}

function asText(head: Uint8Array): string {
  return new TextDecoder().decode(head);
}

const HDF5 = '\x89HDF\r\n\x1a\n';

/** What to tell someone whose file is none of ours. */
export function unknownFormat(name: string, head: Uint8Array): SamError {
  const known = unreadableFormat(name, head);
  if (known) return notReadable(name, known);
  return new SamError(
    'unsupported',
    `${name} is not an image in a format that is known here${whatInstead(head)}. These can be read: ${READABLE}.`,
    { details: { feature: 'unknown format' } },
  );
}

/** What people find in place of an image: a copy that was interrupted, or what a server answered. */
function whatInstead(head: Uint8Array): string {
  if (head.every((byte) => byte === 0)) return ': it begins with zeros, as an interrupted copy does; copy it again';
  const text = asText(head);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: text has none
  if (/[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text.slice(0, -4))) return '';
  const start = text.trim().replace(/\s+/g, ' ').slice(0, 60);
  return start === '' ? '' : `: it is text that begins with "${start}"`;
}

export function notReadable(name: string, { what, advice }: UnreadableFormat): SamError {
  return new SamError('unsupported', `${name} is ${what}. ${advice} These can be read: ${READABLE}.`, {
    details: { feature: what },
  });
}
