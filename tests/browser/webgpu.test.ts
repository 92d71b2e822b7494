import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';
import { resolveModel } from '../../src/model/registry.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { EMULATED_GPU, launchBrowser } from '../support/browser.js';
import { type ContractsSite, contractsSite } from '../support/contracts-site.js';
import { diskImage, realWorker } from '../support/real-worker.js';
import { type SelfTestVectors, selfTestVectors } from '../support/self-test-vectors.js';
import { startServer } from '../support/start-server.js';
import { SPARSE_ENCODER, TINY_MODEL } from '../support/tiny-model.js';

/**
 * The web worker on WebGPU, emulated on the processor by Chromium's SwiftShader. The real encoder and decoder take
 * minutes there; a small encoder goes the same way.
 */

describe('WebGPU (thorough)', function () {
  this.timeout(600_000); // busy machines emulate slowly
  let site: ContractsSite;
  let vectors: SelfTestVectors;

  before(async function () {
    site = await contractsSite(EMULATED_GPU);
    const page = await site.open();
    if (!(await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter())))) this.skip();
    await page.close();
    vectors = await selfTestVectors('sparse', SPARSE_ENCODER);
  });
  after(() => site?.close());

  /** The web worker with other values for its self-test. @returns the name of the script */
  async function workerWith(name: string, values: SelfTestVectors): Promise<string> {
    await build({
      entryPoints: { [name]: 'src/worker/hosts/web-worker.ts' },
      outdir: site.folder,
      bundle: true,
      format: 'esm',
      platform: 'browser',
      conditions: ['onnxruntime-web-use-extern-wasm'],
      external: ['fs', 'path'],
      logLevel: 'warning',
      plugins: [
        {
          name: 'other values',
          setup: ({ onLoad }) =>
            onLoad({ filter: /self-test-vectors\.json$/ }, () => ({
              contents: JSON.stringify(values),
              loader: 'json',
            })),
        },
      ],
    });
    return `${name}.js`;
  }

  const wrong = (values: SelfTestVectors): SelfTestVectors => ({
    ...values,
    features: values.features.map((value, k) => (k === 100 ? value + 0.01 : value)),
  });

  it('is not used where it is only emulated, and the worker says so', async () => {
    const page = await site.open();
    const worker = await site.workerOf(page);
    const { provider, note } = await worker.info();
    assert.match(provider, /^wasm/);
    assert.match(note ?? '', /WebGPU is only emulated/);
    await worker.close();
    await page.close();
  });

  it('passes the self-test, and encodes what the processor does', async () => {
    const model = {
      ...TINY_MODEL,
      name: 'sparse',
      encoder: {
        url: `data:application/octet-stream;base64,${Buffer.from(SPARSE_ENCODER).toString('base64')}`,
        sha256: vectors.sha256,
      },
    };
    const script = await workerWith('right', vectors);
    const page = await site.open();
    const worker = await site.workerOf(page, `${script}?webgpu=any`);
    await worker.load(model);
    const { provider, note } = await worker.info();
    assert.deepEqual([provider, note], ['webgpu', undefined]);
    const { features } = await worker.encode('sparse', diskImage());
    const reference = await realWorker();
    await reference.load(model);
    const wanted = await reference.encode('sparse', diskImage());
    const worst = features.data.reduce(
      (most, value, k) => Math.max(most, Math.abs(value - wanted.features.data[k])),
      0,
    );
    assert.ok(worst < 1e-4, `features differ by ${worst}`);
    assert.ok(wanted.features.data.some((value) => Math.abs(value) > 0.1));
    await reference.close();
    await worker.close();
    await page.close();
  });

  /** The annotator in a browser of its own, whose built-in model is the small one and whose worker is this script. */
  async function withAnnotator(script: string, use: (annotator: AnnotatorPage) => Promise<void>): Promise<void> {
    const { encoder } = resolveModel();
    const browser = await launchBrowser(EMULATED_GPU);
    const server = await startServer(['--port', '0', '--no-worker']);
    try {
      const page = await (await browser.newContext({ viewport: { width: 1400, height: 900 } })).newPage();
      // It has no early features for an instance decoder.
      await page.route('**/models/encoder.onnx', (route) => route.fulfill({ body: Buffer.from(SPARSE_ENCODER) }));
      await page.route('**/plugin/**/*.js', async (route) => {
        const response = await route.fetch();
        const body = (await response.text())
          .replaceAll(encoder.sha256!, vectors.sha256)
          .replaceAll(String(encoder.bytes), String(SPARSE_ENCODER.length))
          .replaceAll(/(instances|encoderDelta):\{url:"built-in:[^}]*\},?/g, '');
        await route.fulfill({ response, body });
      });
      const text = await readFile(path.join(site.folder, script), 'utf8');
      await page.route('**/plugin/worker.js*', async (route) =>
        route.fulfill({ response: await route.fetch(), body: `(${listenForLoss})();\n${text}` }),
      );
      await page.addInitScript(() => {
        const { Worker } = globalThis;
        globalThis.Worker = class extends Worker {
          constructor(script: string | URL, options?: WorkerOptions) {
            const address = new URL(script, document.baseURI);
            if (!address.searchParams.has('webgpu')) address.searchParams.set('webgpu', 'any');
            super(address, options);
          }
        };
      });
      const annotator = await AnnotatorPage.over(page, server.url);
      await annotator.until('the embedding', (state) => state.embedding === 'ready', 300);
      await use(annotator);
      // ONNX Runtime prints by itself what a lost device means to it.
      const ours = annotator.errors.filter((error) => !error.startsWith('failed to call OrtRun()'));
      assert.deepEqual(ours, []);
    } finally {
      await browser.close();
      await server.stop();
    }
  }

  const said = async (annotator: AnnotatorPage, wanted: RegExp) => {
    const panel = await annotator.panel();
    const source = wanted.source;
    await panel.waitForFunction((text) => new RegExp(text).test(document.body.textContent ?? ''), source);
  };
  const computes = async (annotator: AnnotatorPage) => (await (await annotator.panel()).textContent('footer')) ?? '';

  it('gives way to wasm when one value of the self-test is wrong, and the panel says why', async () => {
    await withAnnotator(await workerWith('wrong', wrong(vectors)), async (annotator) => {
      await said(annotator, /webgpu is not used: It failed its self-test \(features are off by 0\.01/);
      assert.match(await computes(annotator), /wasm/);
      await annotator.click([163, 105]);
      await annotator.until('a mask', (state) => state.prompts.length === 1 && state.task === null);
      await annotator.screenshot('webgpu-refused');
    });
  });

  const losses: Readonly<Record<string, (annotator: AnnotatorPage) => Promise<void>>> = {
    'is destroyed (long)': (annotator) =>
      annotator.page.evaluate(() => new BroadcastChannel('lose').postMessage('device')),
    'goes with the process of the graphics card (long)': async (annotator) => {
      const devtools = await annotator.page.context().browser()!.newBrowserCDPSession();
      await devtools.send('Browser.crashGpuProcess').catch(() => undefined); // it cannot answer
    },
    'takes its worker with it, which hangs (long)': (annotator) =>
      annotator.page.evaluate(() => new BroadcastChannel('lose').postMessage('worker')),
  };
  for (const [how, lose] of Object.entries(losses))
    it(`goes on with wasm when the device ${how}: nothing is lost, and the panel says so`, async () => {
      await withAnnotator(await workerWith('lost', vectors), async (annotator) => {
        assert.match(await computes(annotator), /webgpu/);
        await annotator.call('paint', [[20, 20]], { tool: 'brush', radius: 6 });
        await annotator.call('commit');
        const click = async (at: readonly [number, number], count: number) => {
          await annotator.click(at);
          const answered = await annotator.until(
            `an answer to ${count} prompts`,
            ({ prompts, tasks }) => prompts.length === count && tasks.length === 0,
            300,
          );
          assert.notEqual(answered.message?.level, 'error', answered.message?.text);
        };
        await click([163, 105], 1);
        const before = await annotator.labels('committed_objects');
        await lose(annotator);
        await click([400, 400], 2);
        await said(annotator, /the work goes on with wasm|its work goes on in the web worker/);
        assert.match(await computes(annotator), /wasm/);
        assert.deepEqual(await annotator.labels('committed_objects'), before);
        assert.ok(before.includes(1));
        await annotator.screenshot(`webgpu-lost-${how.split(' ')[1]}`);
      });
    });
});

/** Runs in the worker: its devices can be destroyed from the page, and it can be made to hang. */
function listenForLoss(): void {
  if (typeof GPUAdapter === 'undefined') return;
  const devices: { destroy(): void }[] = [];
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...args) {
    const device = await requestDevice.apply(this, args);
    devices.push(device);
    return device;
  };
  new BroadcastChannel('lose').onmessage = ({ data }) => {
    while (data === 'worker'); // for ever
    for (const device of devices) device.destroy();
  };
}
