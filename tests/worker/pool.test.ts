import assert from 'node:assert/strict';
import { DEFAULT_MODEL } from '../../src/model/registry.js';
import { poolWorker } from '../../src/worker/pool.js';
import { referenceResults, workerContract } from '../contracts/worker.js';
import { diskImage, realWorker } from '../support/real-worker.js';
import { connectByWs } from '../support/sockets.js';
import { startWorkerProcess } from '../support/worker-process.js';

workerContract('a pool', async () => poolWorker([await realWorker('one'), await realWorker('two')]));

describe('poolWorker', function () {
  this.timeout(300_000);
  it('does the jobs of a killed process with another', async () => {
    const doomed = await startWorkerProcess({ threads: 1 });
    const there = await connectByWs(doomed.url);
    const pool = poolWorker([there, await realWorker('survivor')]);
    const { embedding } = await referenceResults();
    let started = 0;
    const results = await Promise.all(
      [0, 1].map(() =>
        pool.encode(DEFAULT_MODEL, diskImage(), {
          onProgress: ({ message }) => {
            if (message.startsWith('Computing') && ++started === 1) doomed.process.kill('SIGKILL');
          },
        }),
      ),
    );
    for (const { features } of results) assert.deepEqual(features.data, embedding.features.data);
    assert.match((await pool.info()).name, /1 workers?: survivor/);
    await pool.close();
  });

  it('says so when nobody is left', async () => {
    const doomed = await startWorkerProcess({ threads: 1 });
    const pool = poolWorker([await connectByWs(doomed.url)]);
    await doomed.kill();
    await assert.rejects(pool.encode(DEFAULT_MODEL, diskImage()), { code: 'worker_lost', message: /All workers/ });
    await pool.close();
  });

  it('needs a worker', () => {
    assert.throws(() => poolWorker([]), { code: 'no_worker' });
  });
});
