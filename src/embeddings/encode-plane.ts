import type { TaskOptions } from '../task.js';
import type { ImageEmbeddings } from './image-embeddings.js';

/** Makes what the first prompt in a plane needs: of a large image nothing, since a tile is encoded when somebody prompts in it. */
export async function encodePlane(
  embeddings: Pick<ImageEmbeddings, 'tiling' | 'embedding'>,
  plane: number,
  task: TaskOptions,
): Promise<void> {
  const { tiling } = embeddings;
  if (!tiling) {
    await embeddings.embedding({ plane }, task);
    return;
  }
  const total = tiling.tiles.length;
  if (total > TILES_AHEAD) return;
  for (let tile = 0; tile < total; tile++) {
    task.onProgress?.({ done: tile, total, message: `Encoding tile ${tile + 1} of ${total}` });
    await embeddings.embedding({ plane, tile }, { signal: task.signal });
  }
}

/** About 4000 x 4000 pixels; on a slow machine half a minute. */
const TILES_AHEAD = 16;
