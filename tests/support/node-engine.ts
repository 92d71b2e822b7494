import type { EmbeddingSource } from '../../src/embeddings/embedding-source.js';
import { toImage } from '../../src/model/intensity.js';
import { fetchBytesInNode } from '../../src/model/node-runtime.js';
import type { Size, Tensor } from '../../src/ndimage/array.js';
import { createLocalWorker } from '../../src/worker/local.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { sharedRuntime } from './real-worker.js';

let shared: Promise<SamWorker> | undefined;

/** The real model in this process, opened once for all tests and benches that only compute; nobody closes it. */
export function nodeWorker(): Promise<SamWorker> {
  shared ??= sharedRuntime().then((runtime) => createLocalWorker(runtime, { fetchBytes: fetchBytesInNode }));
  return shared;
}

/** One untiled 2D image, encoded on first use. */
export function singleEmbedding(worker: SamWorker, model: string, pixels: Tensor): EmbeddingSource {
  const image = toImage(pixels);
  const size: Size = [image.shape[0], image.shape[1]];
  let encoded: ReturnType<SamWorker['encode']> | undefined;
  return {
    size,
    embedding() {
      encoded ??= worker.encode(model, image);
      return encoded;
    },
  };
}
