import type { Embedding, MaskCandidates } from '../../model/sam-tensors.js';
import { buildPrompts } from '../../model/transforms.js';
import type { YX, YXYX } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import type { SegmentContext } from '../context.js';
import { encodeBand } from './band-logits.js';
import { pointGrid } from './point-grid.js';
import type { AmgCandidate, AmgState, AmgTile } from './state.js';

/**
 * The expensive half of automatic mask generation: every grid point is decoded once, and the masks that reach the
 * floors are kept in compact form (state.ts). Prompts none of whose scores reaches `iouFloor` skip the mask head.
 * micro-sam spec 5.4.
 */
export interface AmgOptions {
  /** Points along each side of an encoder frame (default 32, so 1024 prompts per tile). */
  readonly pointsPerSide?: number;
  /** Prompts per worker call (default 64). */
  readonly pointsPerBatch?: number;
  /** Lowest predicted IoU and stability that can be asked for later without the network. */
  readonly iouFloor?: number;
  readonly stabilityFloor?: number;
  /** Only points inside this box of the image, in pixels. */
  readonly region?: YXYX;
  /** Called after each batch with what is there so far; `generateLabels` takes it. */
  readonly onPartial?: (state: AmgState) => void;
}

export const AMG_OPTIONS = {
  pointsPerSide: 32,
  pointsPerBatch: 64,
  /** The lowest values that the grid search of micro-sam looks at (spec 12.3). */
  iouFloor: 0.6,
  stabilityFloor: 0.6,
} as const;

function inside([y, x]: YX, box: YXYX): boolean {
  return y >= box[0] && y < box[2] && x >= box[1] && x < box[3];
}

/** Candidates of one worker answer; boxes go from the 256 grid to frame pixels. */
function unpack(found: MaskCandidates, firstPrompt: number, embedding: Embedding, side: number): AmgCandidate[] {
  const [frameHeight, frameWidth] = embedding.originalSize;
  const toY = (frameHeight / embedding.inputSize[0]) * (side / 256);
  const toX = (frameWidth / embedding.inputSize[1]) * (side / 256);
  const candidates: AmgCandidate[] = [];
  let offset = 0;
  for (let i = 0; i < found.count; i++) {
    const [top, left, bottom, right] = found.crops.subarray(4 * i, 4 * i + 4);
    const length = (bottom - top) * (right - left);
    const [y0, x0, y1, x1] = found.boxes.subarray(4 * i, 4 * i + 4);
    candidates.push({
      prompt: firstPrompt + found.prompt[i],
      token: found.token[i],
      iou: found.iou[i],
      stability: found.stability[i],
      box: [y0 * toY, x0 * toX, Math.min(y1 * toY, frameHeight), Math.min(x1 * toX, frameWidth)],
      logits: encodeBand(found.logits.subarray(offset, offset + length), [top, left, bottom, right]),
    });
    offset += length;
  }
  return candidates;
}

/** Runs the grid over all tiles of the context's plane. */
export async function initializeAmg(
  context: SegmentContext,
  options: AmgOptions & TaskOptions = {},
): Promise<AmgState> {
  const settings = { ...AMG_OPTIONS, ...options };
  const { embeddings, worker, model, plane } = context;
  const size = embeddings.size;
  const whole: YXYX = [0, 0, size[0], size[1]];
  const frames = embeddings.tiling?.tiles.map(({ outer, inner }, tile) => ({ tile, frame: outer, inner })) ?? [
    { tile: undefined, frame: whole, inner: whole },
  ];
  const grids = frames.map(({ frame }) =>
    pointGrid(settings.pointsPerSide, [0, 0, frame[2] - frame[0], frame[3] - frame[1]]).filter(
      ([y, x]) => !options.region || inside([y + frame[0], x + frame[1]], options.region),
    ),
  );
  const total = grids.reduce((sum, grid) => sum + grid.length, 0);
  let done = 0;
  const finished: AmgTile[] = [];
  const stateOf = (tiles: readonly AmgTile[]): AmgState => ({
    size,
    pointsPerSide: settings.pointsPerSide,
    iouFloor: settings.iouFloor,
    stabilityFloor: settings.stabilityFloor,
    tiles,
  });

  for (const [index, { tile, frame, inner }] of frames.entries()) {
    const points = grids[index];
    if (points.length === 0) continue;
    options.signal?.throwIfAborted();
    const embedding = await embeddings.embedding({ plane, tile }, { signal: options.signal });
    const bestIou = new Float32Array(points.length);
    let candidates: readonly AmgCandidate[] = [];
    const tileOf = (): AmgTile => ({ tile, frame, inner, inputSize: embedding.inputSize, candidates, points, bestIou });
    for (let first = 0; first < points.length; first += settings.pointsPerBatch) {
      options.signal?.throwIfAborted();
      const batch = points.slice(first, first + settings.pointsPerBatch);
      const prompts = buildPrompts(
        batch.map((at) => ({ points: [{ at, positive: true }] })),
        embedding,
      );
      const found = await worker.decodeCandidates(model, embedding, prompts, {
        iouFloor: settings.iouFloor,
        stabilityFloor: settings.stabilityFloor,
        signal: options.signal,
      });
      bestIou.set(found.bestIou, first);
      candidates = [...candidates, ...unpack(found, first, embedding, 1024)];
      done += batch.length;
      const where = frames.length > 1 ? ` in tile ${index + 1} of ${frames.length}` : '';
      options.onProgress?.({ done, total, message: `Segmenting from point ${done} of ${total}${where}` });
      options.onPartial?.(stateOf([...finished, tileOf()]));
    }
    finished.push(tileOf());
  }
  return stateOf(finished);
}
