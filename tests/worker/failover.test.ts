import assert from 'node:assert/strict';
import { DEFAULT_MODEL, resolveModel } from '../../src/model/registry.js';
import { buildPrompts } from '../../src/model/transforms.js';
import { failoverWorker } from '../../src/worker/failover.js';
import { referenceResults, workerContract } from '../contracts/worker.js';
import { diskImage, realWorker } from '../support/real-worker.js';
import { connectByWs } from '../support/sockets.js';
import { startWorkerProcess } from '../support/worker-process.js';

workerContract('a worker with a fallback', async () =>
  failoverWorker(await realWorker('primary'), () => realWorker('fallback')),
);

describe('failoverWorker', () => {
  it('repeats lost work on the fallback and says so once', async () => {
    const doomed = await startWorkerProcess();
    const notices: string[] = [];
    let made = 0;
    const worker = failoverWorker(
      await connectByWs(doomed.url),
      () => {
        made++;
        return realWorker('web worker');
      },
      { onNotice: (text) => notices.push(text) },
    );
    await worker.load(resolveModel());
    const { embedding } = await referenceResults();
    const prompts = buildPrompts([{ box: [108, 108, 149, 149] }], embedding);
    const lost = worker.encode(DEFAULT_MODEL, diskImage(), {
      onProgress: () => doomed.process.kill('SIGKILL'),
    });
    const [encoded, decoded] = await Promise.all([lost, worker.decode(DEFAULT_MODEL, embedding, prompts)]);
    assert.deepEqual(encoded.features.data, embedding.features.data);
    assert.deepEqual([...decoded.rows], [0]);
    assert.equal(made, 1);
    assert.equal(notices.length, 1);
    assert.match(notices[0], /went away.*its work goes on in the web worker\.$/);
    assert.match((await worker.info()).note ?? '', /went away/);
    await worker.close();
  });

  it('hands on errors that are not a loss', async () => {
    const worker = failoverWorker(await realWorker(), () => Promise.reject(new Error('not to be made')));
    await assert.rejects(worker.encode('vit_nonsense', diskImage()), { code: 'model_unavailable' });
    await worker.close();
  });
});
