import { SamError } from '../errors.js';
import { isKept } from '../model/kept-models.js';
import type { ModelSpec } from '../model/model-spec.js';
import { forwardWork, type Work } from '../worker/forward.js';
import type { SamWorker } from '../worker/sam-worker.js';

/**
 * A worker that can be exchanged for another while there is work: what was under way is done again by the new one, with
 * the models that were loaded. Models from files of this computer (`blob:` addresses), and those that the browser keeps, can only
 * be read inside the page, so they always run there.
 */
export interface SwitchableWorker extends SamWorker {
  /** The new worker takes over; the old one is closed. */
  use(worker: SamWorker): void;
}

/**
 * @param openInPage makes the page's own worker, when it is needed
 * @param onLoaded a worker has used a model for the first time: what it says of itself may be another now, since only a
 *   model shows whether WebGPU computes rightly and whether the decoder could be rewritten
 */
export function switchableWorker(
  first: SamWorker,
  openInPage: () => Promise<SamWorker>,
  onLoaded: () => void = () => undefined,
): SwitchableWorker {
  let current = first;
  let inPage: Promise<SamWorker> | undefined;
  const models = new Map<string, ModelSpec>();
  const loaded = new WeakMap<SamWorker, Set<string>>();

  /** Names of the models that a worker has used for us. */
  function known(worker: SamWorker): Set<string> {
    const names = loaded.get(worker) ?? new Set();
    loaded.set(worker, names);
    return names;
  }

  async function run<T>(
    job: (worker: SamWorker) => Promise<T>,
    { model, options: task }: Work,
    loading?: ModelSpec,
  ): Promise<T> {
    const spec = loading ?? models.get(model);
    if (spec && isLocal(spec)) {
      inPage ??= openInPage();
      return job(await inPage);
    }
    for (;;) {
      const worker = current;
      try {
        if (spec && !loading && !known(worker).has(model)) await worker.load(spec, { signal: task?.signal });
        const result = await job(worker);
        if (!known(worker).has(model)) {
          known(worker).add(model);
          onLoaded();
        }
        return result;
      } catch (error) {
        // Unless another worker was put in place meanwhile, this is how it is.
        if (task?.signal?.aborted || worker === current || !(error instanceof SamError)) throw error;
      }
    }
  }

  return {
    ...forwardWork(run),
    use(worker) {
      const old = current;
      current = worker;
      if (old !== worker) void old.close().catch(() => undefined);
    },
    get atOnce() {
      return current.atOnce ?? 1;
    },
    info: () => current.info(),
    async load(model, options) {
      await run((worker) => worker.load(model, options), { model: model.name, options }, model);
      models.set(model.name, model);
    },
    async close() {
      await Promise.all([current.close(), inPage?.then((worker) => worker.close()).catch(() => undefined)]);
    },
  };
}

export function isLocal({ encoder, decoder, instances }: ModelSpec): boolean {
  return [encoder, decoder, instances].some(
    (file) => file !== undefined && (file.url.startsWith('blob:') || isKept(file.url)),
  );
}
