import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import { WebSocket } from 'ws';
import { DEFAULT_MODEL } from '../../src/model/registry.js';
import { buildPrompts } from '../../src/model/transforms.js';
import { connectWorker } from '../../src/worker/connect.js';
import { startWorkerServer, type WorkerServer } from '../../src/worker/hosts/websocket-server.js';
import { PROTOCOL, type SamWorker } from '../../src/worker/sam-worker.js';
import { packMessage, unpackMessage } from '../../src/worker/wire.js';
import { referenceResults, workerContract } from '../contracts/worker.js';
import { seededRandom } from '../support/random.js';
import { diskImage } from '../support/real-worker.js';
import { connectByWs } from '../support/sockets.js';
import { startWorkerProcess } from '../support/worker-process.js';

const servers: WorkerServer[] = [];

async function serve(options: { maxPayload?: number; allowedOrigins?: string[] } = {}): Promise<WorkerServer> {
  const { worker } = await referenceResults();
  const server = await startWorkerServer({ worker, ...options });
  servers.push(server);
  return server;
}

/** Resolves with the HTTP status if the server refuses, with 101 if it lets us in. */
async function knock(url: string, headers: Record<string, string> = {}): Promise<number> {
  const socket = new WebSocket(url, { headers });
  const status = await new Promise<number>((resolve) => {
    socket.on('open', () => resolve(101));
    socket.on('unexpected-response', (_, response) => resolve(response.statusCode ?? 0));
    socket.on('error', () => {});
  });
  socket.terminate();
  return status;
}

async function untilClients(server: WorkerServer, count: number): Promise<void> {
  while (server.clients !== count) await new Promise((resolve) => setTimeout(resolve, 5));
}

after(() => Promise.all(servers.map((server) => server.close())));

workerContract('a worker behind a WebSocket', async () => connectByWs((await serve()).url));

