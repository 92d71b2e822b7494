import { SamError } from '../../src/errors.js';
import type { ModelSpec } from '../../src/model/model-spec.js';
import type { TaskOptions } from '../../src/task.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';

/**
 * A worker that can be exchanged for another while there is work: what was under way is done again by the new one, with
 * the models that were loaded. Models from files of this computer (`blob:` addresses) can only be read inside the page,
 * so they always run there.
 */
export class SwitchableWorker implements SamWorker {
  private readonly models = new Map<string, ModelSpec>();
  private inPage?: Promise<SamWorker>;

  /** @param openInPage makes the page's own worker, when it is needed */
  constructor(
    private current: SamWorker,
    private readonly openInPage: () => Promise<SamWorker>,
  ) {}

  /** The new worker takes over; the old one is closed. */
  use(worker: SamWorker): void {
    const old = this.current;
    this.current = worker;
    if (old !== worker) void old.close().catch(() => undefined);
  }

  info: SamWorker['info'] = () => this.current.info();

  load: SamWorker['load'] = async (model, options) => {
    await this.run(model.name, model, options, (worker) => worker.load(model, options));
    this.models.set(model.name, model);
  };

  encode: SamWorker['encode'] = (model, image, options) =>
    this.run(model, undefined, options, (worker) => worker.encode(model, image, options));

  decode: SamWorker['decode'] = (model, embedding, prompts, options) =>
    this.run(model, undefined, options, (worker) => worker.decode(model, embedding, prompts, options));

  decodeCandidates: SamWorker['decodeCandidates'] = (model, embedding, prompts, options) =>
    this.run(model, undefined, options, (worker) => worker.decodeCandidates(model, embedding, prompts, options));

  async close(): Promise<void> {
    await Promise.all([this.current.close(), this.inPage?.then((worker) => worker.close()).catch(() => undefined)]);
  }

  private async run<T>(
    name: string,
    loading: ModelSpec | undefined,
    task: TaskOptions | undefined,
    job: (worker: SamWorker) => Promise<T>,
  ): Promise<T> {
    const spec = loading ?? this.models.get(name);
    if (spec && isLocal(spec)) {
      this.inPage ??= this.openInPage();
      return job(await this.inPage);
    }
    for (;;) {
      const worker = this.current;
      try {
        return await job(worker);
      } catch (error) {
        if (task?.signal?.aborted) throw error;
        if (worker === this.current || !(error instanceof SamError)) throw error;
        // Another worker was put in place meanwhile; it has to know the model first.
        if (spec && !loading) await this.current.load(spec, { signal: task?.signal });
      }
    }
  }
}

export function isLocal({ encoder, decoder }: ModelSpec): boolean {
  return encoder.url.startsWith('blob:') || decoder.url.startsWith('blob:');
}
