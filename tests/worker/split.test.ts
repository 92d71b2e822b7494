import assert from 'node:assert/strict';
import { buildPrompts } from '../../src/model/transforms.js';
import { startWorkerServer, type WorkerServer } from '../../src/worker/hosts/websocket-server.js';
import { splitWorker } from '../../src/worker/split.js';
import { referenceResults, workerContract } from '../contracts/worker.js';
import { diskImage, realWorker } from '../support/real-worker.js';
import { connectByWs } from '../support/sockets.js';
import { TINY_MODEL } from '../support/tiny-model.js';

let server: WorkerServer;

async function make() {
  const { worker } = await referenceResults();
  server ??= await startWorkerServer({ worker });
  const [there, here] = [await connectByWs(server.url), await realWorker('this thread')];
  return { there, here, split: splitWorker(there, here) };
}

after(() => server?.close());

workerContract('a remote encoder with a decoder here', async () => (await make()).split);

describe('splitWorker', () => {
  it('encodes there and decodes here, even when the connection is gone', async () => {
    const { there, here, split } = await make();
    await there.load(TINY_MODEL);
    const embedding = await split.encode(TINY_MODEL.name, diskImage());
    assert.deepEqual((await here.info()).loaded, [], 'nothing is loaded here for encoding');
    await there.close();
    await here.load(TINY_MODEL);
    const { iou } = await split.decode(TINY_MODEL.name, embedding, buildPrompts([{ box: [1, 1, 9, 9] }], embedding));
    assert.equal(iou.length, 4);
    await assert.rejects(split.encode(TINY_MODEL.name, diskImage()), { code: 'worker_lost' });
    await here.close();
  });
});
