import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import os from 'node:os';
import { MapsOnDisk } from '../../src/cli/batch/maps-on-disk.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { makeTiling } from '../../src/ndimage/blocking.js';
import { generateInstances } from '../../src/segmentation/instances/generate.js';
import { initializeInstances } from '../../src/segmentation/instances/initialize.js';
import { oracleSource } from '../support/oracle-maps.js';

describe('maps on disk', function () {
  this.timeout(60_000);

  it('give the same objects as in memory, and leave nothing behind', async () => {
    const { labels } = cellPhantom({ size: [200, 220], cells: 18 });
    const embedding = () => Promise.reject(new Error('Not needed.'));
    const embeddings = oracleSource(labels, { embedding }, { tiling: makeTiling([200, 220], [100, 110], [24, 24]) });
    const context = { worker: {} as never, model: 'oracle', plane: 0, embeddings };
    const folders = () => readdirSync(os.tmpdir()).filter((name) => name.startsWith('micro-sam-maps-')).length;
    const before = folders();
    const maps = new MapsOnDisk();
    try {
      const kept = await initializeInstances(context, { keepMaps: (of) => maps.keep(of) });
      const inMemory = await initializeInstances(context);
      assert.notEqual(kept.tiles[0]?.maps.data, kept.tiles[0]?.maps.data, 'read anew each time');
      assert.deepEqual(
        kept.tiles.map((tile) => tile.maps.data),
        inMemory.tiles.map((tile) => tile.maps.data),
      );
      assert.deepEqual(generateInstances(kept), generateInstances(inMemory));
    } finally {
      maps.close();
    }
    assert.equal(folders(), before);
  });
});
