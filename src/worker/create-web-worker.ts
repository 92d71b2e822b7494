import { type ConnectOptions, connectWorker } from './connect.js';
import type { SamWorker } from './sam-worker.js';

/**
 * A worker that runs the model in a web worker of this page. Closing it ends the web worker.
 *
 * @param script address of the package's `dist/plugin/worker.js`. The folders `ort` (ONNX Runtime's files) and `models` are
 *   expected beside the script's own; `?ort=` and `?models=` in the address name others.
 * @throws SamError `worker_lost` if it does not start
 */
export function createWebWorker(script: string | URL, options: ConnectOptions = {}): Promise<SamWorker> {
  return connectWorker(new Worker(script, { type: 'module', name: 'micro-sam' }), options);
}
