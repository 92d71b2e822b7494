import { SamError } from '../errors.js';
import type { EncodeOptions } from '../model/image-encoder.js';
import type { ModelSpec } from '../model/model-spec.js';
import type { Embedding } from '../model/sam-tensors.js';
import type { Progress, TaskOptions } from '../task.js';
import { candidateArguments, decodeArguments, embeddingArgument, imageArgument } from './call-arguments.js';
import { type Channel, giveAway } from './channel.js';
import { type Connection, connect, replyOf } from './connection.js';
import { modelName, modelSpec } from './model-argument.js';
import type { SamWorker } from './sam-worker.js';

/**
 * The worker's end of a connection. Every request carries a task number, by which the client cancels it and is told of
 * its progress; when the client goes away, all its tasks are cancelled. Embeddings are kept for a while, so that a client
 * names one instead of sending 4 MB with every click; if it is gone, the client is asked to send it (`no_embedding`).
 */

/** Embeddings kept per client, the most recently used ones; 4 MB each. */
const KEPT = 16;

export interface ServeOptions {
  /** Throws for a model that the client may not have loaded; all are allowed if absent. */
  readonly offer?: (spec: ModelSpec) => Promise<void>;
}

export function serveWorker(channel: Channel, worker: SamWorker, { offer }: ServeOptions = {}): Promise<Connection> {
  const tasks = new Map<number, AbortController>();
  const kept = new Map<string, Embedding>();
  const keep = (embedding: Embedding) => {
    kept.delete(embedding.id);
    kept.set(embedding.id, embedding);
    for (const oldest of kept.keys()) if (kept.size > KEPT) kept.delete(oldest);
    return embedding;
  };
  const find = (sent: unknown): Embedding => {
    const { features, ...rest } = embeddingArgument(sent);
    const embedding = features ? { ...rest, features } : kept.get(rest.id);
    if (embedding) return keep(embedding);
    throw new SamError('no_embedding', `The worker no longer holds the embedding ${rest.id}; send it again.`);
  };

  let connection: Promise<Connection> | undefined;
  const report = async (task: number, progress: Progress) => (await connection)?.tell('progress', task, progress);
  /** A device that failed was replaced by another: the client may want to say so. */
  let provider = worker.info().then((info) => info.provider);
  const tellOfChange = async () => {
    const before = await provider.catch(() => undefined);
    const info = await worker.info().catch(() => undefined);
    if (info === undefined || info.provider === before) return;
    provider = Promise.resolve(info.provider);
    await (await connection)?.tell('changed', info);
  };
  provider.catch(() => undefined);
  const run = (task: number, job: (options: TaskOptions) => Promise<unknown>) => {
    let reported: Promise<void> | undefined;
    const onProgress = (progress: Progress) => {
      reported = report(task, progress);
    };
    return replyOf(async () => {
      const controller = new AbortController();
      tasks.set(task, controller);
      try {
        return await job({ signal: controller.signal, onProgress });
      } finally {
        tasks.delete(task);
        void tellOfChange();
        await reported; // the result must not overtake the last step
      }
    });
  };

  const api = {
    info: () => replyOf(() => worker.info()),
    load: (task: number, model: unknown) =>
      run(task, async (options) => {
        const spec = modelSpec(model);
        await offer?.(spec);
        await worker.load(spec, options);
      }),
    encode: (task: number, model: unknown, image: unknown, asked?: EncodeOptions) =>
      run(task, async (options) => {
        const early = asked?.early === true;
        return keep(await worker.encode(modelName(model), imageArgument(image), { early, ...options }));
      }),
    decode: (task: number, model: unknown, embedding: unknown, prompts: unknown, asked: unknown) =>
      run(task, async (options) => {
        const [checked, rest] = decodeArguments(prompts, asked);
        const decoded = await worker.decode(modelName(model), find(embedding), checked, { ...rest, ...options });
        giveAway(decoded.logits.buffer);
        return decoded;
      }),
    decodeCandidates: (task: number, model: unknown, embedding: unknown, prompts: unknown, asked: unknown) =>
      run(task, async (options) => {
        const [checked, rest] = candidateArguments(prompts, asked);
        return worker.decodeCandidates(modelName(model), find(embedding), checked, { ...rest, ...options });
      }),
    instanceMaps: (task: number, model: unknown, embedding: unknown, image: unknown) =>
      run(task, async (options) => {
        const whole = find(embedding);
        const found = await worker.instanceMaps(modelName(model), whole, imageArgument(image), options);
        // Maps are asked for once, and early features are large.
        const { early: _, ...rest } = whole;
        keep(rest);
        giveAway(found.maps.data.buffer);
        return found;
      }),
    cancel: async (task: number) => tasks.get(task)?.abort(),
  };
  channel.onClose(() => {
    for (const controller of tasks.values()) controller.abort();
    kept.clear();
  });
  connection = connect(channel, api);
  return connection;
}
