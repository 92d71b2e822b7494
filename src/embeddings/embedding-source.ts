import type { EncoderInput, ObjectSizes } from '../model/model-spec.js';
import type { Embedding, InstanceMaps } from '../model/sam-tensors.js';
import type { Size, Tensor, YXYX } from '../ndimage/array.js';
import type { Tiling } from '../ndimage/blocking.js';
import type { TaskOptions } from '../task.js';
import type { Place } from './cache.js';
import type { PlaneBox } from './plane-encoder.js';

/**
 * What is asked of the embeddings of an image when it is segmented: one per plane, or per plane and tile. Whether they are
 * already there, read from a cache or computed on demand is not its business.
 */
export interface EmbeddingSource {
  /** [height, width] of the image in pixels. */
  readonly size: Size;
  /** Absent for an image that is encoded whole. */
  readonly tiling?: Tiling;
  /** How images and tiles are fitted into the model's square; default: by their longest side. */
  readonly resize?: EncoderInput['resize'];
  /** Typical object diameter in pixels, if the user stated it: decides between the masks of a single point. */
  readonly objectDiameter?: number;
  /** What the model knows of the objects' sizes: decides where nothing is stated (stated-size.ts). */
  readonly objectSizes?: ObjectSizes;
  /** Whether a single point means the instance decoder's object under it (`ModelSpec.pointsByInstances`). */
  readonly pointsByInstances?: boolean;
  /** `tile` counts as in `tiling.tiles` and must be given exactly if there is a tiling. Its frame is the outer box. */
  embedding(at: Place, task?: TaskOptions): Promise<Embedding>;
  /**
   * Maps of objects by the model's instance decoder: of a plane or tile, or of any box of a plane, which is encoded for
   * that alone, perhaps as its mirror image (the maps are turned back). Absent where the model has none.
   */
  instanceMaps?(at: Place | PlaneBox, task?: TaskOptions): Promise<InstanceMaps>;
  /** The recorded pixels of a part of a plane, [h, w] or [h, w, c]; absent where only embeddings are known. */
  pixels?(at: { readonly plane: number; readonly box: YXYX }, task?: TaskOptions): Promise<Tensor>;
  /** Whether `embedding` would answer without encoding; absent if nobody can tell. */
  isReady?(at: Place): Promise<boolean>;
}
