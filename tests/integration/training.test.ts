import assert from 'node:assert/strict';
import { torchPython } from '../support/python.js';
import { torchPackages } from '../support/torch-comparison.js';
import { compareSteps } from '../support/torch-training.js';

/** Needs a python3 with PyTorch (Debian: python3-torch); without one these are skipped. */
describe('training steps are those of PyTorch, from the same weights with the same batch', function () {
  this.timeout(1_200_000);
  const python = torchPython() ?? '';
  let packages: string;

  before(function () {
    if (python === '') return this.skip();
    packages = torchPackages();
  });

  for (const part of ['instances', 'decoder'] as const)
    it(`the loss of the ${part} is the same before each of ten steps of AdamW`, async () => {
      const { ours, theirs } = await compareSteps(part, { python, packages, steps: 10, threads: 1 });
      console.log(`      loss ${ours.losses[0].toFixed(5)} → ${ours.losses[9].toFixed(5)}`);
      const off = ours.losses.map((loss, step) => Math.abs(loss / theirs.losses[step] - 1));
      assert.ok(
        Math.max(...off) < 1e-4,
        `relative differences ${off.map((value) => value.toExponential(1)).join(', ')}`,
      );
      assert.ok(ours.losses[9] < ours.losses[0]);
    });
});
