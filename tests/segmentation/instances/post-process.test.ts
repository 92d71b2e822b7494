import assert from 'node:assert/strict';
import { tensor } from '../../../src/ndimage/array.js';
import { gaussianFilter } from '../../../src/ndimage/gaussian.js';
import { labelComponents } from '../../../src/ndimage/label.js';
import { watershed } from '../../../src/ndimage/watershed.js';
import { foregroundMask, seedMask, smoothMaps } from '../../../src/segmentation/instances/post-process.js';
import { instanceGolden } from '../../support/instance-golden.js';

describe('post-processing of instance maps', () => {
  const golden = instanceGolden();
  const { shape } = golden;
  const maps = {
    foreground: tensor(golden.predictions.foreground, shape),
    centre: tensor(golden.predictions.center, shape),
    boundary: tensor(golden.predictions.boundary, shape),
  };

  it('smooths as micro-sam does', () => {
    for (const [sigma, wanted] of Object.entries(golden.gaussian)) {
      const got = gaussianFilter(maps.centre, Number(sigma)).data;
      assert.ok(got.every((value, p) => Math.abs(value - wanted[p]) < 1e-5));
    }
  });

  for (const { params, markers, segmentation, n } of golden.cases) {
    it(`gives the labels of micro-sam with ${JSON.stringify(params)}`, () => {
      const { sd = 1.6, sf = 1, tc = 0.5, tb = 0.5, tf = 0.5 } = params;
      const smoothing = { foreground: sf, distance: sd };
      const thresholds = { centre: tc, boundary: tb, foreground: tf };
      const smoothed = smoothMaps(maps, smoothing);
      const seeds = labelComponents(seedMask(smoothed, thresholds), 'all').labels;
      assert.deepEqual(seeds.data, markers);
      const labels = watershed(smoothed.boundary, seeds, foregroundMask(smoothed, tf));
      assert.equal(new Set(labels.data).size - 1, n);
      let equal = 0;
      for (let p = 0; p < segmentation.length; p++) if (labels.data[p] === segmentation[p]) equal++;
      assert.ok(equal >= 0.995 * segmentation.length, `${segmentation.length - equal} pixels differ`);
    });
  }
});
