import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { ImageSource } from '../../src/io/image.js';
import { fileBytes } from '../../src/io/node-file.js';
import { openImage } from '../../src/io/open.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { allocate, type TypedArray } from '../../src/ndimage/array.js';
import { type DataItem, dataPath } from './data.js';

/** Reads the items of the data folder and compares them with the hashes of their manifest. */

export async function openItem(file: string, key?: string): Promise<ImageSource> {
  const full = dataPath(file);
  if (!statSync(full).isDirectory()) return openImage(await fileBytes(full));
  const frames = readdirSync(full).filter((name) => name.endsWith('.tif'));
  if (frames.length > 0) return openImage(await Promise.all(frames.map((name) => fileBytes(path.join(full, name)))));
  return openImage(folderStore(full), { key });
}

export function itemExists(file: string): boolean {
  return existsSync(dataPath(file));
}

/**
 * All pixels of an image in the order of `axes` (letters of the manifest: Q and I are pages, S and C channels), as the
 * bytes that `dtype` has.
 */
export async function pixelsInOrder(source: ImageSource, axes: string): Promise<TypedArray> {
  const { t, c, z, y, x } = source.sizes;
  const letters = [...axes.toLowerCase()].map((letter) => {
    if (letter === 'i' || letter === 'q') return t > 1 ? 't' : 'z';
    if ((letter === 't' || letter === 'z') && source.sizes[letter] === 1) return t > 1 ? 't' : 'z';
    return letter === 's' ? 'c' : letter;
  }) as ('t' | 'c' | 'z' | 'y' | 'x')[];
  const strides = { t: 0, c: 0, z: 0, y: 0, x: 0 };
  let step = 1;
  for (const letter of [...letters].reverse()) {
    strides[letter] = step;
    step *= source.sizes[letter];
  }
  const out = allocate(source.dtype, step);
  for (let ti = 0; ti < t; ti++)
    for (let zi = 0; zi < z; zi++) {
      const { data } = await source.readRegion({ t: ti, z: zi });
      let from = 0;
      for (let yi = 0; yi < y; yi++)
        for (let xi = 0; xi < x; xi++)
          for (let ci = 0; ci < c; ci++)
            out[ti * strides.t + zi * strides.z + yi * strides.y + xi * strides.x + ci * strides.c] = data[from++];
    }
  return out;
}

export function sha256(data: TypedArray): string {
  return createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');
}

/** The axes of an item whose manifest leaves them out. */
export function axesOf(item: DataItem): string {
  if (item.axes) return item.axes;
  return { 2: 'YX', 3: 'YXS', 4: 'IYXS' }[item.shape.length] ?? '';
}
