import { SamError } from '../errors.js';
import type { ModelSpec } from '../model/model-spec.js';
import { forwardWork, type Work } from './forward.js';
import type { SamWorker } from './sam-worker.js';

/**
 * A worker that may go away, with another that takes over: work that was lost in the middle is done again, and nobody
 * above notices but by the notice. There is no way back; connect anew for that.
 */
export interface FailoverOptions {
  /** Told once, in a sentence for people, when the fallback takes over. */
  readonly onNotice?: (text: string) => void;
}

/** @param fallback made when it is needed; a web worker costs memory */
export function failoverWorker(
  primary: SamWorker,
  fallback: () => Promise<SamWorker>,
  { onNotice }: FailoverOptions = {},
): SamWorker {
  let second: Promise<SamWorker> | undefined;
  let notice: string | undefined;
  let closed = false;
  const models = new Map<string, ModelSpec>();

  /** Makes the fallback once, with the models that were loaded. */
  const takeOver = (reason: string): Promise<SamWorker> => {
    second ??= (async () => {
      void primary.close().catch(() => undefined);
      const worker = await fallback();
      const { name } = await worker.info();
      notice = `The worker went away (${reason.replace(/\.$/, '')}); its work goes on in the ${name}.`;
      onNotice?.(notice);
      return worker;
    })();
    // A fallback that could not be made may be tried again.
    second.catch(() => {
      second = undefined;
    });
    return second;
  };

  async function run<T>(job: (worker: SamWorker) => Promise<T>, { model, options }: Partial<Work> = {}): Promise<T> {
    if (closed) throw new SamError('no_worker', 'The worker is closed.');
    let reason = 'it was lost';
    if (!second) {
      try {
        return await job(primary);
      } catch (error) {
        if (!(error instanceof SamError) || error.code !== 'worker_lost' || closed) throw error;
        reason = error.message;
      }
    }
    const worker = await takeOver(reason);
    const spec = model === undefined ? undefined : models.get(model);
    if (spec) await worker.load(spec, options);
    return job(worker);
  }

  return {
    async info() {
      const info = await run((worker) => worker.info());
      return { ...info, note: [notice, info.note].filter(Boolean).join(' ') || undefined };
    },
    load: async (model, options) => {
      await run((worker) => worker.load(model, options));
      models.set(model.name, model);
    },
    ...forwardWork(run),
    async close() {
      closed = true;
      await Promise.all([primary.close(), second?.then((worker) => worker.close()).catch(() => undefined)]);
    },
  };
}
