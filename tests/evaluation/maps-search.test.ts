import assert from 'node:assert/strict';
import { mapsFlags, searchMaps } from '../../src/evaluation/maps-search.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { tileOf } from '../../src/segmentation/instances/initialize.js';
import { oracleMaps } from '../support/oracle-maps.js';

describe('search of the rule and thresholds of maps', function () {
  this.timeout(60_000);

  it('finds the foreground threshold and the rule that give the labels back', async () => {
    const { labels } = cellPhantom({ size: [160, 160], cells: 9 });
    const maps = oracleMaps(labels);
    // A foreground that is unsure: all of it lies below 0.5, noise of the background below 0.4.
    for (let p = 0; p < 160 * 160; p++) maps.data[p] = labels.data[p] ? 0.48 : 0.2;
    const tile = tileOf({ maps, cell: 1, inputSize: [160, 160] }, [0, 0, 160, 160]);
    const { best, settings } = await searchMaps([{ state: { size: [160, 160], tiles: [tile] }, reference: labels }]);
    assert.equal(settings.length, 28);
    assert.deepEqual([best.rule, best.foreground], ['watershed', 0.4]);
    assert.ok(best.msa > 0.7, `mSA ${best.msa}`);
    assert.match(mapsFlags(best), /^--mode ais --rule watershed --foreground_threshold 0\.4 --center_distance/);
  });
});
