import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { adoptModel, DEFAULT_MODEL, forgetModel, resolveModel } from '../../src/model/registry.js';
import { startHyphaWorker } from '../../src/worker/hosts/hypha-server.js';
import { connectFromNode, openSocketInNode } from '../../src/worker/hosts/websocket-client.js';
import { formatHyphaAddress, parseHyphaAddress } from '../../src/worker/hypha/address.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { severalAtOnce } from '../../src/worker/several-at-once.js';
import { referenceResults, workerContract } from '../contracts/worker.js';
import { brightWorker } from '../support/bright-worker.js';
import { type HyphaHub, hyphaHub } from '../support/hypha-hub.js';
import { diskImage } from '../support/real-worker.js';
import { TINY_INSTANCES, TINY_MODEL } from '../support/tiny-model.js';

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function hub(port?: number): Promise<HyphaHub> {
  const started = await hyphaHub(port);
  ending.push(() => started.close());
  return started;
}

async function register(on: HyphaHub, worker: SamWorker, more: { service?: string; token?: string } = {}) {
  const { server, workspace, token } = on;
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const options = { server, workspace, token, openSocket: openSocketInNode, log };
  const registered = await startHyphaWorker({ ...options, worker, ...more });
  ending.push(() => registered.close());
  return { ...registered, lines };
}

async function connect(address: string): Promise<SamWorker> {
  const worker = await connectFromNode(address);
  ending.push(() => worker.close());
  return worker;
}

const lasting: (() => unknown)[] = [];
after(async () => {
  for (const end of lasting.reverse()) await end();
});
workerContract('a worker that a Hypha server knows', async () => {
  const { worker } = await referenceResults();
  const started = await hyphaHub();
  lasting.push(() => started.close());
  for (const model of [TINY_MODEL, TINY_INSTANCES]) {
    adoptModel(model);
    lasting.push(() => forgetModel(model.name));
  }
  const { server, token } = started;
  const registered = await startHyphaWorker({ server, token, worker, openSocket: openSocketInNode });
  lasting.push(() => registered.close());
  return connectFromNode(started.address());
});

describe('addresses of Hypha', () => {
  it('say server, workspace, service and token, and are made as they are read', () => {
    const token = 'a token/with=all';
    for (const [server, scheme] of [
      ['https://hypha.aicell.io', 'hypha'],
      ['http://127.0.0.1:9527', 'hypha'],
      ['http://192.168.1.7:9527', 'hypha+http'],
    ]) {
      const address = { server, workspace: 'ws-user-me', service: 'gpu', token };
      assert.ok(formatHyphaAddress(address).startsWith(`${scheme}://`));
      assert.deepEqual(parseHyphaAddress(formatHyphaAddress(address)), address);
    }
    assert.equal(parseHyphaAddress('hypha://hypha.aicell.io/mine').service, 'micro-sam-worker');
    for (const wrong of ['hypha://', 'hypha://host', 'hypha://host/a/b/c', 'hypha:///a/b?token=secret'])
      assert.throws(
        () => parseHyphaAddress(wrong),
        (error: Error & { code: string }) => error.code === 'invalid_argument' && !error.message.includes('secret'),
      );
  });
});

describe('workers on Hypha', () => {
  it('tell what is wrong: no server, another token, no such worker', async () => {
    const there = await hub();
    const address = there.address();
    await assert.rejects(connect(address), { code: 'worker_lost', message: /no worker micro-sam-worker.*start one/ });
    await register(there, brightWorker(), { service: 'other' });
    await assert.rejects(connect(address), { code: 'worker_lost', message: /there are other/ });
    await assert.rejects(connect(there.address('other').replace(/token=.*/, 'token=x')), /Permission denied/);
    await assert.rejects(register(there, brightWorker(), { token: 'x' }), { code: 'worker_lost' });
    await there.close();
    await assert.rejects(connect(address), { code: 'worker_lost', message: /may not run/ });
  });

  it('of one name share the work, and those that remain do that of one that goes', async () => {
    const there = await hub();
    const workers = [brightWorker(5), brightWorker(5), brightWorker(5)];
    const registered = await Promise.all(workers.map((worker) => register(there, worker)));
    const pool = await connect(there.address());
    assert.match((await pool.info()).name, /^3 workers/);
    let done = 0;
    const items = Array.from({ length: 12 }, async () => {
      const { id } = await pool.encode(DEFAULT_MODEL, diskImage(64));
      if (++done === 3) registered[0].close();
      return id;
    });
    const ids = await Promise.all(items);
    assert.equal(new Set(ids).size, 1);
    assert.ok(workers.every(({ encoded }) => encoded > 0));
    const total = workers.reduce((sum, { encoded }) => sum + encoded, 0);
    assert.ok(total >= 12 && total <= 12 + 4, `${total} computed for 12`); // what was in flight, once more
    assert.match((await pool.info()).name, /^2 workers/);
  });

  it('that come later join, with the models that are loaded, and a batch is spread over all there are', async () => {
    const there = await hub();
    const early = brightWorker(5);
    await register(there, early);
    await register(there, brightWorker(), { service: 'other' });
    const pool = await connect(there.address());
    await pool.load(resolveModel(DEFAULT_MODEL));
    const atOnce = () => pool.atOnce ?? 1;
    assert.equal(atOnce(), 1);
    const late = brightWorker(5);
    const loaded: string[] = [];
    await register(there, { ...late, load: async ({ name }) => void loaded.push(name) });
    while (atOnce() !== 2) await pause(5);
    assert.deepEqual(loaded, [DEFAULT_MODEL]);
    const image = async () => void (await pool.encode(DEFAULT_MODEL, diskImage(64)));
    await severalAtOnce(Array.from({ length: 8 }), atOnce, image);
    assert.ok(late.encoded > 0 && early.encoded > 0 && late.encoded + early.encoded === 8);
  });

  it('are there again when the server has been away, under the same address', async () => {
    const there = await hub();
    const { lines } = await register(there, brightWorker());
    const worker = await connect(there.address());
    const asked = worker.encode(DEFAULT_MODEL, diskImage(64)).then(
      () => 'answered',
      (error: { code: string }) => error.code,
    );
    there.drop();
    assert.match(await asked, /answered|worker_lost/);
    while (!lines.includes('Registered again.')) await pause(5);
    const again = await connect(there.address());
    assert.ok((await again.encode(DEFAULT_MODEL, diskImage(64))).features);
  });

  it('load for strangers what is registered, and no file of the machine', async () => {
    const there = await hub();
    const { worker: real } = await referenceResults();
    await register(there, real);
    const worker = await connect(there.address());
    const spec = resolveModel();
    await worker.load(spec);
    for (const url of ['/etc/hostname', 'file:///etc/hostname', 'data:,x', 'http://127.0.0.1:1/x'])
      await assert.rejects(worker.load({ ...spec, name: 'mine', encoder: { ...spec.encoder, url } }), {
        code: 'model_unavailable',
        message: /does not offer/,
      });
  });
});
