import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { PortLike } from '../../src/worker/channel.js';
import { bundleForNode } from './node-bundle.js';

/** `(func (export "f") (loop br 0))`: never returns, and lets nothing else run in its thread. */
const ENDLESS = [
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0, 0, 0, 0x01, 0x04, 0x01, 0x60, 0, 0, 0x03, 0x02, 0x01, 0],
  ...[0x07, 0x05, 0x01, 0x01, 0x66, 0, 0, 0x0a, 0x09, 0x01, 0x07, 0, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b],
];

const THREAD = `
  import { parentPort } from 'node:worker_threads';
  import { portChannel } from './src/worker/channel.js';
  import { serveWorker } from './src/worker/served.js';
  const hang = async () => new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(${JSON.stringify(ENDLESS)}))).exports.f();
  const port = {
    postMessage: (message, transfer) => parentPort.postMessage(message, transfer),
    addEventListener: (type, listener) => type === 'message' && parentPort.on(type, (data) => listener({ data })),
  };
  const info = async () => ({ name: 'stuck', protocol: 3, runtime: 'none', provider: 'wasm', loaded: [] });
  serveWorker(portChannel(port), { info, load: async () => undefined, encode: hang, decode: hang, close: async () => undefined });
`;

/** A thread that serves a worker, as a page's web worker does, and hangs in wasm at the first image or prompt. */
export async function threadThatHangs(): Promise<{ readonly port: PortLike; readonly ended: Promise<number> }> {
  const folder = path.resolve('dist', 'tests', `thread-${process.pid}`);
  const file = path.join(folder, 'thread.mjs');
  await bundleForNode({ code: THREAD }, file);
  const thread = new Worker(file);
  const ended = new Promise<number>((resolve) => thread.once('exit', resolve));
  void ended.then(() => rm(folder, { recursive: true }));
  const port: PortLike = {
    postMessage: (message, transfer) => thread.postMessage(message, transfer as ArrayBuffer[]),
    addEventListener(type, listener) {
      if (type === 'message') thread.on('message', (data) => listener({ data } as MessageEvent));
      if (type === 'error') thread.on('error', ({ message }) => listener({ message } as ErrorEvent));
    },
    terminate: () => void thread.terminate(),
  };
  return { port, ended };
}
