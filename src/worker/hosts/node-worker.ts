import type { Store } from '../../io/store.js';
import { isOneOf } from '../../items.js';
import { createNodeRuntime, fetchBytesInNode, type NodeRuntimeOptions } from '../../model/node-runtime.js';
import { createLocalWorker } from '../local.js';
import type { SamWorker, WorkerInfo } from '../sam-worker.js';
import { startWorkerServer, type WorkerServer, type WorkerServerOptions } from './websocket-server.js';

export const DEVICES = ['auto', 'cpu', 'cuda', 'webgpu', 'wasm'] as const;
export type Device = (typeof DEVICES)[number];

export function isDevice(name: string): name is Device {
  return isOneOf(DEVICES, name);
}

/** Models in a Node process: directly, and behind a WebSocket (`micro-sam worker`). */
export interface NodeWorkerOptions extends Omit<NodeRuntimeOptions, 'wasm' | 'providers'> {
  /** 'auto' (default) and 'cpu' are the same; where a graphics device does not work, the CPU does and `info` says why. */
  readonly device?: Device;
  /** Where models loaded from the network are kept. */
  readonly store?: Store;
  readonly name?: string;
}

/** A worker in this thread, for the command line and scripts. */
export async function createNodeWorker(options: NodeWorkerOptions = {}): Promise<SamWorker> {
  const { device = 'auto', threads } = options;
  const onGpu = device === 'cuda' || device === 'webgpu';
  const runtimes = [
    ...(onGpu ? [await createNodeRuntime({ threads, providers: [device] })] : []),
    await createNodeRuntime({ threads, wasm: device === 'wasm' }),
  ];
  return createLocalWorker(runtimes, {
    name: options.name ?? 'Node process',
    store: options.store,
    fetchBytes: fetchBytesInNode,
  });
}

/** A worker of this process's own, served until `close`, which also ends the worker. */
export async function startNodeWorker(
  options: NodeWorkerOptions & Omit<WorkerServerOptions, 'worker'> = {},
): Promise<WorkerServer & { readonly info: WorkerInfo }> {
  const worker = await createNodeWorker(options);
  const server = await startWorkerServer({ ...options, worker });
  return {
    info: await worker.info(),
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
