import { SamError } from '../errors.js';
import type { DecodedMasks, Embedding, MaskCandidates } from '../model/sam-tensors.js';
import type { Progress, TaskOptions } from '../task.js';
import type { SentEmbedding } from './call-arguments.js';
import type { Channel } from './channel.js';
import { type Connection, type ConnectionOptions, connect } from './connection.js';
import { PROTOCOL, type SamWorker, type WorkerInfo } from './sam-worker.js';

export interface RemoteOptions extends Pick<ConnectionOptions, 'silence'> {
  /** The worker computes with another device from now on; `info.note` says why. */
  readonly onChange?: (info: WorkerInfo) => void;
}

/** The client's end of a connection: a `SamWorker` that lives elsewhere (see served.ts). */
export async function remoteWorker(channel: Channel, { onChange, ...options }: RemoteOptions = {}): Promise<SamWorker> {
  const progress = new Map<number, (progress: Progress) => void>();
  const api = {
    async progress(task: number, step: Progress) {
      progress.get(task)?.(step);
    },
    async changed(info: WorkerInfo) {
      onChange?.(info);
    },
  };
  const connection = await connect(channel, api, options);
  const worker = new RemoteWorker(connection, progress);
  try {
    const { protocol } = await worker.info();
    if (protocol !== PROTOCOL)
      throw new SamError(
        'unsupported',
        `The worker speaks protocol ${protocol}, this program ${PROTOCOL}: install the same version on both sides.`,
      );
  } catch (error) {
    await worker.close();
    throw error;
  }
  return worker;
}

class RemoteWorker implements SamWorker {
  private lastTask = 0;
  /** Ids of embeddings the other side is believed to hold. */
  private readonly known = new Set<string>();

  constructor(
    private readonly connection: Connection,
    private readonly progress: Map<number, (progress: Progress) => void>,
  ) {}

  info() {
    return this.connection.call<WorkerInfo>('info');
  }

  async load(...[model, options]: Parameters<SamWorker['load']>) {
    await this.task('load', [model], options);
  }

  async encode(...[model, image, options = {}]: Parameters<SamWorker['encode']>) {
    const { early } = options;
    const embedding = await this.task<Embedding>('encode', [model, image, { early }], options);
    this.known.add(embedding.id);
    return embedding;
  }

  decode(...[model, embedding, prompts, options = {}]: Parameters<SamWorker['decode']>) {
    return this.onEmbedding<DecodedMasks>('decode', model, embedding, prompts, options);
  }

  decodeCandidates(...[model, embedding, prompts, options]: Parameters<SamWorker['decodeCandidates']>) {
    return this.onEmbedding<MaskCandidates>('decodeCandidates', model, embedding, prompts, options);
  }

  instanceMaps(...[model, embedding, image, options]: Parameters<SamWorker['instanceMaps']>) {
    const { early } = embedding;
    return this.withEmbedding(embedding, (sent) =>
      this.task('instanceMaps', [model, sent.features ? { ...sent, early } : sent, image], options),
    ) as ReturnType<SamWorker['instanceMaps']>;
  }

  async close() {
    this.connection.close();
  }

  /** A task about an embedding; of its options, those that can be sent are. */
  private onEmbedding<T>(name: string, model: string, embedding: Embedding, input: unknown, options: TaskOptions) {
    const { signal: _, onProgress: __, ...sent } = options;
    return this.withEmbedding(embedding, (known) => this.task<T>(name, [model, known, input, sent], options));
  }

  /** Names the embedding, and sends it only if the other side does not (any longer) know it. */
  private async withEmbedding<T>(embedding: Embedding, call: (sent: SentEmbedding) => Promise<T>): Promise<T> {
    const { features, early: _, ...named } = embedding;
    if (this.known.has(embedding.id)) {
      try {
        return await call(named);
      } catch (error) {
        if (!(error instanceof SamError) || error.code !== 'no_embedding') throw error;
      }
    }
    const result = await call({ ...named, features });
    this.known.add(embedding.id);
    return result;
  }

  private async task<T>(name: string, args: unknown[], { signal, onProgress }: TaskOptions = {}): Promise<T> {
    const cancelled = () => new SamError('cancelled', 'Cancelled.', { cause: signal?.reason });
    if (signal?.aborted) throw cancelled();
    const task = ++this.lastTask;
    if (onProgress) this.progress.set(task, onProgress);
    let stop = () => {};
    const aborted = new Promise<never>((_, reject) => {
      stop = () => {
        void this.connection.tell('cancel', task);
        reject(cancelled());
      };
    });
    signal?.addEventListener('abort', stop, { once: true });
    try {
      return await Promise.race([this.connection.call<T>(name, task, ...args), aborted]);
    } finally {
      signal?.removeEventListener('abort', stop);
      this.progress.delete(task);
    }
  }
}
