import type { Size } from '../ndimage/array.js';
import type { TaskOptions } from '../task.js';
import { type MaskDecoder, slicePrompts } from './mask-decoder.js';
import type { DecodedMasks, Embedding, MaskCandidates, SamPrompts } from './sam-tensors.js';
import { reachable } from './upsample.js';

/**
 * From decoder output to the candidates of automatic mask generation: drops what is below the floors, measures stability
 * and box on the 256 grid, and keeps the logits around the box only. A 1024-point grid then costs a few MB instead of
 * 800. Score and stability as in segment-anything's `automatic_mask_generator.py`, but measured before upsampling.
 */
export interface CandidateFloors {
  readonly iouFloor: number;
  readonly stabilityFloor: number;
}

/**
 * Point prompts → the candidates of automatic mask generation, with as little of the decoder as will do: masks by their
 * edges (`EdgeOptions`), and of those that reach all four sides of the image - up to half of all: the background - only
 * the ones that can matter. Their boxes are the same to a few cells, so suppression (by boxes, below an IoU of 0.9) keeps
 * at most one, and never one that has both a lower score and a lower stability than another, whatever the thresholds for
 * these are. The others of them are decoded in full.
 */
export async function findCandidates(
  decoder: MaskDecoder,
  embedding: Embedding,
  prompts: SamPrompts,
  options: CandidateFloors & TaskOptions & { readonly side: number },
): Promise<MaskCandidates> {
  const { iouFloor, signal, onProgress, side } = options;
  const { inputSize } = embedding;
  const bestIou = new Float32Array(prompts.batch);
  const objects: LowResCandidate[] = [];
  let backgrounds: LowResCandidate[] = [];
  const [height, width] = inputSize.map((length) => reachable(length, side));
  const isBackground = ({ box: [top, left, bottom, right] }: LowResCandidate) =>
    Math.max(top, left) < CELL && bottom > height - 2 * CELL && right > width - 2 * CELL;

  for (let first = 0; first < prompts.batch; first += CHUNK) {
    signal?.throwIfAborted();
    const chunk = slicePrompts(prompts, first, Math.min(prompts.batch, first + CHUNK));
    const decoded = await decoder.decode(embedding, chunk, { iouFloor, edges: EDGES });
    bestIou.set(bestScores(decoded), first);
    const masks = scoreMasks(decoded, inputSize, options, side, (row) => first + row);
    objects.push(...masks.filter((mask) => !isBackground(mask)));
    backgrounds = undominated([...backgrounds, ...masks.filter(isBackground)]);
    const done = first + chunk.batch;
    onProgress?.({ done, total: prompts.batch, message: `Segmented ${done} of ${prompts.batch} points` });
    await nextTurn(); // lets a cancel request in
  }

  const again = [...new Set(backgrounds.map((mask) => mask.prompt))];
  for (const prompt of again) {
    signal?.throwIfAborted();
    const decoded = await decoder.decode(embedding, slicePrompts(prompts, prompt, prompt + 1), { iouFloor });
    const tokens = backgrounds.filter((mask) => mask.prompt === prompt).map((mask) => mask.token);
    const masks = scoreMasks(decoded, inputSize, options, side, () => prompt);
    objects.push(...masks.filter((mask) => tokens.includes(mask.token)));
    await nextTurn();
  }
  return packCandidates(
    bestIou,
    objects.sort((a, b) => a.prompt - b.prompt || a.token - b.token),
  );
}

/** Logits per cell of the embedding: how closely a side is reached. (The last cells may not be computed ones.) */
const CELL = 4;
/** Prompts between two looks at the signal. */
const CHUNK = 4;
const EDGES = { tokens: [1, 2, 3], background: false } as const;

