import { once } from 'node:events';
import * as ort from 'onnxruntime-node';
import { WebSocket } from 'ws';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import { DEFAULT_MODEL, resolveModel } from '../../src/model/registry.js';
import { encoderTensor } from '../../src/model/transforms.js';
import { createLocalWorker } from '../../src/worker/local.js';
import { diskImage } from '../support/real-worker.js';
import { connectByWs } from '../support/sockets.js';
import { startWorkerProcess } from '../support/worker-process.js';
import { atMost, type Figure, median, reported } from './figure.js';

/** What our worker adds to ONNX Runtime, and what calls add to a WebSocket. Both sides of a ratio alternate. */
export default async (): Promise<Figure[]> => [...(await encoding()), ...(await memory()), ...(await transfer())];

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function encoding(): Promise<Figure[]> {
  const image = diskImage(512);
  const spec = resolveModel();
  const worker = createLocalWorker(await createNodeRuntime({ threads: 2 }), { fetchBytes: fetchBytesInNode });
  await worker.load(spec);
  const bytes = await fetchBytesInNode(spec.encoder.url);
  const open = (enableCpuMemArena: boolean) =>
    ort.InferenceSession.create(bytes, {
      intraOpNumThreads: 2,
      enableCpuMemArena,
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
  const sessions = { bare: await open(false), arena: await open(true) };
  const { data, dims } = encoderTensor(image, spec.encoderInput);
  const runs = {
    bare: () => sessions.bare.run({ [sessions.bare.inputNames[0]]: new ort.Tensor('float32', data, dims) }),
    arena: () => sessions.arena.run({ [sessions.arena.inputNames[0]]: new ort.Tensor('float32', data, dims) }),
    ours: () => worker.encode(DEFAULT_MODEL, image),
  };
  const times = { bare: [] as number[], arena: [] as number[], ours: [] as number[] };
  for (let i = 0; i < 10; i++)
    for (const kind of ['bare', 'ours', 'arena'] as const) {
      const time = await timed(runs[kind]);
      if (i > 0) times[kind].push(time); // the first is a warm-up
    }
  await sessions.bare.release();
  await sessions.arena.release();
  await worker.close();
  // Neighbours in time, so that what else runs on the machine slows both.
  const ratio = (kind: 'ours' | 'arena') => median(times[kind].map((time, i) => time / times.bare[i]));
  return [
    atMost('worker_encode_over_ort', ratio('ours'), 'ratio', 1.05),
    reported('encode_arena_over_none', ratio('arena'), 'ratio'),
    reported('worker_encode_ms', median(times.ours), 'ms'),
  ];
}

/** Of a fresh process that has loaded the model, encoded three images and answered a click. */
async function memory(): Promise<Figure[]> {
  const child = await startWorkerProcess({
    entry: `
      import { createNodeWorker } from './src/worker/hosts/node-worker.ts';
      import { buildPrompts } from './src/model/transforms.ts';
      const worker = await createNodeWorker({ threads: 2 });
      const image = { data: new Uint8Array(512 * 512 * 3).fill(90), shape: [512, 512, 3] };
      let embedding;
      for (let i = 0; i < 3; i++) embedding = await worker.encode('vit_t', image);
      await worker.decode('vit_t', embedding, buildPrompts([{ points: [{ at: [99, 99], positive: true }] }], embedding));
      console.log(process.memoryUsage().rss);`,
  });
  await child.kill();
  return [atMost('worker_resident_mb', Number(child.line) / 2 ** 20, 'MB', 600)];
}

/**
 * A 4 MB embedding from another process, through our worker and through a bare WebSocket that sends the same bytes. To
 * time the transfer alone the process computes the embedding once and hands out the same one.
 */
async function transfer(): Promise<Figure[]> {
  const child = await startWorkerProcess({
    entry: `
      import { WebSocketServer } from 'ws';
      import { createNodeWorker } from './src/worker/hosts/node-worker.ts';
      import { startWorkerServer } from './src/worker/hosts/websocket-server.ts';
      const worker = await createNodeWorker({ threads: 2 });
      const embedding = await worker.encode('vit_t', { data: new Uint8Array(192), shape: [8, 8, 3] });
      const { url } = await startWorkerServer({
        worker: { info: () => worker.info(), encode: async () => embedding },
      });
      const bare = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
      await new Promise((resolve) => bare.once('listening', resolve));
      bare.on('connection', (client) => client.on('message', () => client.send(embedding.features.data)));
      await worker.close();
      console.log(url + ' ws://127.0.0.1:' + bare.address().port);`,
  });
  try {
    const [url, bareUrl] = child.line.split(' ');
    const worker = await connectByWs(url);
    const image = { data: new Uint8Array(192), shape: [8, 8, 3] };
    const ours = () => worker.encode(DEFAULT_MODEL, image);
    const socket = new WebSocket(bareUrl);
    await once(socket, 'open');
    const bare = async () => {
      const answer = once(socket, 'message');
      socket.send('please');
      await answer;
    };
    const times = { bare: [] as number[], ours: [] as number[], empty: [] as number[] };
    for (let i = 0; i < 40; i++) {
      const [a, b, c] = [await timed(bare), await timed(ours), await timed(() => worker.info())];
      if (i < 5) continue; // code that is not yet compiled
      times.bare.push(a);
      times.ours.push(b);
      times.empty.push(c);
    }
    socket.terminate();
    await worker.close();
    return [
      atMost('embedding_transfer_over_ws', median(times.ours) / median(times.bare), 'ratio', 2),
      reported('embedding_transfer_ms', median(times.ours), 'ms'),
      atMost('worker_call_ms', median(times.empty), 'ms', 5),
    ];
  } finally {
    await child.kill();
  }
}
