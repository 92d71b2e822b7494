import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { nodeService } from '../../src/app/node-service.js';
import { HyphaEndpoint } from '../../src/cli/serve/hypha-endpoint.js';
import { fromRpcArray, toRpcArray } from '../../src/io/rpc-array.js';
import { openSocketInNode } from '../../src/worker/hosts/websocket-client.js';
import { HyphaClient } from '../../src/worker/hypha/client.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { brightWorker } from '../support/bright-worker.js';
import { launchBrowser } from '../support/browser.js';
import { existingVenv, HYPHA_PACKAGES, runPythonBeside } from '../support/python.js';
import { serveSockets } from '../support/socket-server.js';
import { buildOnce, startServer } from '../support/start-server.js';
import { atMost, type Figure, median } from './figure.js';

/**
 * What a call of the service costs beside its work: in the page through ImJoy, and over a WebSocket from Node and from Python
 * (where the integration tests have made an environment for it); and an image of 64 MB there and labels of 64 MB back, against as
 * much by a bare WebSocket: by the clock and, where all ends are one process, by its processor time, which other work on the
 * machine leaves as it is.
 */
export default async (): Promise<Figure[]> => [...(await overWebSocket()), ...(await inPage())];

const CALLS = 200;
const SERVICE = { id: '*/micro-sam:micro-sam' };
/** Of an image of float32, and of its labels. */
const SIDE = 4096;
const LARGE = 4 * SIDE ** 2;

/** What a model would do is left out: an array comes in, as the service takes it, and labels made before go out as its own do. */
function labelsOf(image: unknown) {
  const { shape } = fromRpcArray(image);
  return toRpcArray({ data: LABELS, shape });
}

const LABELS = Uint32Array.from({ length: SIDE ** 2 }, (_, p) => p >> 10);

/** Milliseconds, and those of the processor in this process. */
async function timed(work: () => Promise<unknown>) {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return { ms: performance.now() - start, ofProcessor: (user + system) / 1000 };
}

async function calls(call: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < CALLS; i++) times.push((await timed(call)).ms);
  return median(times.slice(CALLS / 4));
}

async function overWebSocket(): Promise<Figure[]> {
  const token = 'a token of the bench';
  const open = () => ({ ...nodeService(brightWorker()), labels_of: async (image: unknown) => labelsOf(image) });
  const server = await serveSockets([new HyphaEndpoint({ token, open, log: () => undefined })], token);
  const address = `http://127.0.0.1:${server.port}`;
  const client = await HyphaClient.connect({ server: address, token, openSocket: openSocketInNode });
  const bare = await bareSocket();
  const pixels = new Uint8Array(LARGE);
  const image = { _rtype: 'ndarray', _rvalue: pixels, _rshape: [SIDE, SIDE], _rdtype: 'float32' };
  const ratios: number[] = [];
  const ofProcessor: number[] = [];
  for (let i = 0; i < 9; i++) {
    const there = await timed(() => bare.thereAndBack(pixels));
    const labels = await timed(() => client.call(SERVICE, 'labels_of', image));
    ratios.push(labels.ms / there.ms);
    ofProcessor.push(labels.ofProcessor / there.ofProcessor);
  }
  const node = await calls(() => client.call(SERVICE, 'get_settings'));
  client.close();
  const python = existingVenv(HYPHA_PACKAGES);
  const line = python ? (await runPythonBeside(python, 'rpc_bench.py', address, token, bare.address)).at(-1)! : '';
  const [ms = Number.NaN, ratio = Number.NaN] = line.split(' ').map(Number);
  bare.close();
  await server.close();
  return [
    atMost('rpc_call_from_node_ms', node, 'ms', 5),
    atMost('rpc_64_mb_over_bare', median(ratios), 'ratio', 2),
    atMost('rpc_64_mb_processor_over_bare', median(ofProcessor), 'ratio', 2),
    ...(python
      ? [atMost('rpc_call_from_python_ms', ms, 'ms', 5), atMost('rpc_64_mb_from_python_over_bare', ratio, 'ratio', 2)]
      : []),
  ];
}

async function bareSocket() {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, maxPayload: 2 * LARGE });
  await once(server, 'listening');
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
  const address = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const socket = new WebSocket(address, { maxPayload: 2 * LARGE });
  await once(socket, 'open');
  return {
    address,
    async thereAndBack(bytes: Uint8Array) {
      const answer = once(socket, 'message');
      socket.send(bytes);
      await answer;
    },
    close() {
      socket.terminate();
      server.close();
    },
  };
}

async function inPage(): Promise<Figure[]> {
  await buildOnce();
  const server = await startServer(['--port', '0', '--no-worker']);
  const browser = await launchBrowser();
  try {
    const annotator = await AnnotatorPage.open(browser, server.url);
    await annotator.ready();
    const times = await annotator.page.evaluate(async (count) => {
      const { api } = globalThis as unknown as { api: { getWindow(name: string): Promise<never> } };
      const sam: { get_settings(): Promise<unknown> } = await api.getWindow('micro-sam');
      const all: number[] = [];
      for (let i = 0; i < count; i++) {
        const start = performance.now();
        await sam.get_settings();
        all.push(performance.now() - start);
      }
      return all;
    }, CALLS);
    return [atMost('rpc_call_in_page_ms', median(times.slice(CALLS / 4)), 'ms', 2)];
  } finally {
    await browser.close();
    await server.stop();
  }
}
