import { SamError } from '../errors.js';
import type { ModelSpec } from '../model/model-spec.js';
import { forwardWork, type Work } from './forward.js';
import type { SamWorker } from './sam-worker.js';

/**
 * A worker that may go away, with others that take over: work that was lost in the middle is done again, and nobody above
 * notices but by the notice. There is no way back to the first; connect anew for that.
 */
export interface FailoverOptions {
  /** Told in a sentence for people when another takes over. */
  readonly onNotice?: (text: string) => void;
}

/** A request that has taken so many workers with it is refused: it is at fault, or there is no help. */
const TRIES = 2;

/** @param fallback made when it is needed, and again when that one goes away; a web worker costs memory */
export function failoverWorker(
  primary: SamWorker,
  fallback: () => Promise<SamWorker>,
  { onNotice }: FailoverOptions = {},
): SamWorker {
  let current = primary;
  let next: Promise<SamWorker> | undefined;
  let notice: string | undefined;
  let closed = false;
  const models = new Map<string, ModelSpec>();

  /** Puts a fallback in the place of a worker that is lost, once for all who have lost it. */
  const replace = (lost: SamWorker, reason: string): Promise<SamWorker> => {
    if (lost !== current) return Promise.resolve(current);
    next ??= (async () => {
      void lost.close().catch(() => undefined);
      const worker = await fallback();
      const { name } = await worker.info();
      current = worker;
      notice = `The worker went away (${reason.replace(/\.$/, '')}); its work goes on in the ${name}.`;
      onNotice?.(notice);
      return worker;
    })().finally(() => {
      next = undefined; // one that could not be made may be tried again
    });
    return next;
  };

  async function run<T>(job: (worker: SamWorker) => Promise<T>, { model, options }: Partial<Work> = {}): Promise<T> {
    for (let tries = 1; ; tries++) {
      if (closed) throw new SamError('no_worker', 'The worker is closed.');
      const worker = current;
      try {
        const spec = model === undefined || worker === primary ? undefined : models.get(model);
        if (spec) await worker.load(spec, options);
        return await job(worker);
      } catch (error) {
        if (!(error instanceof SamError) || error.code !== 'worker_lost' || closed || error.details?.givenUp)
          throw error;
        const replacing = replace(worker, error.message);
        if (tries < TRIES) await replacing;
        else {
          replacing.catch(() => undefined); // for whoever asks next
          throw givenUp(error);
        }
      }
    }
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
    get atOnce() {
      return current.atOnce ?? 1;
    },
    async close() {
      closed = true;
      const late = next?.then((worker) => worker.close()).catch(() => undefined);
      await Promise.all([...new Set([primary, current])].map((worker) => worker.close()));
      await late;
    },
  };
}

function givenUp(error: SamError): SamError {
  const text = `Two workers in turn went away at this request (${error.message.replace(/\.$/, '')}), so it is given up. Try a smaller image or model, or another worker.`;
  return new SamError('worker_lost', text, { cause: error, details: { givenUp: true } });
}
