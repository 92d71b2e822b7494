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

/** @param inputSize [h, w] of the resized image inside the model's square of `side` pixels */
export function scoreCandidates(
  decoded: DecodedMasks,
  inputSize: Size,
  floors: CandidateFloors,
  side = 1024,
): MaskCandidates {
  const { logits, iou, tokens, rows } = decoded;
  const masks = tokens.length;
  const [height, width] = [reachable(inputSize[0], side), reachable(inputSize[1], side)];
  const bestIou = Float32Array.from({ length: iou.length / masks }, (_, prompt) =>
    tokens.reduce((best, token, m) => (token > 0 ? Math.max(best, iou[prompt * masks + m]) : best), -Infinity),
  );
  const found = new Collector();
  for (let row = 0; row < rows.length; row++) {
    for (let m = 0; m < masks; m++) {
      const score = iou[rows[row] * masks + m];
      if (tokens[m] === 0 || !(score >= floors.iouFloor)) continue;
      const start = (row * masks + m) * LOW * LOW;
      const mask = logits.subarray(start, start + LOW * LOW);
      const measured = measure(mask, height, width);
      if (!measured || measured.stability < floors.stabilityFloor) continue;
      found.add(rows[row], tokens[m], score, measured.stability, measured.box, mask);
    }
  }
  return found.finish(bestIou);
}

/** The candidates of consecutive batches as one; `prompt` counts through. */
export function joinCandidates(parts: readonly MaskCandidates[]): MaskCandidates {
  const starts = [0];
  for (const part of parts) starts.push(starts[starts.length - 1] + part.bestIou.length);
  return {
    count: parts.reduce((sum, part) => sum + part.count, 0),
    bestIou: join(
      Float32Array,
      parts.map((part) => part.bestIou),
    ),
    prompt: join(
      Int32Array,
      parts.map((part, i) => part.prompt.map((prompt) => prompt + starts[i])),
    ),
    token: join(
      Uint8Array,
      parts.map((part) => part.token),
    ),
    iou: join(
      Float32Array,
      parts.map((part) => part.iou),
    ),
    stability: join(
      Float32Array,
      parts.map((part) => part.stability),
    ),
    boxes: join(
      Int16Array,
      parts.map((part) => part.boxes),
    ),
    logits: join(
      Float32Array,
      parts.map((part) => part.logits),
    ),
    crops: join(
      Int16Array,
      parts.map((part) => part.crops),
    ),
  };
}

type Box = readonly [number, number, number, number];

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

class Collector {
  private readonly prompt: number[] = [];
  private readonly token: number[] = [];
  private readonly iou: number[] = [];
  private readonly stability: number[] = [];
  private readonly boxes: number[] = [];
  private readonly crops: number[] = [];
  private readonly logits: Float32Array[] = [];

  add(prompt: number, token: number, iou: number, stability: number, box: Box, mask: Float32Array): void {
    const crop: Box = [
      Math.max(0, box[0] - MARGIN),
      Math.max(0, box[1] - MARGIN),
      Math.min(LOW, box[2] + MARGIN),
      Math.min(LOW, box[3] + MARGIN),
    ];
    const width = crop[3] - crop[1];
    const cropped = new Float32Array((crop[2] - crop[0]) * width);
    for (let y = crop[0]; y < crop[2]; y++)
      cropped.set(mask.subarray(y * LOW + crop[1], y * LOW + crop[3]), (y - crop[0]) * width);
    this.prompt.push(prompt);
    this.token.push(token);
    this.iou.push(iou);
    this.stability.push(stability);
    this.boxes.push(...box);
    this.crops.push(...crop);
    this.logits.push(cropped);
  }

  finish(bestIou: Float32Array): MaskCandidates {
    return {
      count: this.prompt.length,
      bestIou,
      prompt: Int32Array.from(this.prompt),
      token: Uint8Array.from(this.token),
      iou: Float32Array.from(this.iou),
      stability: Float32Array.from(this.stability),
      boxes: Int16Array.from(this.boxes),
      logits: join(Float32Array, this.logits),
      crops: Int16Array.from(this.crops),
    };
  }
}

type Joined = Float32Array | Int32Array | Uint8Array | Int16Array;

function join<T extends Joined>(type: new (length: number) => T, parts: readonly T[]): T {
  const out = new type(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}
