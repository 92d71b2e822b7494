import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import type { OrtRuntime } from '../../src/model/runtime.js';
import { tensor } from '../../src/ndimage/array.js';
import { createLocalWorker } from '../../src/worker/local.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';

/** ONNX Runtime once for all tests of a run. */
let runtime: Promise<OrtRuntime> | undefined;

export function sharedRuntime(): Promise<OrtRuntime> {
  runtime ??= createNodeRuntime({ threads: Number(process.env.THREADS ?? 2) });
  return runtime;
}

/** A worker in this thread with the real model of the npm package. */
export async function realWorker(name = 'local'): Promise<SamWorker> {
  return createLocalWorker(await sharedRuntime(), { name, fetchBytes: fetchBytesInNode });
}

/** A bright disk on black, as in micro-sam's own tests. */
export function diskImage(size = 256, radius = 20, at: readonly [number, number] = [size / 2, size / 2]) {
  const data = new Uint8Array(size * size * 3);
  for (let y = 0, i = 0; y < size; y++)
    for (let x = 0; x < size; x++, i += 3) if (Math.hypot(y - at[0], x - at[1]) <= radius) data.fill(255, i, i + 3);
  return tensor(data, [size, size, 3]);
}
