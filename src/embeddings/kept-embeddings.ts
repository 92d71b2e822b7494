import { asSamError, type SamError } from '../errors.js';
import { LruCache } from '../io/cache.js';
import type { Embedding } from '../model/sam-tensors.js';
import type { Tensor } from '../ndimage/array.js';
import { pause } from '../task.js';
import type { EmbeddingCache, Place } from './cache.js';
import { contentHash } from './content-hash.js';

/** Embeddings that were made: as many as fit in memory, and all in the cache on disk, where there is one. */
export class KeptEmbeddings {
  private readonly memory: LruCache<string, Embedding>;
  private writing: Promise<unknown> = Promise.resolve();
  /** Why the last one could not be written. */
  private failure?: SamError | undefined;

  /** @param bytes bound of those in memory */
  constructor(
    private readonly cache: EmbeddingCache | undefined,
    bytes: number,
  ) {
    this.memory = new LruCache(bytes);
  }

  /** From memory alone. */
  get(at: Place): Embedding | undefined {
    return this.memory.get(keyOf(at));
  }

  /** From memory or from disk, else encoded and kept; once for all who ask meanwhile. */
  load(at: Place, encode: () => Promise<Embedding>): Promise<Embedding> {
    return this.memory.load(keyOf(at), async () => {
      const value = (await this.cache?.get(at)) ?? this.write(at, await encode());
      return { value, bytes: bytesOf(value) };
    });
  }

  /** One that lacks early features, with those on disk, else encoded anew; it is known with them from then on. */
  async withEarly(at: Place, embedding: Embedding, encode: () => Promise<Embedding>): Promise<Embedding> {
    const early = await this.cache?.early(at);
    const whole = early ? { ...embedding, early } : this.write(at, await encode());
    this.memory.set(keyOf(at), whole, bytesOf(whole));
    return whole;
  }

  /** Whether it is in memory or, whole, on disk. */
  async has(at: Place): Promise<boolean> {
    return this.get(at) !== undefined || (await this.cache?.get(at)) !== undefined;
  }

  /** Resolves when all is on disk; rejects with why the last one is not. */
  async written(): Promise<void> {
    await this.writing;
    if (this.failure) throw this.failure;
  }

  /** Declares the cache on disk complete. */
  async finish(): Promise<void> {
    await this.written();
    await this.cache?.finish();
  }

  clear(): void {
    this.memory.clear();
  }

  /** Beside whoever waits for it: it is as good from memory. */
  private write(at: Place, embedding: Embedding): Embedding {
    const { cache } = this;
    if (!cache) return embedding;
    const write = pause()
      .then(() => cache.set(at, embedding))
      .then(
        () => {
          this.failure = undefined;
        },
        (error) => {
          this.failure = asSamError(error);
        },
      );
    this.writing = Promise.all([this.writing, write]);
    return embedding;
  }
}

/**
 * What decoders and workers know an embedding by. Of two with the same signature, say one from a file and one encoded
 * here, the content may differ.
 */
export async function idOf(signature: string, at: Place, { data }: Tensor<Float32Array>): Promise<string> {
  return `${signature}/${keyOf(at)}/${await contentHash(data)}`;
}

export function keyOf({ plane, tile }: Place): string {
  return `${plane}${tile === undefined ? '' : `/${tile}`}`;
}

function bytesOf({ features, early = {}, levels = [] }: Embedding): number {
  const others = [...Object.values(early), ...levels];
  return others.reduce((sum, { data }) => sum + data.byteLength, features.data.byteLength);
}
