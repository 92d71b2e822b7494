import type { ImageSource } from '../io/image.js';
import type { Store } from '../io/store.js';
import type { ModelSpec } from '../model/model-spec.js';
import type { IntensityPolicy } from '../model/transforms.js';
import type { SamWorker } from '../worker/sam-worker.js';
import type { PixelHashOptions } from './signature.js';
import type { TileChoice } from './tiling.js';

/** Of which image embeddings are made, by which model, how, and where they are kept. */
export interface EmbeddingOptions {
  readonly source: ImageSource;
  readonly worker: SamWorker;
  readonly model: ModelSpec;
  /** Default: what the cache was made with, else chosen by `chooseTiling`. */
  readonly tiling?: TileChoice | 'none';
  /** In pixels; helps the choice of the tiling. */
  readonly objectDiameter?: number;
  /** Default: what the cache was made with, else min-max as in micro-sam, over the whole image if it is tiled. */
  readonly intensity?: IntensityPolicy;
  /** Stretch every plane and tile by itself (micro-sam) or all alike. Default: 'region' for whole planes, else 'image'. */
  readonly range?: 'region' | 'image';
  /** Channels given to the model; default all. */
  readonly channels?: readonly number[];
  /** Where embeddings are kept: a place for this image alone, or a function from a key to such a place. */
  readonly store?: Store | ((key: string) => Store);
  readonly half?: boolean;
  /**
   * Keep with every embedding what the model's instance decoder takes besides, 12 MB for the built-in encoder: automatic
   * segmentation then encodes nothing again. Default: for up to 16 planes and tiles; else only where it was run.
   */
  readonly early?: boolean;
  /** Bound of the embeddings in memory; default 256 MiB, about 60 embeddings. */
  readonly memoryBytes?: number;
  readonly hash?: PixelHashOptions['extent'];
}
