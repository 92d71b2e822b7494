import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import sirv from 'sirv';
import type { ImageSource } from '../../src/io/image.js';
import { fileBytes } from '../../src/io/node-file.js';
import { openImage } from '../../src/io/open.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { DATA_ROOT, dataItems, dataPath, hasData } from '../support/data.js';
import { axesOf, pixelsInOrder, sha256 } from '../support/formats.js';
import { atLeast, type Figure, reported } from './figure.js';

/**
 * Every image of the data folder from every place an image can come from: a file or folder on disk, one that was dropped
 * on a page, an address, bytes in memory. How many give the same pixels and the same metadata everywhere.
 */
export default async (): Promise<Figure[]> => {
  if (!hasData) return [];
  const server = createServer(sirv(DATA_ROOT, { dev: true, dotfiles: true }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let [same, total] = [0, 0];
  try {
    for (const item of dataItems()) {
      const places = placesOf(item.file, address);
      if (places === undefined) continue;
      const axes = item.pixels_sha256_le ? axesOf(item) : 'TCZYX';
      const read = await Promise.all(places.map((open) => contents(open, axes)));
      total++;
      if (new Set(read).size === 1) same++;
      else console.error(item.file, read);
    }
  } finally {
    server.close();
  }
  return [atLeast('formats_same_everywhere', same, 'images', total), reported('formats_places', total, 'images')];
};

type Open = () => Promise<ImageSource>;

/** Undefined for frames in files of their own, which are no image by themselves. */
function placesOf(file: string, address: string): readonly Open[] | undefined {
  const full = dataPath(file);
  const url = `${address}/${file}`;
  if (!statSync(full).isDirectory())
    return [
      async () => openImage(await fileBytes(full)),
      () => openImage(new File([readFileSync(full)], path.basename(full))),
      () => openImage(url),
      () => openImage(new Uint8Array(readFileSync(full))),
    ];
  const inside = readdirSync(full, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  if (inside.some(({ name }) => name.endsWith('.tif'))) return undefined;
  const options = { key: file.endsWith('plantseg-3d.zarr') ? 'raw' : undefined };
  const dropped = inside.map((entry) => {
    const from = path.join(entry.parentPath, entry.name);
    const webkitRelativePath = path.join(path.basename(full), path.relative(full, from));
    return Object.defineProperty(new File([readFileSync(from)], entry.name), 'webkitRelativePath', {
      value: webkitRelativePath,
    });
  });
  return [
    () => openImage(folderStore(full), options),
    () => openImage(dropped, options),
    () => openImage(`${url}/`, options),
  ];
}

/** Pixels as a hash, and all that the image says of itself but names, which files have and bytes do not. */
async function contents(open: Open, axes: string): Promise<string> {
  const image = await open();
  const { name: _name, images: _images, files: _files, ...facts } = image;
  const pixels = sha256(await pixelsInOrder(image, axes));
  await image.close();
  return `${pixels} ${JSON.stringify(facts)}`;
}
