import assert from 'node:assert/strict';
import { dataItems, hasData, withData } from '../support/data.js';
import { axesOf, openItem, pixelsInOrder, sha256 } from '../support/formats.js';

describe('every image of the data folder', () => {
  for (const item of hasData ? dataItems() : [])
    if (item.pixels_sha256_le)
      withData(`${item.file} has exactly the pixels of its manifest`, async () => {
        const source = await openItem(item.file);
        const pixels = await pixelsInOrder(source, axesOf(item));
        await source.close();
        assert.equal(sha256(pixels), item.pixels_sha256_le, `${source.dtype} ${JSON.stringify(source.sizes)}`);
      });
});
