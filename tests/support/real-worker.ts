import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import type { OrtRuntime } from '../../src/model/runtime.js';
import { createLocalWorker } from '../../src/worker/local.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';

/** ONNX Runtime once for all tests of a run. */
let runtime: Promise<OrtRuntime> | undefined;

export function sharedRuntime(): Promise<OrtRuntime> {
  runtime ??= createNodeRuntime({ threads: 2 });
  return runtime;
}

/** A worker in this thread with the real model of the npm package. */
export async function realWorker(name = 'local'): Promise<SamWorker> {
  return createLocalWorker(await sharedRuntime(), { name, fetchBytes: fetchBytesInNode });
}
