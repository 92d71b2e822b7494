import { opfsStore } from '../../io/stores/opfs.js';
import { createWebRuntimes, WEBGPU_USES } from '../../model/web-runtime.js';
import { portChannel } from '../channel.js';
import { createLocalWorker } from '../local.js';
import { serveWorker } from '../served.js';
import { workerScope } from './dedicated-worker.js';
import { fetchInWorker, workerFolder } from './worker-files.js';

/**
 * Entry point of the web worker's bundle. The files of ONNX Runtime and of the built-in model are expected in the folders
 * `ort` and `models` beside the bundle's own; `?ort=` and `?models=` in the worker's URL name others. `?webgpu=` is
 * 'hardware' (default), 'any' or 'off'.
 */
async function start(): Promise<void> {
  const channel = portChannel(workerScope); // first, so that no message is missed
  const { searchParams } = new URL(workerScope.location.href);
  const webgpu = WEBGPU_USES.find((use) => use === searchParams.get('webgpu'));
  const runtimes = await createWebRuntimes({ ortBase: workerFolder('ort'), webgpu });
  // Without a place for files (private windows, plain http) the browser's own HTTP cache has to do.
  const store = await opfsStore('micro-sam-models').catch(() => undefined);
  serveWorker(channel, createLocalWorker(runtimes, { name: 'web worker', store, fetchBytes: fetchInWorker }));
}

start().catch((error) => workerScope.reportError(error)); // reaches the page as the Worker's error event
