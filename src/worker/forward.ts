import type { Embedding } from '../model/sam-tensors.js';
import type { TaskOptions } from '../task.js';
import type { SamWorker } from './sam-worker.js';

/**
 * The one place that passes a SamWorker's computing methods on, for those that only choose which worker does them:
 * a pool, a failover, one that is not there yet. A new method of SamWorker is a line here, one in `local.ts`, and one
 * each at the ends of a connection (`remote.ts`, `served.ts`).
 */
export interface Work {
  readonly model: string;
  /** The embedding that it is about. */
  readonly embedding?: Embedding;
  readonly options?: TaskOptions;
}

/** Has a job done by some worker, perhaps by several in turn. */
export type RunWork = <T>(job: (worker: SamWorker) => Promise<T>, work: Work) => Promise<T>;

export type ComputingMethods = Pick<SamWorker, 'encode' | 'decode' | 'decodeCandidates' | 'instanceMaps'>;

export function forwardWork(run: RunWork): ComputingMethods {
  return {
    encode: (model, image, options) => run((worker) => worker.encode(model, image, options), { model, options }),
    decode: (model, embedding, prompts, options) =>
      run((worker) => worker.decode(model, embedding, prompts, options), { model, embedding, options }),
    decodeCandidates: (model, embedding, prompts, options) =>
      run((worker) => worker.decodeCandidates(model, embedding, prompts, options), { model, embedding, options }),
    instanceMaps: (model, embedding, image, options) =>
      run((worker) => worker.instanceMaps(model, embedding, image, options), { model, embedding, options }),
  };
}

/** A worker that can be asked before it is there. */
export function whenConnected(connecting: Promise<SamWorker>): SamWorker {
  let connected: SamWorker | undefined;
  connecting.then(
    (worker) => {
      connected = worker;
    },
    () => undefined, // told to whoever asks
  );
  return {
    ...forwardWork(async (job) => job(await connecting)),
    info: async () => (await connecting).info(),
    load: async (...args) => (await connecting).load(...args),
    get atOnce() {
      return connected?.atOnce ?? 1;
    },
    close: async () => (await connecting.catch(() => undefined))?.close(),
  };
}