describe('startWorkerServer', () => {
  it('listens on this machine only, and lets in who knows the token', async () => {
    const { url } = await serve();
    assert.match(url, /^ws:\/\/127\.0\.0\.1:\d+\/\?token=[0-9a-f]{32}$/);
    assert.equal(await knock(url), 101);
    assert.equal(await knock(url.replace(/token=.*/, 'token=guess')), 403);
    assert.equal(await knock(url.replace(/\?.*/, '')), 403);
    await assert.rejects(connectByWs(url.replace(/token=.*/, 'token=x')), (error: Error & { code: string }) => {
      assert.equal(error.code, 'worker_lost');
      assert.match(error.message, /token may be wrong/);
      return true;
    });
  });

  it('refuses pages of other origins', async () => {
    const open = await serve();
    assert.equal(await knock(open.url, { Origin: 'http://localhost:9000' }), 101);
    assert.equal(await knock(open.url, { Origin: 'https://evil.example' }), 403);
    assert.equal(await knock(open.url, { Origin: 'http://localhost.evil.example' }), 403);
    assert.equal(await knock(open.url, { Origin: 'null' }), 403);
    const named = await serve({ allowedOrigins: ['https://imjoy.io'] });
    assert.equal(await knock(named.url, { Origin: 'https://imjoy.io' }), 101);
    assert.equal(await knock(named.url, { Origin: 'http://localhost:9000' }), 403);
  });

  it('answers two clients at once', async () => {
    const { url } = await serve();
    const { embedding, worker } = await referenceResults();
    const clients = await Promise.all([connectByWs(url), connectByWs(url)]);
    const prompts = buildPrompts([{ box: [108, 108, 149, 149] }], embedding);
    const results = await Promise.all(clients.map((client) => client.decode(DEFAULT_MODEL, embedding, prompts)));
    const expected = await worker.decode(DEFAULT_MODEL, embedding, prompts);
    for (const result of results) assert.deepEqual(result, expected);
    await Promise.all(clients.map((client) => client.close()));
  });

  it('cancels the work of a client that dies, and goes on serving others', async () => {
    const server = await serve();
    const { embedding } = await referenceResults();
    let socket: WebSocket | undefined;
    const dying = await connectWorker(server.url, {
      openSocket: (address) => {
        socket = new WebSocket(address);
        return socket as never;
      },
    });
    const points = Array.from({ length: 400 }, () => ({ points: [{ at: [128, 128] as const, positive: true }] }));
    const work = dying.decodeCandidates(DEFAULT_MODEL, embedding, buildPrompts(points, embedding), {
      iouFloor: 2,
      stabilityFloor: 0,
      onProgress: ({ done }) => done > 8 && socket?.terminate(),
    });
    await assert.rejects(work, { code: 'worker_lost' });
    await untilClients(server, 0);
    const other = await connectByWs(server.url);
    const found = await other.decode(DEFAULT_MODEL, embedding, buildPrompts(points.slice(0, 1), embedding));
    assert.equal(found.rows.length, 1);
    await other.close();
  });

  it('drops clients that send garbage or too much, and no others', async () => {
    const server = await serve({ maxPayload: 1 << 16 });
    const good = await connectByWs(server.url);
    const random = seededRandom(5);
    const garbage: (Uint8Array | string)[] = [
      'text',
      new Uint8Array(0),
      Uint8Array.from({ length: 500 }, () => random() * 256),
      Uint8Array.of(255, 255, 255, 255, 1, 2, 3),
      packMessage({ type: 'x', data: new Float32Array(1000) }).slice(0, 600),
      new Uint8Array(1 << 20),
    ];
    for (const message of garbage) {
      const socket = new WebSocket(server.url);
      await once(socket, 'open');
      socket.send(message);
      await once(socket, 'close');
    }
    for (const message of [{ type: 'execute', code: { type: 'script', content: 'process.exit(1)' } }, { type: 7 }, {}])
      for (const first of [[], [{ type: 'hello', protocol: PROTOCOL }]]) {
        const socket = new WebSocket(server.url);
        await once(socket, 'open');
        for (const each of [...first, message]) socket.send(packMessage(each));
        await once(socket, 'close'); // the server's doing
      }
    await assert.rejects(good.encode(DEFAULT_MODEL, diskImage()), { code: 'worker_lost' });
    const next = await connectByWs(server.url);
    assert.equal((await next.info()).name, 'reference');
    await next.close();
  });

  it('lets go of clients that send malformed calls, and survives them all', async () => {
    const server = await serve();
    const random = seededRandom(8);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)];
    const values: unknown[] = [
      null,
      1,
      'info',
      [],
      [1, 2],
      {},
      { code: 'x' },
      [[]],
      { done: 1 },
      { hasOwnProperty: 1 },
    ];
    const types = ['hello', 'call', 'cancel', 'progress', 'value', 'error', 'ping', 'method', 7];
    const names = ['info', 'encode', 'cancel', 'load', '__proto__', 'constructor', 'toString', 'x'.repeat(200)];
    for (let i = 0; i < 100; i++) {
      const socket = new WebSocket(server.url);
      await once(socket, 'open');
      if (random() < 0.9) socket.send(packMessage({ type: 'hello', protocol: PROTOCOL }));
      const message = {
        type: pick(types),
        id: pick([1, 1, 2, 0, -1, 0.5, 2 ** 60, ...values]),
        name: pick([...names, ...values]),
        args: pick([[], [1, {}], ...values]),
        progress: pick(values),
        error: pick(values),
      };
      for (let twice = 0; twice < 2; twice++) socket.send(packMessage(message));
      socket.close();
      await once(socket, 'close');
    }
    const nested = `${'['.repeat(3000)}1${']'.repeat(3000)}`;
    for (const args of [nested, '{"__proto__":{"early":true}}', '{"constructor":1}']) {
      const header = `{"message":{"type":"call","id":1,"name":"info","args":[${args}]},"buffers":[]}`;
      const socket = new WebSocket(server.url);
      await once(socket, 'open');
      socket.send(packMessage({ type: 'hello', protocol: PROTOCOL }));
      socket.send(Buffer.concat([Buffer.from(Uint32Array.of(header.length).buffer), Buffer.from(header)]));
      await once(socket, 'close'); // the server's doing
    }
    const next = await connectByWs(server.url);
    assert.equal((await next.info()).name, 'reference');
    await next.close();
  });

  it('tells a client of another version so', async () => {
    const server = await serve();
    const socket = new WebSocket(server.url);
    socket.binaryType = 'arraybuffer';
    const first = once(socket, 'message');
    await once(socket, 'open');
    const [data] = await first;
    assert.deepEqual(unpackMessage(new Uint8Array(data as ArrayBuffer)), { type: 'hello', protocol: PROTOCOL });
    socket.send(packMessage({ type: 'hello', protocol: PROTOCOL + 1 }));
    await once(socket, 'close'); // the server's doing
    await untilClients(server, 0);
  });
});

