import assert from 'node:assert/strict';
import { CTC_PACKAGES, compareCtcMeasures, largestDifference } from '../support/ctc-cases.js';
import { pythonVenv, withPython } from '../support/python.js';

describe('CTC measures against py-ctcmetrics', function () {
  this.timeout(600_000);

  withPython('agree to 1e-6 on perturbed results', async () => {
    const compared = compareCtcMeasures(await pythonVenv(CTC_PACKAGES));
    assert.ok(compared.length >= 3 * 20);
    for (const { name, ours, theirs } of compared)
      assert.ok(Math.abs(ours - theirs) < 1e-6, `${name} is ${ours} here and ${theirs} there`);
    console.log(`ctc_max_difference ${largestDifference(compared)}`);
    const spread = compared.filter(({ name, theirs }) => name.endsWith('TRA') && theirs > 0.2 && theirs < 0.9);
    assert.ok(spread.length > 0, 'the perturbations must matter');
  });
});
