import { SamError } from '../errors.js';
import type { DecodedMasks, Embedding, MaskCandidates } from '../model/sam-tensors.js';
import type { TaskOptions } from '../task.js';
import type { SentEmbedding } from './call-arguments.js';
import type { Channel } from './channel.js';
import { Connection, type ConnectionOptions } from './connection.js';
import type { SamWorker, WorkerInfo } from './sam-worker.js';

export interface RemoteOptions extends ConnectionOptions {
  /** The worker computes with another device from now on; `info.note` says why. */
  readonly onChange?: (info: WorkerInfo) => void;
}

/**
 * The client's end of a connection: a `SamWorker` that lives elsewhere (see served.ts).
 *
 * @throws SamError `unsupported` if that one is of another version, `worker_lost` if it goes away before it says so
 */
export async function remoteWorker(channel: Channel, { onChange, ...options }: RemoteOptions = {}): Promise<SamWorker> {
  const connection = new Connection(channel, { changed: (_, info) => onChange?.(info as WorkerInfo) }, options);
  await connection.ready;
  return new RemoteWorker(connection);
}

class RemoteWorker implements SamWorker {
  /** Ids of embeddings the other side is believed to hold. */
  private readonly known = new Set<string>();

  constructor(private readonly connection: Connection) {}

  info() {
    return this.connection.call<WorkerInfo>('info');
  }

  async load(...[model, options]: Parameters<SamWorker['load']>) {
    await this.connection.call('load', [model], options);
  }

  async encode(...[model, image, options = {}]: Parameters<SamWorker['encode']>) {
    const { early } = options;
    const embedding = await this.connection.call<Embedding>('encode', [model, image, { early }], options);
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
      this.connection.call('instanceMaps', [model, sent.features ? { ...sent, early } : sent, image], options),
    ) as ReturnType<SamWorker['instanceMaps']>;
  }

  async close() {
    this.connection.close();
  }

  /** A task about an embedding; of its options, those that can be sent are. */
  private onEmbedding<T>(name: string, model: string, embedding: Embedding, input: unknown, options: TaskOptions) {
    const { signal: _, onProgress: __, ...sent } = options;
    return this.withEmbedding(embedding, (known) =>
      this.connection.call<T>(name, [model, known, input, sent], options),
    );
  }

  /** Names the embedding, and sends it only if the other side does not (any longer) know it. */
  private async withEmbedding<T>(embedding: Embedding, call: (sent: SentEmbedding) => Promise<T>): Promise<T> {
    const { features, levels, early: _, ...named } = embedding;
    if (this.known.has(embedding.id)) {
      try {
        return await call(named);
      } catch (error) {
        if (!(error instanceof SamError) || error.code !== 'no_embedding') throw error;
      }
    }
    const result = await call({ ...named, features, ...(levels && { levels }) });
    this.known.add(embedding.id);
    return result;
  }
}
