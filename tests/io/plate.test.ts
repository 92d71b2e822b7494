import assert from 'node:assert/strict';
import { SamError } from '../../src/errors.js';
import { readPlane } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { prefixStore } from '../../src/io/stores/prefix.js';
import { plateFields } from '../../src/io/zarr/plate.js';
import { madeOmeZarr, madePlate, omePixel } from '../support/zarr-builder.js';

describe('an OME-Zarr plate', () => {
  for (const version of [2, 3] as const)
    it(`of zarr ${version} lists its fields of view, each of which is an image`, async () => {
      const store = memoryStore('plate', madePlate(version));
      const fields = await plateFields(store);
      assert.deepEqual(fields, [
        { key: 'A/1/0', name: 'A1 field 0' },
        { key: 'A/1/1', name: 'A1 field 1' },
        { key: 'B/12/0', name: 'B12' },
      ]);
      const image = await openImage(prefixStore(store, fields![2].key));
      assert.equal((await readPlane(image, 1)).data[2 * 35 + 1], omePixel(0, 1, 1, 1, 3));
      const byKey = await openImage(store, { key: 'A/1/1' });
      assert.deepEqual(byKey.sizes, image.sizes);
    });

  it('lists a well that is damaged or missing, so that opening it says why', async () => {
    const entries = madePlate(3);
    entries.set('A/1/zarr.json', new TextEncoder().encode('{"zarr_format": 3, '));
    for (const key of [...entries.keys()]) if (key.startsWith('B/')) entries.delete(key);
    const store = memoryStore('plate', entries);
    const fields = await plateFields(store);
    assert.deepEqual(
      fields?.map(({ key }) => key),
      ['A/1/0', 'B/12/0'],
    );
    await assert.rejects(
      openImage(prefixStore(store, 'B/12/0')),
      (error) => error instanceof SamError && error.code === 'not_found',
    );
  });

  it('is told from an image and from nothing', async () => {
    assert.equal(await plateFields(memoryStore('image', madeOmeZarr(3))), undefined);
    assert.equal(await plateFields(memoryStore('empty')), undefined);
  });

  it('without wells is refused', async () => {
    const attributes = { ome: { plate: { wells: [] } } };
    const json = JSON.stringify({ zarr_format: 3, node_type: 'group', attributes });
    const store = memoryStore('plate', new Map([['zarr.json', new TextEncoder().encode(json)]]));
    await assert.rejects(plateFields(store), /lists no wells/);
  });
});
