import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import { sampleOf } from '../../io/bytes.js';
import { kindOf } from '../../io/node-file.js';
import { isAddress } from '../../io/node-open.js';

/** One image that a command line names. */
export interface Input {
  /** Path or address. */
  readonly file: string;
  /** Relative to what all inputs have in common, with slashes: what pairs and results are told from. */
  readonly name: string;
  /** Said by itself, not found in a folder or by a pattern. */
  readonly single?: boolean;
}

/**
 * A digest by which a file is known again wherever it lies, from its length and at most 64 blocks of it; of a zarr from
 * the metadata of its first two levels. An address is known by itself: nothing is fetched.
 */
export function contentOf(file: string): string {
  if (isAddress(file)) return 'address';
  const kind = kindOf(file);
  if (kind !== 'file' && kind !== 'folder') return 'none';
  const hash = createHash('sha1');
  if (kind === 'folder') {
    const folders = readdirSync(file, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const folder of ['', ...folders.map(({ name }) => name).sort()])
      for (const name of ['zarr.json', '.zattrs', '.zarray']) {
        const metadata = path.join(file, folder, name);
        if (kindOf(metadata) === 'file') hash.update(`${folder}/${name}`).update(readFileSync(metadata));
      }
    return `folder:${hash.digest('hex')}`;
  }
  const { size } = statSync(file);
  const handle = openSync(file, 'r');
  try {
    for (const { offset, length } of sampleOf(size)) {
      const block = Buffer.alloc(length);
      hash.update(block.subarray(0, readSync(handle, block, 0, length, offset)));
    }
  } finally {
    closeSync(handle);
  }
  return `${size}:${hash.digest('hex')}`;
}
