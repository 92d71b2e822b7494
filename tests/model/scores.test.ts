import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { withData } from '../support/data.js';

const run = promisify(execFile);

describe('npm run models -- score', () => {
  withData(
    'finds the scores of the model card again, with both models (thorough)',
    async function (this: Mocha.Context) {
      this.timeout(300_000);
      const work = await mkdtemp(path.join(tmpdir(), 'scores-'));
      try {
        // Ends with 1 where a score differs by more than 0.002 from docs/models/scores.csv.
        const images = 'dsb-7f4d7b549d0f,usiigaci-set12';
        const { stdout } = await run(process.execPath, [
          'tests/recipes/run.mjs',
          'score',
          '--images',
          images,
          '--work',
          work,
        ]);
        const scored = stdout
          .split('\nMeans')[0]
          .split('\n')
          .filter((line) => /point \d\.\d+ +box \d\.\d+ +msa \d/.test(line));
        assert.equal(scored.length, 4, stdout);
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    },
  );
});