/** imjoy-rpc trusts its peer; what is checked before is told in imjoy-peer.ts. */
describe('startWorkerServer for plugins of ImJoy', () => {
  it('lets go of clients that send malformed calls, and survives them all', async () => {
    const server = await serve();
    const random = seededRandom(8);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)];
    const callback = { _rtype: 'callback', _rtarget_id: 'x', _rvalue: 0 };
    const values: unknown[] = [
      null,
      1,
      'get_info',
      [],
      [1, 2],
      {},
      [callback, callback],
      [callback],
      [{ ...callback, _rvalue: 'x' }, callback],
      { _rtype: 'typedarray', _rdtype: 'float32', _rvalue: new ArrayBuffer(5) },
      { _rtype: 'typedarray', _rdtype: 'x' },
      { _rtype: 'orderedmap', _rvalue: [1] },
      { _rtype: 'interface', _rvalue: 7 },
      { hasOwnProperty: 1, a: 2 },
      { progress: { _rtype: 'memoryview', _rvalue: 3 } },
      { _rtype: 'blob' },
      { _rintf: {}, _rtype: 'ndarray' },
    ];
    const types = ['method', 'callback', 'setInterface', 'init', 'disposeObject', 'interfaceSetAsRemote', 'disconnect'];
    const names = ['get_info', 'encode', 'cancel', 'predict', '__proto__', 'constructor'];
    for (let i = 0; i < 200; i++) {
      const socket = new WebSocket(`${server.url}&as=plugin`);
      await once(socket, 'open');
      const message = {
        type: pick(types),
        name: pick([...names, ...values]),
        object_id: pick(['x', ...values]),
        id: pick([0, ...values]),
        args: pick(values),
        promise: pick([undefined, ...values]),
        api: pick(values),
      };
      socket.send(packMessage(message));
      socket.send(packMessage({ type: 'getInterface' }));
      socket.close();
      await once(socket, 'close');
    }
    const nested = `${'['.repeat(3000)}1${']'.repeat(3000)}`;
    const header = `{"message":{"type":"method","name":"get_info","object_id":"x","args":[${nested}]},"buffers":[]}`;
    const socket = new WebSocket(`${server.url}&as=plugin`);
    await once(socket, 'open');
    socket.send(Buffer.concat([Buffer.from(Uint32Array.of(header.length).buffer), Buffer.from(header)]));
    await once(socket, 'close'); // the server's doing
    const next = await connectByWs(server.url);
    assert.equal((await next.info()).name, 'reference');
    await next.close();
  });

  it('does not let a client reach past the functions it offers', async () => {
    const server = await serve();
    const socket = new WebSocket(`${server.url}&as=plugin`);
    socket.binaryType = 'arraybuffer';
    const answers: object[] = [];
    await once(socket, 'open');
    const described = new Promise<{ api: Record<string, { _rintf: string }> }>((resolve) =>
      socket.on('message', (data) => {
        const message = unpackMessage(new Uint8Array(data as ArrayBuffer)) as { type: string };
        if (message.type === 'setInterface') resolve(message as never);
        else answers.push(message);
      }),
    );
    socket.send(packMessage({ type: 'getInterface' }));
    const { api } = await described;
    const call = (name: string, args: unknown[]) => ({
      type: 'method',
      object_id: api.get_info._rintf,
      name,
      args,
      promise: [0, 1].map((id) => ({ _rtype: 'callback', _rtarget_id: 'x', _rvalue: id })),
    });
    socket.send(packMessage(call('constructor.constructor', ['return process'])));
    socket.send(packMessage(call('get_info', [])));
    while (!answers.some((m) => 'id' in m)) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(answers.filter((m) => 'id' in m).length, 1, 'only get_info was answered');
    socket.terminate();
  });
});

