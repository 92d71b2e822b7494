import type { Embedding, MaskCandidates } from '../../model/sam-tensors.js';
import { buildPrompts } from '../../model/transforms.js';
import type { Size, YX, YXYX } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import type { SegmentContext } from '../context.js';
import { comparableStability, plainStability } from '../stated-size.js';
import { encodeBand } from './band-logits.js';
import { FrameCandidates } from './frame-candidates.js';
import { defaultGrid, GRIDS, pointGrid } from './point-grid.js';
import { AMG_OPTIONS, type AmgCandidate, type AmgState, type AmgTile } from './state.js';

/**
 * The expensive half of automatic mask generation: every grid point is decoded once, and the masks that reach the
 * floors are kept in compact form (state.ts). Prompts none of whose scores reaches `iouFloor` skip the mask head.
 * Source: `AutomaticMaskGenerator.initialize` of micro-sam 1.8.
 */
export interface AmgOptions {
  /** Points along each side of an encoder frame; default: `defaultGrid`. */
  readonly pointsPerSide?: number;
  /** Prompts per worker call (default 64). */
  readonly pointsPerBatch?: number;
  /** Calls that the worker has at a time (default 2, so that it is never idle); of a pool, two for each of its workers. */
  readonly requests?: number;
  /** Lowest predicted IoU and stability that can be asked for later without the network. */
  readonly iouFloor?: number;
  readonly stabilityFloor?: number;
  /** These points, in image pixels, instead of a grid: what is found from each is kept, be it found from another or not. */
  readonly points?: readonly YX[];
  /** Only points inside this box of the image, in pixels. */
  readonly region?: YXYX;
  /** Tiles to begin with: those on screen. */
  readonly first?: readonly number[];
  /** What an interrupted run with the same options gave to `onPartial` last: its points are not run again. */
  readonly resume?: AmgState;
  /** Called after each batch with what is there so far; `generateLabels` takes it. */
  readonly onPartial?: (state: AmgState) => void;
}

function inside([y, x]: YX, box: YXYX): boolean {
  return y >= box[0] && y < box[2] && x >= box[1] && x < box[3];
}

/** Candidates of one worker answer; boxes go from the 256 grid to frame pixels. */
function unpack(
  found: MaskCandidates,
  firstPrompt: number,
  embedding: Embedding,
  side: number,
  diameter: number,
): AmgCandidate[] {
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
      predictedIou: found.iou[i],
      stability: comparableStability(found.stability[i], diameter),
      box: [y0 * toY, x0 * toX, Math.min(y1 * toY, frameHeight), Math.min(x1 * toX, frameWidth)],
      logits: encodeBand(found.logits.subarray(offset, offset + length), [top, left, bottom, right]),
    });
    offset += length;
  }
  return candidates;
}

/** Pixels of the frame as cells of the 256 grid; infinitely many if not stated. */
function cellsOf(pixels = Number.POSITIVE_INFINITY, { originalSize, inputSize }: Embedding): number {
  return (pixels * inputSize[0] * 256) / (originalSize[0] * 1024);
}

/** Runs the grid over all tiles of the context's plane. */
export async function initializeAmg(
  context: SegmentContext,
  options: AmgOptions & TaskOptions = {},
): Promise<AmgState> {
  return runGrid(context, options, options.resume, options.resume?.grids);
}

/**
 * The points of another grid, half way between those that were run, and everything that is there already: small objects
 * are found that lie between points. Lower floors hold for the new points; of the old ones nothing comes back that was
 * not kept. Up to eight grids; then nothing is run, and the state comes back as it is.
 *
 * @param state of the same image and plane
 */
export async function deepenAmg(
  context: SegmentContext,
  state: AmgState,
  options: Omit<AmgOptions, 'pointsPerSide'> & TaskOptions = {},
): Promise<AmgState> {
  const { resume } = options;
  if (resume) return runGrid(context, { ...options, pointsPerSide: state.pointsPerSide }, resume, resume.grids);
  if (state.grids >= GRIDS) return state;
  return runGrid(context, { ...options, pointsPerSide: state.pointsPerSide }, state, state.grids + 1);
}

/** A tile in work: what is there from before, and the points to run. */
interface Draft {
  readonly tile?: number;
  readonly frame: YXYX;
  readonly inner: YXYX;
  /** Those run before, then the ones to run. */
  readonly points: readonly YX[];
  readonly fresh: readonly YX[];
  /** How many of `points` have been run. */
  run: number;
  inputSize?: Size;
  readonly candidates: FrameCandidates;
  /** Of all points. */
  readonly bestIou: Float32Array;
}

