import assert from 'node:assert/strict';
import { type Family, families, fuzz } from '../support/fuzz.js';

/** A short run; the long one is `npm run bench fuzz`. */
describe('damaged files', () => {
  let all: Family[];
  before(async () => {
    all = await families(20_000);
  });
  for (const name of ['tiff', 'png', 'jpeg', 'nifti', 'numpy', 'hdf5', 'webp', 'zarr', 'checkpoint'])
    it(`200 of family ${name} are read or refused with a SamError, without hanging or filling the memory`, async () => {
      const family = all.find((one) => one.name === name);
      assert.ok(family);
      const { failures, outcomes } = await fuzz(family, 200, 20_261);
      assert.deepEqual(failures, []);
      assert.ok((outcomes.get('read') ?? 0) > 0, 'some damage does not matter');
      const refused = name === 'checkpoint' ? 'model_unavailable' : 'invalid_image';
      assert.ok((outcomes.get(refused) ?? 0) > 0, 'some does');
    });
});
