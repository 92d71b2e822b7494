import assert from 'node:assert/strict';
import { fuzzService } from '../support/service-fuzz.js';

/** A short run; that of the bench (`npm run bench -- fuzz`) is long. */
describe('service, called wrongly', () => {
  it('refuses with an error of ours and changes nothing, or does what was asked', async () => {
    const { failures, refused } = await fuzzService(200, 1);
    assert.deepEqual(failures, []);
    assert.ok(refused > 40, `${refused} refused`);
  });
});
