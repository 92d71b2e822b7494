import type { Store } from '../../io/store.js';
import { createNodeRuntime, fetchBytesInNode, type NodeRuntimeOptions } from '../../model/node-runtime.js';
import { createLocalWorker } from '../local.js';
import type { SamWorker } from '../sam-worker.js';
import { startWorkerServer, type WorkerServer, type WorkerServerOptions } from './websocket-server.js';

/** Models in a Node process: directly, and behind a WebSocket (`micro-sam worker`). */
export interface NodeWorkerOptions extends NodeRuntimeOptions {
  /** Where models loaded from the network are kept. */
  readonly store?: Store;
  readonly name?: string;
}

/** A worker in this thread, for the command line and scripts. */
export async function createNodeWorker(options: NodeWorkerOptions = {}): Promise<SamWorker> {
  const runtime = await createNodeRuntime(options);
  return createLocalWorker(runtime, {
    name: options.name ?? 'Node process',
    store: options.store,
    fetchBytes: fetchBytesInNode,
  });
}

/** A worker of this process's own, served until `close`, which also ends the worker. */
export async function startNodeWorker(
  options: NodeWorkerOptions & Omit<WorkerServerOptions, 'worker'> = {},
): Promise<WorkerServer> {
  const worker = await createNodeWorker(options);
  const server = await startWorkerServer({ ...options, worker });
  return {
    url: server.url,
    get clients() {
      return server.clients;
    },
    async close() {
      await server.close();
      await worker.close();
    },
  };
}