/** Those that no other one excels in both score and stability. */
function undominated(masks: readonly LowResCandidate[]): LowResCandidate[] {
  const front: LowResCandidate[] = [];
  for (const mask of [...masks].sort((a, b) => b.iou - a.iou || b.stability - a.stability))
    if (front.every((other) => other.stability < mask.stability)) front.push(mask);
  return front;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

const LOW = 256;
/** Half-width of the stability band, in logits. */
const STABILITY_OFFSET = 1;
/** Cells beyond the box that upsampling may read (see upsample.ts). */
const MARGIN = 2;

/** One entry of `MaskCandidates`, before they are packed. */
interface LowResCandidate {
  readonly prompt: number;
  readonly token: number;
  readonly iou: number;
  readonly stability: number;
  /** y0, x0, y1, x1 on the 256 grid; the crop is the box with a margin. */
  readonly box: Box;
  readonly crop: Box;
  /** The crop's. */
  readonly logits: Float32Array;
}

type Box = readonly [number, number, number, number];

/**
 * The masks that reach the floors.
 *
 * @param inputSize [h, w] of the resized image inside the model's square of `side` pixels
 * @param prompts what the rows of `decoded.iou` are called in the result; default: their positions
 */
export function scoreMasks(
  decoded: DecodedMasks,
  inputSize: Size,
  floors: CandidateFloors,
  side = 1024,
  prompts: (row: number) => number = (row) => row,
): LowResCandidate[] {
  const { logits, iou, tokens, rows } = decoded;
  const count = tokens.length;
  const [height, width] = [reachable(inputSize[0], side), reachable(inputSize[1], side)];
  const found: LowResCandidate[] = [];
  rows.forEach((prompt, row) => {
    tokens.forEach((token, m) => {
      const score = iou[prompt * count + m];
      if (token === 0 || !(score >= floors.iouFloor)) return;
      const start = (row * count + m) * LOW * LOW;
      const mask = logits.subarray(start, start + LOW * LOW);
      const measured = measure(mask, height, width);
      if (!measured || measured.stability < floors.stabilityFloor) return;
      found.push({ prompt: prompts(prompt), token, iou: score, ...measured, ...cropped(mask, measured.box) });
    });
  });
  return found;
}

/** The best multimask score of each prompt. */
function bestScores({ iou, tokens }: DecodedMasks): Float32Array {
  const count = tokens.length;
  return Float32Array.from({ length: iou.length / count }, (_, prompt) =>
    tokens.reduce((best, token, m) => (token > 0 ? Math.max(best, iou[prompt * count + m]) : best), -Infinity),
  );
}

function packCandidates(bestIou: Float32Array, masks: readonly LowResCandidate[]): MaskCandidates {
  const logits = new Float32Array(masks.reduce((sum, mask) => sum + mask.logits.length, 0));
  let offset = 0;
  for (const mask of masks) {
    logits.set(mask.logits, offset);
    offset += mask.logits.length;
  }
  return {
    count: masks.length,
    bestIou,
    prompt: Int32Array.from(masks, (mask) => mask.prompt),
    token: Uint8Array.from(masks, (mask) => mask.token),
    iou: Float32Array.from(masks, (mask) => mask.iou),
    stability: Float32Array.from(masks, (mask) => mask.stability),
    boxes: Int16Array.from(masks.flatMap((mask) => mask.box)),
    logits,
    crops: Int16Array.from(masks.flatMap((mask) => mask.crop)),
  };
}

function measure(mask: Float32Array, height: number, width: number): { stability: number; box: Box } | undefined {
  let above = 0;
  let below = 0;
  let [top, left, bottom, right] = [height, width, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = mask[y * LOW + x];
      if (!(value > -STABILITY_OFFSET)) continue;
      below++;
      if (value > STABILITY_OFFSET) above++;
      if (value > 0) {
        if (y < top) top = y;
        bottom = y + 1;
        if (x < left) left = x;
        if (x >= right) right = x + 1;
      }
    }
  }
  return bottom === 0 ? undefined : { stability: above / below, box: [top, left, bottom, right] };
}

function cropped(mask: Float32Array, box: Box): { crop: Box; logits: Float32Array } {
  const crop: Box = [
    Math.max(0, box[0] - MARGIN),
    Math.max(0, box[1] - MARGIN),
    Math.min(LOW, box[2] + MARGIN),
    Math.min(LOW, box[3] + MARGIN),
  ];
  const width = crop[3] - crop[1];
  const logits = new Float32Array((crop[2] - crop[0]) * width);
  for (let y = crop[0]; y < crop[2]; y++)
    logits.set(mask.subarray(y * LOW + crop[1], y * LOW + crop[3]), (y - crop[0]) * width);
  return { crop, logits };
}
