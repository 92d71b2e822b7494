import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fromArrayBuffer } from 'geotiff';
import * as zarr from 'zarrita';
import { dataItems, dataPath, hasData, withData } from '../support/data.js';
import {
  axesOf,
  equalsReference,
  formatsTable,
  openItem,
  pixelsInOrder,
  readAllItems,
  references,
  sha256,
} from '../support/formats.js';

const items = hasData ? dataItems() : [];

describe('every image of the data folder', () => {
  for (const item of items) {
    if (item.pixels_sha256_le)
      withData(`${item.file} has exactly the pixels of its manifest`, async () => {
        const source = await openItem(item.file);
        const pixels = await pixelsInOrder(source, axesOf(item));
        await source.close();
        assert.equal(sha256(pixels), item.pixels_sha256_le, `${source.dtype} ${JSON.stringify(source.sizes)}`);
      });
    if (item.labels && item.labels_sha256_le)
      withData(`${item.labels} has exactly the labels of its manifest`, async () => {
        const source = await openItem(item.labels ?? '');
        const pixels = await pixelsInOrder(source, source.sizes.t > 1 ? 'TYX' : source.sizes.z > 1 ? 'ZYX' : 'YX');
        await source.close();
        assert.equal(sha256(pixels), item.labels_sha256_le);
      });
  }
  if (items.length === 0) withData('data folder', () => {});
});

describe('files that other programs read so', () => {
  for (const reference of references())
    withData(`${reference.file}: ${reference.variant}, as ${reference.reader} reads it`, async () => {
      assert.ok(await equalsReference(reference));
    });
});

describe('images of the data folder without a hash', () => {
  /** The fixtures are numbers counting up in C order, from 0 in three dimensions, else from 1. */
  const fixtures = items.filter(({ file }) => file.includes('/zarrita-v'));
  for (const { file } of fixtures)
    withData(`${file} holds the numbers it was made of`, async () => {
      const source = await openItem(file);
      const pixels = await pixelsInOrder(source, 'ZYX');
      const start = file.includes('3d') ? 0 : 1;
      const expected = file.includes('f4') ? [-1000.5, 0, 1000.5, 0] : Array.from(pixels, (_, i) => start + i);
      assert.ok(pixels.length >= 4);
      assert.deepEqual(Array.from(pixels), expected);
    });

  const groups = [
    ['e_formats/ome-zarr/blobs_image_v04.ome.zarr', undefined, '0', 'CYX'],
    ['e_formats/ome-zarr/blobs_image_v05.ome.zarr', undefined, '0', 'CYX'],
    ['e_formats/ome-zarr/ome-zarr-py-v1', undefined, '0', 'TCZYX'],
    ['e_formats/zarr/plantseg-3d.zarr', 'raw', 'raw', 'ZYX'],
  ] as const;
  for (const [file, key, array, axes] of groups)
    withData(`${file} gives what zarrita reads from its array in one go`, async () => {
      const source = await openItem(file, key);
      const pixels = await pixelsInOrder(source, axes);
      const folder = new Map<string, Uint8Array>();
      const store = {
        get: async (name: string) => {
          try {
            return folder.get(name) ?? new Uint8Array(readFileSync(path.join(dataPath(file), name)));
          } catch {
            return undefined;
          }
        },
      };
      const whole = await zarr.get(await zarr.open(zarr.root(store).resolve(array), { kind: 'array' }));
      assert.deepEqual(Array.from(pixels), Array.from(whole.data as ArrayLike<number>));
    });

  withData('color16-lzw.tif has the pixels that geotiff.js decodes', async () => {
    const file = 'e_formats/image-js-tiff/color16-lzw.tif';
    const source = await openItem(file);
    const { data, shape } = await source.readRegion({});
    await source.close();
    const raw = readFileSync(dataPath(file));
    const tiff = await fromArrayBuffer(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length) as ArrayBuffer);
    const expected = await (await tiff.getImage()).readRasters({ interleave: true });
    assert.equal(source.dtype, 'uint16');
    assert.deepEqual(shape, [120, 160, 3]);
    assert.deepEqual(Array.from(data), Array.from(expected as unknown as ArrayLike<number>));
  });
});

describe('docs/formats.md', () => {
  withData('is what `npm run bench formats` writes (thorough)', async () => {
    assert.equal(readFileSync('docs/formats.md', 'utf8'), formatsTable(await readAllItems()));
  });
});
