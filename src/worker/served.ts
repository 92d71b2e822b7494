import { SamError } from '../errors.js';
import { LruEntries } from '../io/cache.js';
import type { EncodeOptions } from '../model/image-encoder.js';
import type { ModelSpec } from '../model/model-spec.js';
import type { Embedding } from '../model/sam-tensors.js';
import { candidateArguments, decodeArguments, embeddingArgument, imageArgument } from './call-arguments.js';
import { type Channel, giveAway } from './channel.js';
import { Connection, type Served } from './connection.js';
import { modelName, modelSpec } from './model-argument.js';
import type { SamWorker } from './sam-worker.js';

/**
 * The worker's end of a connection. Embeddings are kept for a while, so that a client names one instead of sending 4 MB with
 * every click; if it is gone, the client is asked to send it (`no_embedding`).
 */

/** Embeddings kept per client, the most recently used ones; 4 MB each. */
const KEPT = 16;

export interface ServeOptions {
  /** Throws for a model that the client may not have loaded; all are allowed if absent. */
  readonly offer?: (spec: ModelSpec) => Promise<void>;
}

export function serveWorker(channel: Channel, worker: SamWorker, { offer }: ServeOptions = {}): void {
  const kept = new LruEntries<string, Embedding>(KEPT);
  const keep = (embedding: Embedding) => {
    kept.set(embedding.id, embedding);
    return embedding;
  };
  const find = (sent: unknown): Embedding => {
    const { features, ...rest } = embeddingArgument(sent);
    const embedding = features ? { ...rest, features } : kept.get(rest.id);
    if (embedding) return keep(embedding);
    throw new SamError('no_embedding', `The worker no longer holds the embedding ${rest.id}; send it again.`);
  };

  /** A device that failed was replaced by another: the client may want to say so. */
  let provider = worker.info().then((info) => info.provider);
  provider.catch(() => undefined);
  const tellOfChange = async () => {
    const before = await provider.catch(() => undefined);
    const info = await worker.info().catch(() => undefined);
    if (info === undefined || info.provider === before) return;
    provider = Promise.resolve(info.provider);
    await connection.call('changed', [info]).catch(() => undefined);
  };
  const computing =
    (job: Served): Served =>
    async (...args) => {
      try {
        return await job(...args);
      } finally {
        void tellOfChange();
      }
    };

  const connection = new Connection(channel, {
    info: () => worker.info(),
    load: computing(async (task, model) => {
      const spec = modelSpec(model);
      await offer?.(spec);
      await worker.load(spec, task);
    }),
    encode: computing(async (task, model, image, asked) => {
      const early = (asked as EncodeOptions | undefined)?.early === true;
      return keep(await worker.encode(modelName(model), imageArgument(image), { early, ...task }));
    }),
    decode: computing(async (task, model, embedding, prompts, asked) => {
      const [checked, rest] = decodeArguments(prompts, asked);
      const decoded = await worker.decode(modelName(model), find(embedding), checked, { ...rest, ...task });
      giveAway(decoded.logits.buffer);
      return decoded;
    }),
    decodeCandidates: computing(async (task, model, embedding, prompts, asked) => {
      const [checked, rest] = candidateArguments(prompts, asked);
      return worker.decodeCandidates(modelName(model), find(embedding), checked, { ...rest, ...task });
    }),
    instanceMaps: computing(async (task, model, embedding, image) => {
      const whole = find(embedding);
      const found = await worker.instanceMaps(modelName(model), whole, imageArgument(image), task);
      // Maps are asked for once, and early features are large.
      const { early: _, ...rest } = whole;
      keep(rest);
      giveAway(found.maps.data.buffer);
      return found;
    }),
  });
  channel.onClose(() => kept.clear());
}
