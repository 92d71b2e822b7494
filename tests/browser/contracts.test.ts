import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { WebSocketServer } from 'ws';
import { registerModel } from '../../src/model/registry.js';
import { type SocketLike, socketChannel } from '../../src/worker/channel.js';
import { startWorkerServer } from '../../src/worker/hosts/websocket-server.js';
import { remoteWorker } from '../../src/worker/remote.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { referenceResults, workerContract } from '../contracts/worker.js';
import { bundleForBrowser, launchBrowser, type Site, serveFolders } from '../support/browser.js';
import { diskImage } from '../support/real-worker.js';
import { buildOnce } from '../support/start-server.js';
import { TINY_MODEL } from '../support/tiny-model.js';
import type { ContractsPage } from './pages/contracts.js';

const FOLDER = path.join('dist', 'tests', `contracts-${process.pid}`);
const HTML = `<!doctype html><link rel="icon" href="data:," />
<script src="/mocha/mocha.js"></script><script src="/host/imjoy-core.min.js"></script><script type="module" src="/contracts.js"></script>`;

let browser: Browser;
let site: Site;
const listening: WebSocketServer[] = [];

/** @param isolated with the headers that allow threads */
async function open(isolated = true): Promise<Page> {
  const page = await browser.newPage();
  if (!isolated)
    await page.route('**/*', async (route) => {
      const response = await route.fetch();
      const headers = Object.entries(response.headers()).filter(([name]) => !name.startsWith('cross-origin-'));
      await route.fulfill({ response, headers: Object.fromEntries(headers) });
    });
  await page.goto(`${site.url}index.html`);
  await page.waitForFunction(() => document.title === 'ready');
  return page;
}

/** The web worker of a page, through the page and a socket: Node's assertions see every byte of it. */
async function workerOf(page: Page): Promise<SamWorker> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 1 << 30 });
  listening.push(server);
  await once(server, 'listening');
  const connected = once(server, 'connection');
  const address = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const served = page.evaluate(
    (url) => (globalThis as unknown as { contracts: ContractsPage }).contracts.serve(url),
    address,
  );
  const [socket] = await connected;
  const worker = await remoteWorker(socketChannel(socket as SocketLike));
  await served;
  return worker;
}

describe('in a page', function () {
  this.timeout(120_000);
  before(async () => {
    mkdirSync(FOLDER, { recursive: true });
    writeFileSync(path.join(FOLDER, 'index.html'), HTML);
    await Promise.all([buildOnce(), bundleForBrowser({ contracts: 'tests/browser/pages/contracts.ts' }, FOLDER)]);
    [browser, site] = await Promise.all([
      launchBrowser(),
      serveFolders([
        ['/mocha/', 'node_modules/mocha'],
        ['/', FOLDER],
        ['/', 'dist'],
      ]),
    ]);
  });

  after(async () => {
    await browser?.close();
    await site?.close();
    for (const server of listening) server.close();
    rmSync(FOLDER, { recursive: true, force: true });
  });

  workerContract('a web worker', async () => workerOf(await open()), { tolerance: 2e-3, timeout: 120_000 });

  it('the web worker says which build runs, with threads where the page may have them', async () => {
    for (const isolated of [true, false]) {
      const page = await open(isolated);
      const worker = await workerOf(page);
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
    const page = await open();
    const result = await page.evaluate(
      (model) => (globalThis as unknown as { contracts: ContractsPage }).contracts.crash(model),
      TINY_MODEL,
    );
    assert.deepEqual(result, { codes: ['worker_lost', 'worker_lost', 'worker_lost'], again: 256 * 64 * 64 });
    await page.close();
  });

  it('a worker process joins ImJoy as a plugin that others find by its name', async () => {
    const { worker } = await referenceResults();
    const image = diskImage(64, 10);
    const { features } = await worker.encode(TINY_MODEL.name, image);
    registerModel(TINY_MODEL);
    const server = await startWorkerServer({ worker });
    const page = await open();
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

  it("the browser's own stores keep the contract", async () => {
    const page = await open();
    const { passed, failed } = await page.evaluate(() =>
      (globalThis as unknown as { contracts: ContractsPage }).contracts.stores(),
    );
    assert.deepEqual(failed, []);
    assert.equal(passed, 2 * 11, 'all tests of both stores');
    await page.close();
  });
});
