import { SamError } from '../errors.js';
import type { TaskOptions } from '../task.js';
import { severalAtOnce } from '../worker/several-at-once.js';
import type { Place } from './cache.js';
import type { ImageEmbeddings } from './image-embeddings.js';

export interface PrecomputeOptions {
  /** What to encode first: the visible plane, the tiles on screen. The rest follows in order. */
  readonly first?: readonly Place[];
  /** How many to have in work at once: 1 for one worker, `worker.atOnce` for a pool, as a function since workers come and go. */
  readonly concurrency?: number | (() => number);
  /** A plane is there, with all its tiles. */
  readonly onPlane?: (plane: number) => void;
}

export interface PrecomputeResult {
  readonly encoded: number;
  /** Found in the cache, whole. */
  readonly reused: number;
}

/**
 * Encodes every plane and tile that the cache lacks, then declares the cache complete. Stopping it at any moment, by
 * cancel or by killing the process, loses at most what was in work; the next run goes on from there.
 *
 * @throws SamError `storage` as soon as an embedding cannot be kept (disk full): going on would be in vain
 */
export async function precomputeEmbeddings(
  embeddings: ImageEmbeddings,
  { first = [], concurrency = 1, onPlane }: PrecomputeOptions = {},
  { signal, onProgress }: TaskOptions = {},
): Promise<PrecomputeResult> {
  const places = ordered(embeddings, first);
  const what = embeddings.tiling ? 'tile' : 'plane';
  const left = Array.from({ length: embeddings.planes }, () => embeddings.tiling?.tiles.length ?? 1);
  let done = 0;
  let reused = 0;
  const atOnce = typeof concurrency === 'function' ? concurrency : () => concurrency;
  if (!(atOnce() >= 1)) throw new SamError('invalid_argument', `Concurrency is at least 1, got ${atOnce()}.`);
  const encode = async (at: Place, stopped: AbortSignal) => {
    if (await embeddings.isReady(at)) reused++;
    else {
      await embeddings.embedding(at, { signal: stopped });
      await embeddings.stored();
    }
    done++;
    if (--left[at.plane]! === 0) onPlane?.(at.plane);
    onProgress?.({ done, total: places.length, message: `Encoded ${what} ${done} of ${places.length}` });
  };
  await severalAtOnce(places, atOnce, encode, { signal });
  await embeddings.finish();
  return { encoded: done - reused, reused };
}

/** All planes and tiles: those of `first`, then plane by plane. */
function ordered({ planes, tiling }: ImageEmbeddings, first: readonly Place[]): Place[] {
  const keyOf = ({ plane, tile }: Place) => `${plane}/${tile ?? ''}`;
  const places = new Map(first.map((at) => [keyOf(at), at]));
  for (let plane = 0; plane < planes; plane++) {
    const tiles = tiling ? tiling.tiles.map((_, tile) => tile) : [undefined];
    for (const tile of tiles) places.set(keyOf({ plane, tile }), { plane, ...(tile !== undefined && { tile }) });
  }
  return [...places.values()];
}