describe('a worker process', () => {
  it('survives its clients and, when it is killed, tells them at once; a new one can be started', async () => {
    const first = await startWorkerProcess();
    const client = await connectByWs(first.url);
    assert.match((await client.info()).runtime, /onnxruntime-node/);
    const pending = client.encode(DEFAULT_MODEL, diskImage(), {
      onProgress: () => first.process.kill('SIGKILL'), // encoding has begun
    });
    await assert.rejects(pending, { code: 'worker_lost' });
    await assert.rejects(client.info(), { code: 'worker_lost' });
    const second = await startWorkerProcess();
    const again = await connectByWs(second.url);
    assert.deepEqual((await again.info()).loaded, []);
    await again.close();
    await second.kill();
  });
});

describe('connectWorker over a WebSocket', () => {
  it('gives up a link that went silent, with a request pending', async () => {
    const server = await serve();
    const { worker } = await referenceResults();
    let silent = false;
    // A wire that can be cut without either end being told.
    const wire = createServer((near) => {
      const far = connectTcp(Number(new URL(server.url).port), '127.0.0.1');
      near.on('data', (bytes) => silent || far.write(bytes)).on('error', () => far.destroy());
      far.on('data', (bytes) => silent || near.write(bytes)).on('error', () => near.destroy());
      near.on('close', () => far.destroy());
    });
    wire.listen(0, '127.0.0.1');
    await once(wire, 'listening');
    const url = new URL(server.url);
    url.port = String((wire.address() as AddressInfo).port);
    const client = await connectWorker(url, { silence: 200, openSocket: (at) => new WebSocket(at) as never });
    await new Promise((resolve) => setTimeout(resolve, 400)); // silence without a request is nothing to complain about
    assert.equal((await client.info()).name, (await worker.info()).name);
    silent = true;
    await assert.rejects(client.info(), { code: 'worker_lost', message: /Nothing was heard/ });
    await assert.rejects(client.info(), { code: 'worker_lost' });
    wire.close();
  });

  it('waits for a worker that computes without a word, as long as it answers in between', async () => {
    const { worker } = await referenceResults();
    const server = await startWorkerServer({
      worker: {
        ...worker,
        async info() {
          await new Promise((resolve) => setTimeout(resolve, 600));
          return worker.info();
        },
      } as SamWorker,
    });
    servers.push(server);
    const client = await connectWorker(server.url, { silence: 200, openSocket: (at) => new WebSocket(at) as never });
    assert.equal((await client.info()).name, 'reference');
    await client.close();
  });

  it('refuses what is no address, and leaves nothing behind', async () => {
    for (const address of ['http://127.0.0.1:9', 'nonsense', 'ws://'])
      await assert.rejects(connectWorker(address, { timeout: 10 }), { code: 'invalid_argument' });
    await new Promise((resolve) => setTimeout(resolve, 30)); // an unhandled rejection would end the run
  });
});

describe('packMessage', () => {
  it('carries every buffer to its place, to the bit', () => {
    const random = seededRandom(3);
    const bytes = (n: number) => Uint8Array.from({ length: n }, () => random() * 256);
    const [a, b, c] = [bytes(4_000_001), bytes(0), bytes(7)];
    const message = { type: 'm', args: [{ x: a.buffer, deep: [null, b.buffer] }, 'ä', c.buffer], n: -1.5 };
    const received = unpackMessage(packMessage(message)) as typeof message;
    assert.deepEqual(new Uint8Array((received.args[0] as { x: ArrayBuffer }).x), a);
    assert.deepEqual(received, message);
  });

  it('refuses arrays of no known type, and bytes that are no whole number of elements', () => {
    for (const [message, from, to] of [
      [{ x: new Float32Array(2) }, 'float32', 'string3'],
      [{ x: new Uint8Array(10) }, '"uint8"', '"int16"'],
      [{ x: new Uint8Array(5) }, '"uint8"', '"int16"'],
    ] as const) {
      const bytes = Buffer.from(packMessage(message));
      const at = bytes.indexOf(from);
      bytes.write(to, at);
      const read = () => unpackMessage(new Uint8Array(bytes));
      if (message.x.byteLength === 10) assert.deepEqual(read(), { x: new Int16Array(5) });
      else assert.throws(read, { code: 'invalid_argument' });
    }
    assert.throws(() => packMessage({ x: new BigInt64Array(1) }), TypeError);
  });
});
