import assert from 'node:assert/strict';
import { switchableWorker } from '../../src/app/switchable-worker.js';
import { referenceResults, workerContract } from '../contracts/worker.js';
import { diskImage, realWorker } from '../support/real-worker.js';
import { connectByWs } from '../support/sockets.js';
import { TINY_MODEL } from '../support/tiny-model.js';
import { startWorkerProcess } from '../support/worker-process.js';

const noPage = () => Promise.reject(new Error('The page was asked for a worker.'));

workerContract('a worker that can be exchanged', async () => switchableWorker(await realWorker('first'), noPage));

describe('switchableWorker', () => {
  it('does on the new worker what was under way on the old one, with its models', async () => {
    const remote = await startWorkerProcess();
    try {
      const worker = switchableWorker(await connectByWs(remote.url), noPage);
      await worker.load(TINY_MODEL);
      const next = await realWorker('next');
      const encoding = worker.encode(TINY_MODEL.name, diskImage());
      worker.use(next);
      const { tiny } = await referenceResults();
      assert.deepEqual((await encoding).features.data, tiny.features.data);
      assert.equal((await worker.info()).name, 'next');
      assert.deepEqual((await worker.encode(TINY_MODEL.name, diskImage())).features.data, tiny.features.data);
      worker.use(await realWorker('third'));
      assert.deepEqual((await worker.encode(TINY_MODEL.name, diskImage())).features.data, tiny.features.data);
      await worker.close();
    } finally {
      remote.process.kill();
    }
  });

  it('runs models from files of this computer inside the page (thorough)', async () => {
    let asked = 0;
    const worker = switchableWorker(await realWorker('outside'), async () => {
      asked++;
      return realWorker('page');
    });
    const local = { ...TINY_MODEL, name: 'mine', encoder: { url: 'blob:http://127.0.0.1/no-such' } };
    await assert.rejects(worker.load(local));
    assert.equal(asked, 1);
    await worker.load(TINY_MODEL);
    assert.equal(asked, 1, 'other models stay where they are');
    await worker.close();
  });
});
