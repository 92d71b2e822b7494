import assert from 'node:assert/strict';
import { openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { precomputeEmbeddings } from '../../src/embeddings/precompute.js';
import { SamError } from '../../src/errors.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { DEFAULT_MODEL, resolveModel } from '../../src/model/registry.js';
import { buildPrompts } from '../../src/model/transforms.js';
import type { Progress } from '../../src/task.js';
import { connectWorker } from '../../src/worker/connect.js';
import { failoverWorker } from '../../src/worker/failover.js';
import { forwardWork } from '../../src/worker/forward.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { referenceResults, workerContract } from '../contracts/worker.js';
import { threadThatHangs } from '../support/hanging-thread.js';
import { noiseVolume } from '../support/labels.js';
import { diskImage, realWorker } from '../support/real-worker.js';
import { connectByWs } from '../support/sockets.js';
import { TINY_MODEL } from '../support/tiny-model.js';
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

  it('carries a precompute through the death of its worker, with the same features as without it (thorough)', async () => {
    const source = openNdarray(noiseVolume(5));
    const planes = async (worker: SamWorker, onProgress?: (progress: Progress) => void) => {
      await worker.load(TINY_MODEL);
      const embeddings = await openEmbeddings({ source, worker, model: TINY_MODEL, store: memoryStore() });
      const { encoded } = await precomputeEmbeddings(embeddings, { concurrency: 2 }, { onProgress });
      assert.equal(encoded, 5);
      const all = await Promise.all([0, 1, 2, 3, 4].map((plane) => embeddings.embedding({ plane })));
      return all.map(({ features }) => features.data);
    };
    const doomed = await startWorkerProcess({ threads: 1 });
    const worker = failoverWorker(await connectByWs(doomed.url), () => realWorker('this thread'));
    const got = await planes(worker, ({ done }) => done === 2 && doomed.process.kill('SIGKILL'));
    assert.match((await worker.info()).note ?? '', /went away/);
    await worker.close();
    assert.deepEqual(got, await planes((await referenceResults()).worker));
  });

  it('hands on errors that are not a loss', async () => {
    const worker = failoverWorker(await realWorker(), () => Promise.reject(new Error('not to be made')));
    await assert.rejects(worker.encode('vit_nonsense', diskImage()), { code: 'model_unavailable' });
    await worker.close();
  });

  it('replaces each that goes away, and gives up a request that takes two with it', async () => {
    const lost = (): Promise<never> => Promise.reject(new SamError('worker_lost', 'It stopped.'));
    const notices: string[] = [];
    let made = 0;
    const good = await realWorker('third worker');
    const dead: SamWorker = {
      ...forwardWork(lost),
      info: () => good.info(),
      load: lost,
      close: () => Promise.resolve(),
    };
    const worker = failoverWorker(dead, async () => (++made === 1 ? dead : good), {
      onNotice: (text) => notices.push(text),
    });
    await assert.rejects(worker.load(TINY_MODEL), { code: 'worker_lost', message: /Two workers in turn .*It stopped/ });
    await worker.load(TINY_MODEL);
    assert.equal((await worker.info()).name, 'third worker');
    assert.deepEqual([made, notices.length], [2, 2]);
    await worker.close();
  });
});

/** A web worker's thread that is stuck in wasm answers nothing, and hears of nothing. */
describe('a worker that hangs in wasm', function () {
  this.timeout(60_000);

  it('is given up after the silence that is allowed, ended, and its request done by another', async () => {
    const stuck = await threadThatHangs();
    const notices: string[] = [];
    const worker = failoverWorker(
      await connectWorker(stuck.port, { silence: 2000 }),
      () => realWorker('other thread'),
      { onNotice: (text) => notices.push(text) },
    );
    await worker.load(TINY_MODEL); // it answers this one
    const { features } = await worker.encode('tiny', diskImage());
    const reference = await realWorker();
    await reference.load(TINY_MODEL);
    assert.deepEqual(features.data, (await reference.encode('tiny', diskImage())).features.data);
    assert.match(notices[0], /Nothing was heard from the worker for 2 s\); its work goes on in the other thread/);
    await stuck.ended;
    await worker.close();
    await reference.close();
  });
});
