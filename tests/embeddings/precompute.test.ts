import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { precomputeEmbeddings } from '../../src/embeddings/precompute.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { listKeys } from '../../src/io/stores/prefix.js';
import { HASH_MODEL, hashEncoder } from '../support/hash-encoder.js';
import { noiseVolume } from '../support/labels.js';
import { bundleForNode } from '../support/node-bundle.js';

function open(planes: number, delay = 0, store = memoryStore()) {
  const worker = hashEncoder(delay);
  const opened = openEmbeddings({ source: openNdarray(noiseVolume(planes)), worker, model: HASH_MODEL, store });
  return opened.then((embeddings) => ({ embeddings, worker, store }));
}

describe('precomputing embeddings', () => {
  it('encodes everything once, the visible plane first, and tells how far it is', async () => {
    const { embeddings, worker, store } = await open(5);
    const progress: string[] = [];
    const written: string[] = [];
    const { set } = store;
    store.set = async (key, value) => {
      written.push(key);
      await set(key, value);
    };
    const result = await precomputeEmbeddings(
      embeddings,
      { first: [{ plane: 3 }] },
      { onProgress: ({ done, total }) => progress.push(`${done}/${total}`) },
    );
    assert.deepEqual(result, { encoded: 5, reused: 0 });
    assert.deepEqual(progress, ['1/5', '2/5', '3/5', '4/5', '5/5']);
    const chunks = written.filter((key) => key.includes('/c/')).map((key) => Number(key.split('/')[2]));
    assert.deepEqual(chunks, [3, 0, 1, 2, 4]);
    assert.equal(written.at(-1), 'zarr.json', 'the mark of completeness comes last');
    assert.deepEqual(await precomputeEmbeddings(embeddings), { encoded: 0, reused: 5 });
    assert.equal(worker.encoded.length, 5);
  });

  it('covers every tile of every plane', async () => {
    const worker = hashEncoder();
    const embeddings = await openEmbeddings({
      source: openNdarray(noiseVolume(2)),
      worker,
      model: HASH_MODEL,
      tiling: { tileShape: [16, 16], halo: [2, 2] },
    });
    assert.deepEqual(await precomputeEmbeddings(embeddings, { first: [{ plane: 1, tile: 2 }] }), {
      encoded: 8,
      reused: 0,
    });
  });

  it('can be cancelled and goes on where it stopped', async () => {
    const { embeddings, worker, store } = await open(6, 5);
    const controller = new AbortController();
    const cancelled = precomputeEmbeddings(
      embeddings,
      {},
      {
        signal: controller.signal,
        onProgress: ({ done }) => done === 3 && controller.abort(),
      },
    );
    await assert.rejects(cancelled, { name: 'AbortError' });
    assert.equal(worker.encoded.length, 3);
    const again = await open(6, 0, store);
    assert.deepEqual(await precomputeEmbeddings(again.embeddings), { encoded: 3, reused: 3 });
  });

  it('uses as many workers as it is told to', async () => {
    const { embeddings, worker } = await open(8, 20);
    let running = 0;
    let most = 0;
    const { encode } = worker;
    worker.encode = async (...rest) => {
      most = Math.max(most, ++running);
      try {
        return await encode(...rest);
      } finally {
        running--;
      }
    };
    await precomputeEmbeddings(embeddings, { concurrency: 3 });
    assert.equal(most, 3);
  });

  it('encodes ahead in the background, and lets a request go first', async () => {
    const { embeddings, worker } = await open(6, 20);
    embeddings.prefetch([{ plane: 1 }, { plane: 2 }]);
    await embeddings.embedding({ plane: 5 });
    assert.equal(await embeddings.isReady({ plane: 2 }), false, 'the background gave way');
    embeddings.prefetch([{ plane: 1 }]);
    await embeddings.embedding({ plane: 1 });
    assert.equal(worker.encoded.length, 2, 'what is being encoded ahead is not encoded twice');
    embeddings.close();
  });

  it('killed at random moments, resumes to the result of an uninterrupted run (thorough)', async function () {
    this.timeout(600_000);
    const long = process.env.REPEATS !== undefined;
    const planes = long ? 50 : 16;
    const repeats = long ? Number(process.env.REPEATS) : 10;
    const folder = mkdtempSync(path.join(os.tmpdir(), 'precompute-'));
    const script = path.resolve('dist', 'tests', `precompute-child-${process.pid}.mjs`);
    await bundleForNode({ file: 'tests/support/precompute-child.ts' }, script);
    const run = (place: string, killAfter?: number) =>
      new Promise<void>((resolve, reject) => {
        const child = fork(script, [place, String(planes)]);
        child.once('message', () => {
          if (killAfter !== undefined) setTimeout(() => child.kill('SIGKILL'), killAfter);
        });
        child.once('exit', (code, signal) => {
          if (code === 0 || signal === 'SIGKILL') resolve();
          else reject(new Error(`The child ended with ${code}.`));
        });
      });
    try {
      const whole = path.join(folder, 'whole');
      const began = Date.now();
      await run(whole);
      const duration = Date.now() - began;
      const killed = path.join(folder, 'killed');
      for (let i = 0; i < repeats; i++) {
        await run(killed, Math.random() * (duration / 2));
        // What is there after a kill is right; what is not right is not there.
        const { embeddings, worker } = await open(planes, 0, folderStore(killed));
        const ready = await Promise.all(Array.from({ length: planes }, (_, z) => embeddings.isReady({ plane: z })));
        assert.equal(worker.encoded.length, 0);
        if (ready.every(Boolean)) rmSync(killed, { recursive: true });
      }
      await run(killed);
      const [expected, found] = [folderStore(whole), folderStore(killed)];
      assert.deepEqual(await listKeys(found), await listKeys(expected));
      for (const key of await listKeys(expected))
        assert.ok(Buffer.from((await found.get(key))!).equals((await expected.get(key))!), key);
    } finally {
      rmSync(folder, { recursive: true });
      rmSync(script);
    }
  });
});
