import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { DEFAULT_MODEL, registerModel } from '../../src/model/registry.js';
import { startHyphaWorker } from '../../src/worker/hosts/hypha-server.js';
import { openSocketInNode } from '../../src/worker/hosts/websocket-client.js';
import { startWorkerServer } from '../../src/worker/hosts/websocket-server.js';
import { referenceResults, workerContract } from '../contracts/worker.js';
import { brightWorker } from '../support/bright-worker.js';
import { bundleForBrowser } from '../support/browser.js';
import { type ContractsSite, contractsSite } from '../support/contracts-site.js';
import { docCode, linesOf } from '../support/doc-code.js';
import { hyphaHub } from '../support/hypha-hub.js';
import { diskImage } from '../support/real-worker.js';
import { checkVolumeLabels, writeVolume } from '../support/small-volume.js';
import { TINY_MODEL } from '../support/tiny-model.js';
import type { ContractsPage } from './pages/contracts.js';

describe('in a page', function () {
  this.timeout(120_000);
  let site: ContractsSite;
  before(async () => {
    site = await contractsSite();
  });
  after(() => site?.close());

  workerContract('a web worker', async () => site.workerOf(await site.open()), { tolerance: 2e-3, timeout: 120_000 });

  it('the web worker says which build runs, with threads where the page may have them', async () => {
    for (const isolated of [true, false]) {
      const page = await site.open(isolated);
      const worker = await site.workerOf(page);
      await worker.load(TINY_MODEL);
      const { name, runtime, provider, note } = await worker.info();
      assert.equal(name, 'web worker');
      assert.match(runtime, /^onnxruntime-web 1\./);
      if (isolated) assert.match(provider, /^(webgpu|wasm \(simd, ([2-8] threads|1 thread)\))$/);
      else {
        assert.match(provider, /^(webgpu|wasm \(simd, 1 thread\))$/);
        assert.match(note ?? 'webgpu', /not cross-origin isolated, so there is one thread|webgpu/);
      }
      await worker.close();
      await page.close();
    }
  });

  it('ending the web worker in the middle of its work rejects what is pending, and a new one works', async () => {
    const page = await site.open();
    const result = await page.evaluate(
      (model) => (globalThis as unknown as { contracts: ContractsPage }).contracts.crash(model),
      TINY_MODEL,
    );
    assert.deepEqual(result, { codes: ['worker_lost', 'worker_lost', 'worker_lost'], again: 256 * 64 * 64 });
    await page.close();
  });

  it('a whole annotation is the script of docs/scripting.md, in under 20 lines (thorough)', async function () {
    this.timeout(600_000);
    const [, code] = docCode('docs/scripting.md', 'A whole annotation', 'js');
    assert.ok(linesOf(code) < 20);
    const entry = path.join(site.folder, 'annotate.mjs');
    writeFileSync(entry, code);
    await bundleForBrowser({ annotate: entry }, site.folder);
    const stack = path.join(site.folder, 'stack.tif');
    await writeVolume(stack);
    const page = await site.open();
    await page.evaluate(() => document.body.append(Object.assign(document.createElement('input'), { type: 'file' })));
    await page.setInputFiles('input', stack);
    const downloading = page.waitForEvent('download', { timeout: 600_000 });
    await page.addScriptTag({ url: '/annotate.js', type: 'module' });
    await checkVolumeLabels(await (await downloading).path());
    await page.close();
  });

  it('a worker process joins ImJoy as a plugin that others find by its name', async () => {
    const { worker } = await referenceResults();
    const image = diskImage(64, 10);
    const { features } = await worker.encode(TINY_MODEL.name, image);
    registerModel(TINY_MODEL);
    const server = await startWorkerServer({ worker });
    const page = await site.open();
    const answer = await page.evaluate(
      ([url, model, pixels]) =>
        (globalThis as unknown as { contracts: ContractsPage }).contracts.plugin(url, model, pixels),
      [`${server.url}&as=plugin`, TINY_MODEL.name, [...image.data]] as const,
    );
    assert.equal(answer.info.name, 'reference');
    assert.deepEqual(
      Float32Array.from(answer.features),
      features.data.filter((_, i) => i % 997 === 0),
    );
    assert.ok(answer.steps > 0);
    assert.match(answer.error, /no_embedding: .*call encode first/);
    await page.close();
    await server.close();
  });

  it('reaches the workers that a Hypha server knows (thorough)', async () => {
    const hub = await hyphaHub();
    const { server, token } = hub;
    const options = { server, token, worker: brightWorker(), openSocket: openSocketInNode };
    const workers = [await startHyphaWorker(options), await startHyphaWorker(options)];
    const image = diskImage(64, 10);
    const page = await site.open();
    const { name, sum } = await page.evaluate(
      ([address, model, pixels]) =>
        (globalThis as unknown as { contracts: ContractsPage }).contracts.remote(address, model, pixels),
      [hub.address(), DEFAULT_MODEL, [...image.data]] as const,
    );
    const { features } = await brightWorker().encode(DEFAULT_MODEL, image);
    assert.deepEqual(
      [name, sum],
      ['2 workers: bright, bright', features.data.reduce((total, value) => total + value, 0)],
    );
    await page.close();
    for (const worker of workers) worker.close();
    await hub.close();
  });

  it("the browser's own stores keep the contract", async () => {
    const page = await site.open();
    const { passed, failed } = await page.evaluate(() =>
      (globalThis as unknown as { contracts: ContractsPage }).contracts.stores(),
    );
    assert.deepEqual(failed, []);
    assert.equal(passed, 2 * 13, 'all tests of both stores');
    await page.close();
  });
});
