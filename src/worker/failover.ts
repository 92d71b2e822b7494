import { asSamError, SamError } from '../errors.js';
import type { ModelSpec } from '../model/model-spec.js';
import type { SamWorker, WorkerInfo } from './sam-worker.js';

/**
 * Several places where the model could run, as one worker: the first that can be reached is used, and when it goes away
 * the next takes over in mid-request. Models are loaded again there; embeddings go with each request anyway. The last
 * place is started anew if it dies, but not for ever.
 */
export interface WorkerPlace {
  /** For messages, e.g. "the encoder process". */
  readonly title: string;
  connect(): Promise<SamWorker>;
}

export interface FailoverOptions {
  /** Told in plain words whenever another place takes over. */
  readonly onSwitch?: (message: string) => void;
}

/** How often one request may see the last place die. */
const RESTARTS = 2;

export function createFailoverWorker(places: readonly WorkerPlace[], options: FailoverOptions = {}): SamWorker {
  if (places.length === 0) throw new SamError('no_worker', 'There is no place where the model could run.');
  return new FailoverWorker(places, options);
}

class FailoverWorker implements SamWorker {
  private at = 0;
  private worker?: Promise<SamWorker>;
  private readonly models = new Map<string, ModelSpec>();
  private readonly notes: string[] = [];
  private closed = false;

  constructor(
    private readonly places: readonly WorkerPlace[],
    private readonly options: FailoverOptions,
  ) {}

  async info(): Promise<WorkerInfo> {
    const info = await this.use((worker) => worker.info());
    const note = [...this.notes, ...(info.note ? [info.note] : [])].join(' ');
    return { ...info, ...(note && { note }) };
  }

  async load(...[model, options]: Parameters<SamWorker['load']>) {
    await this.use((worker) => worker.load(model, options));
    this.models.set(model.name, model);
  }

  encode(...args: Parameters<SamWorker['encode']>) {
    return this.use((worker) => worker.encode(...args));
  }

  decode(...args: Parameters<SamWorker['decode']>) {
    return this.use((worker) => worker.decode(...args));
  }

  decodeCandidates(...args: Parameters<SamWorker['decodeCandidates']>) {
    return this.use((worker) => worker.decodeCandidates(...args));
  }

  async close(): Promise<void> {
    this.closed = true;
    await (await this.worker?.catch(() => undefined))?.close();
  }

  private async use<T>(job: (worker: SamWorker) => Promise<T>): Promise<T> {
    for (let restarts = 0; ; ) {
      if (this.closed) throw new SamError('no_worker', 'The worker was closed.');
      const worker = this.connected();
      try {
        return await job(await worker);
      } catch (thrown) {
        const error = asSamError(thrown);
        const gone = error.code === 'worker_lost' || error.code === 'no_worker';
        const last = this.at === this.places.length - 1;
        if (!gone || this.closed || (last && ++restarts > RESTARTS)) throw error;
        this.leave(worker, error);
      }
    }
  }

  private connected(): Promise<SamWorker> {
    this.worker ??= this.places[this.at].connect().then(async (worker) => {
      for (const model of this.models.values()) await worker.load(model);
      return worker;
    });
    return this.worker;
  }

  /** To the next place, unless another request has gone there already. */
  private leave(worker: Promise<SamWorker>, error: SamError): void {
    if (this.worker !== worker) return;
    this.worker = undefined;
    void worker.then((lost) => lost.close()).catch(() => undefined);
    const from = this.places[this.at].title;
    if (this.at < this.places.length - 1) this.at++;
    const to = this.places[this.at].title;
    const message =
      from === to
        ? `${from} stopped and was started again. ${error.message}`
        : `${from} is not available, ${to} has taken over. ${error.message}`;
    this.notes.splice(0, this.notes.length, message);
    this.options.onSwitch?.(message);
  }
}
