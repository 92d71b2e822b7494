import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { exportCommand } from '../../src/cli/export-model.js';
import { pythonVenv, runPython, withPython } from '../support/python.js';

describe('package of bioimage.io in the library that defines it', function () {
  this.timeout(900_000);

  withPython('is valid, and its graph gives what its test says', async () => {
    const python = await pythonVenv(['bioimageio.core==0.11.0', 'onnxruntime', 'pydantic<2.12']);
    const folder = mkdtempSync(path.join(os.tmpdir(), 'bioimage-'));
    try {
      assert.equal(await exportCommand.run(['-m', 'msi_lm', '-o', folder]), 0);
      assert.match(runPython(python, 'run_bioimage_package.py', path.join(folder, 'rdf.yaml')), /^passed$/m);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
