import type { Size } from '../ndimage/array.js';
import type { DecodedMasks, MaskCandidates } from './sam-tensors.js';

/**
 * From decoder output to the candidates of automatic mask generation: drops what is below the floors, measures stability
 * and box on the 256 grid, and keeps the logits around the box only. A 1024-point grid then costs a few MB instead of
 * 800. Score and stability as in segment-anything's `automatic_mask_generator.py`, but measured before upsampling.
 */
export interface CandidateFloors {
  readonly iouFloor: number;
  readonly stabilityFloor: number;
}

const LOW = 256;
/** Half-width of the stability band, in logits. */
const STABILITY_OFFSET = 1;
/** Cells beyond the box that upsampling may read (see upsample.ts). */
const MARGIN = 2;

/** One entry of `MaskCandidates`, before they are packed. */
export interface LowResCandidate {
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
export function bestScores({ iou, tokens }: DecodedMasks): Float32Array {
  const count = tokens.length;
  return Float32Array.from({ length: iou.length / count }, (_, prompt) =>
    tokens.reduce((best, token, m) => (token > 0 ? Math.max(best, iou[prompt * count + m]) : best), -Infinity),
  );
}

export function packCandidates(bestIou: Float32Array, masks: readonly LowResCandidate[]): MaskCandidates {
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

/** Length of the part of the 256 grid that some pixel of the image interpolates from. */
export function reachable(inputLength: number, side: number): number {
  return Math.min(LOW, Math.floor(((inputLength - 0.5) * LOW) / side - 0.5) + 2);
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
