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
  private readonly loaded = new WeakMap<SamWorker, Set<string>>();
  private inPage?: Promise<SamWorker>;

  /**
   * @param openInPage makes the page's own worker, when it is needed
   * @param onLoaded a worker has used a model for the first time: what it says of itself may be another now, since only a
   *   model shows whether WebGPU computes rightly and whether the decoder could be rewritten
   */
  constructor(
    private current: SamWorker,
    private readonly openInPage: () => Promise<SamWorker>,
    private readonly onLoaded: () => void = () => undefined,
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

  instanceMaps: SamWorker['instanceMaps'] = (model, embedding, image, options) =>
    this.run(model, undefined, options, (worker) => worker.instanceMaps(model, embedding, image, options));

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
        if (spec && !loading && !this.knows(worker).has(name)) await worker.load(spec, { signal: task?.signal });
        const result = await job(worker);
        if (!this.knows(worker).has(name)) {
          this.knows(worker).add(name);
          this.onLoaded();
        }
        return result;
      } catch (error) {
        // Unless another worker was put in place meanwhile, this is how it is.
        if (task?.signal?.aborted || worker === this.current || !(error instanceof SamError)) throw error;
      }
    }
  }

  /** Names of the models that a worker has used for us. */
  private knows(worker: SamWorker): Set<string> {
    const names = this.loaded.get(worker) ?? new Set();
    this.loaded.set(worker, names);
    return names;
  }
}

export function isLocal({ encoder, decoder, instances }: ModelSpec): boolean {
  return [encoder, decoder, instances].some((file) => file?.url.startsWith('blob:'));
}
