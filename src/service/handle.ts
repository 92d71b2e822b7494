/** What stands for embeddings that a service keeps: `precompute_image_embeddings` gives it, other functions take it for the image. */
export interface EmbeddingsHandle {
  readonly embedding_id: string;
  /** [height, width]. */
  readonly shape: readonly number[];
  readonly planes: number;
  /** Of a plane; 1 if it is encoded whole. */
  readonly tiles: number;
  readonly model_type: string;
}

export function isHandle(value: unknown): value is EmbeddingsHandle {
  return typeof value === 'object' && value !== null && typeof (value as EmbeddingsHandle).embedding_id === 'string';
}
