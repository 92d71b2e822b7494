import assert from 'node:assert/strict';
import { decode } from 'fast-png';
import { SamError } from '../../src/errors.js';
import { encodeLabelPng } from '../../src/io/results/png-writer.js';
import { tensor } from '../../src/ndimage/array.js';
import { randomLabels } from '../support/labels.js';
import { seededRandom } from '../support/random.js';

describe('label PNG', () => {
  it('holds every 16-bit label exactly', () => {
    const all = tensor(
      Uint32Array.from({ length: 65_536 }, (_, i) => i),
      [256, 256],
    );
    assert.deepEqual(decode(encodeLabelPng(all), { checkCrc: true }).data, Uint16Array.from(all.data));
    const random = seededRandom(8);
    for (const shape of [
      [1, 1],
      [1, 300],
      [41, 67],
    ]) {
      const labels = randomLabels(random, shape, 12, 65_535);
      const png = decode(encodeLabelPng(labels), { checkCrc: true });
      assert.deepEqual([png.height, png.width, png.depth, png.channels], [...shape, 16, 1]);
      assert.deepEqual([...png.data], [...labels.data]);
    }
  });

  it('keeps the pixel size, to the whole pixels per metre that PNG has', () => {
    const labels = tensor(new Uint32Array(6), [2, 3]);
    const png = decode(encodeLabelPng(labels, { pixelSize: { y: 0.25, x: 0.5, unit: 'micron' } }), { checkCrc: true });
    assert.deepEqual(png.resolution, { x: 2_000_000, y: 4_000_000, unit: 1 });
    assert.equal(decode(encodeLabelPng(labels, { pixelSize: { y: 1, x: 1, unit: 'pixel' } })).resolution, undefined);
  });

  it('refuses what a PNG cannot hold and says what to do', () => {
    const unsupported = (pattern: RegExp) => (error: unknown) =>
      error instanceof SamError && error.code === 'unsupported' && pattern.test(error.message);
    assert.throws(() => encodeLabelPng(tensor(Uint32Array.of(65_536), [1, 1])), unsupported(/TIFF or OME-Zarr/));
    assert.throws(() => encodeLabelPng(tensor(new Uint32Array(8), [2, 2, 2])), unsupported(/one plane/));
  });
});