async function runGrid(
  context: SegmentContext,
  options: AmgOptions & TaskOptions,
  before?: AmgState,
  grids = 1,
): Promise<AmgState> {
  const settings = { ...AMG_OPTIONS, ...options };
  const { embeddings, worker, model, plane } = context;
  const { signal, onProgress, onPartial, region } = options;
  const { pointsPerSide = defaultGrid(embeddings), pointsPerBatch } = settings;
  const drafts = framesOf(context, settings.first).map((at): Draft => {
    const known = before?.tiles.find(({ tile }) => tile === at.tile);
    const [top, left] = at.frame;
    const grid = options.points
      ? options.points.flatMap((point): YX[] => (inside(point, at.inner) ? [[point[0] - top, point[1] - left]] : []))
      : pointGrid(pointsPerSide, [0, 0, at.frame[2] - top, at.frame[3] - left], grids - 1);
    const asked = new Set(known?.points.map(String));
    const fresh = grid.filter(
      (point) => !asked.has(String(point)) && (!region || inside([point[0] + top, point[1] + left], region)),
    );
    const points = [...(known?.points ?? []), ...fresh];
    const bestIou = new Float32Array(points.length);
    bestIou.set(known?.bestIou ?? []);
    const candidates = new FrameCandidates(known?.candidates, options.points !== undefined);
    return {
      ...at,
      points,
      fresh,
      run: points.length - fresh.length,
      inputSize: known?.inputSize,
      candidates,
      bestIou,
    };
  });
  const stateOf = (): AmgState => ({
    size: embeddings.size,
    pointsPerSide,
    grids,
    objectDiameter: embeddings.objectDiameter,
    iouFloor: settings.iouFloor,
    stabilityFloor: settings.stabilityFloor,
    tiles: drafts.flatMap((draft) => (draft.inputSize ? [tileOf(draft, draft.inputSize)] : [])),
  });

  const stop = new AbortController();
  const task = { signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal };
  const decode = async ({ draft: { tile, fresh }, first }: Job) => {
    const embedding = await embeddings.embedding({ plane, tile }, task);
    const points = fresh.slice(first, first + pointsPerBatch).map((at) => ({ points: [{ at, positive: true }] }));
    const diameter = cellsOf(embeddings.objectDiameter, embedding);
    const floors = { iouFloor: settings.iouFloor, stabilityFloor: plainStability(settings.stabilityFloor, diameter) };
    const prompts = buildPrompts(points, embedding);
    const found = await worker.decodeCandidates(model, embedding, prompts, { ...floors, ...task });
    return { embedding, diameter, found };
  };
  const jobs = drafts.flatMap((draft): Job[] =>
    Array.from({ length: Math.ceil(draft.fresh.length / pointsPerBatch) }, (_, i) => ({
      draft,
      first: i * pointsPerBatch,
    })),
  );
  const total = drafts.reduce((sum, { fresh }) => sum + fresh.length, 0);
  const inWork: ReturnType<typeof decode>[] = [];
  let next = 0;
  let done = 0;
  try {
    for (const { draft, first } of jobs) {
      // The worker is never idle while an answer is on its way or unpacked here.
      for (; inWork.length < settings.requests && next < jobs.length; next++) {
        const answer = decode(jobs[next]);
        answer.catch(() => undefined); // heard of below
        inWork.push(answer);
      }
      signal?.throwIfAborted();
      const { found, embedding, diameter } = await inWork[0];
      inWork.shift();
      draft.inputSize = embedding.inputSize;
      const prompt = draft.points.length - draft.fresh.length + first;
      draft.bestIou.set(found.bestIou, prompt);
      draft.candidates.add(unpack(found, prompt, embedding, 1024, diameter));
      draft.run = prompt + found.bestIou.length;
      done += found.bestIou.length;
      const where = drafts.length > 1 ? ` in tile ${drafts.indexOf(draft) + 1} of ${drafts.length}` : '';
      onProgress?.({ done, total, message: `Segmenting from point ${done} of ${total}${where}` });
      onPartial?.(stateOf());
    }
    signal?.throwIfAborted();
    return stateOf();
  } finally {
    stop.abort();
  }
}

interface Job {
  readonly draft: Draft;
  /** Index into the draft's fresh points. */
  readonly first: number;
}

/** The whole image, or its tiles: those asked for first, then row by row. */
function framesOf({ embeddings: { size, tiling } }: SegmentContext, first: readonly number[] = []) {
  if (!tiling) {
    const frame: YXYX = [0, 0, size[0], size[1]];
    return [{ tile: undefined, frame, inner: frame }];
  }
  const order = new Set([...first, ...tiling.tiles.keys()]);
  return [...order].flatMap((tile) => {
    const { outer, inner } = tiling.tiles[tile] ?? {};
    return outer ? [{ tile, frame: outer, inner }] : [];
  });
}

function tileOf({ tile, frame, inner, points, candidates, bestIou, run }: Draft, inputSize: Size): AmgTile {
  return {
    tile,
    frame,
    inner,
    inputSize,
    candidates: candidates.list(),
    points: points.slice(0, run),
    bestIou: bestIou.slice(0, run),
  };
}
