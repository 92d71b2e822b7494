import type { EmbeddingSource } from '../embeddings/embedding-source.js';
import type { Following } from '../model/model-spec.js';
import type { SamWorker } from '../worker/sam-worker.js';

/** Enough to answer prompts. */
export interface PromptContext {
  readonly worker: Pick<SamWorker, 'decode'>;
  /** Name of the loaded model that made the embeddings. */
  readonly model: string;
  readonly embeddings: EmbeddingSource;
  /** z slice or time frame; 0 for a 2D image. */
  readonly plane: number;
}

export interface SegmentContext extends PromptContext {
  readonly worker: SamWorker;
  /** How the model wants objects to be followed through planes (`ModelSpec.following`). */
  readonly following?: Following;
}

/** All planes of an image. */
export type ImageContext = Omit<SegmentContext, 'plane'>;
