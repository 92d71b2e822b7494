import type { Size, YXYX } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';
import { ABOVE, SignStretches } from './sign-stretches.js';

/**
 * From 256 x 256 logits to a mask in image pixels, exactly as SAM does it (bilinear to 1024 x 1024, crop to the resized
 * image, bilinear to the image, threshold), but without ever making the large arrays. Both resizings are separable and
 * linear, so along each axis an image pixel is a weighted mean of at most three neighbouring logits. The weights are
 * not negative: where all the logits under a pixel share a sign, the pixel has it too, and only pixels at a sign change
 * are computed. Source: `Sam.postprocess_masks` of segment-anything 1.0.
 */

const LOW = 256;

/** For each output index the first logit index (`start`) and three weights that sum to 1. */
interface Taps {
  readonly length: number;
  readonly start: Int32Array;
  readonly weights: Float32Array;
  /** For each logit index the first output index that reads it or a later one. */
  readonly first: Int32Array;
  /** For each logit index the first output index that reads none up to it. */
  readonly end: Int32Array;
}

/** Bilinear sampling with half-pixel centres (align_corners = false), clamped at the edges. */
function bilinear(position: number, length: number): { low: number; high: number; fraction: number } {
  const clamped = Math.max(position, 0);
  const low = Math.min(Math.floor(clamped), length - 1);
  const high = Math.min(low + 1, length - 1);
  return { low, high, fraction: high === low ? 0 : clamped - low };
}

function composeTaps(resized: number, original: number, side: number): Taps {
  const start = new Int32Array(original);
  const weights = new Float32Array(original * 3);
  const toResized = resized / original;
  const toLow = LOW / side;
  for (let i = 0; i < original; i++) {
    const outer = bilinear((i + 0.5) * toResized - 0.5, resized);
    const first = bilinear((outer.low + 0.5) * toLow - 0.5, LOW);
    const second = bilinear((outer.high + 0.5) * toLow - 0.5, LOW);
    start[i] = Math.min(first.low, LOW - 3);
    const add = (index: number, weight: number) => {
      weights[3 * i + index - start[i]] += weight;
    };
    add(first.low, (1 - outer.fraction) * (1 - first.fraction));
    add(first.high, (1 - outer.fraction) * first.fraction);
    add(second.low, outer.fraction * (1 - second.fraction));
    add(second.high, outer.fraction * second.fraction);
  }
  const first = new Int32Array(LOW);
  const end = new Int32Array(LOW);
  for (let low = 0, f = 0, e = 0; low < LOW; low++) {
    while (f < original && start[f] + 2 < low) f++;
    while (e < original && start[e] <= low) e++;
    first[low] = f;
    end[low] = e;
  }
  return { length: original, start, weights, first, end };
}

/** Length of the part of the 256 grid that some pixel of the image interpolates from. */
export function reachable(inputLength: number, side: number): number {
  return Math.min(LOW, Math.floor(((inputLength - 0.5) * LOW) / side - 0.5) + 2);
}

export class MaskUpsampler {
  private readonly rows: Taps;
  private readonly columns: Taps;

  /**
   * @param inputSize [h, w] of the resized image inside the model's square
   * @param originalSize [h, w] of the image
   * @param side side of the model's square, in pixels
   */
  constructor(inputSize: Size, originalSize: Size, side = 1024) {
    this.rows = composeTaps(inputSize[0], originalSize[0], side);
    this.columns = composeTaps(inputSize[1], originalSize[1], side);
  }

  /**
   * The pixels whose interpolated logit is above `threshold`.
   *
   * @param logits row-major values of `crop`
   * @param crop part of the 256 grid that `logits` covers; everything outside it must be at or below the threshold.
   *   The whole grid if absent.
   */
  mask(logits: Float32Array, crop: YXYX = [0, 0, LOW, LOW], threshold = 0): Mask {
    const [cropTop, cropLeft, cropBottom, cropRight] = crop;
    const width = cropRight - cropLeft;
    const { rows, columns } = this;
    const stretches = new SignStretches(logits, width, threshold);
    // Logits of the crop interpolated to one image row, where they are asked for, padded by "outside" left and right.
    const line = new Float32Array(width + 4).fill(threshold - 1);
    /** First image column that reads the three logits from column `c` of the crop, or later ones. */
    const columnOf = (c: number) => {
      const last = cropLeft + c + 2;
      return last < 2 ? 0 : last < LOW ? columns.first[last] : columns.length;
    };
    const found = new Spans();
    const bottom = rows.end[cropBottom - 1];
    for (let y = rows.first[cropTop]; y < bottom; y++) {
      const r = rows.start[y] - cropTop;
      const triples = stretches.of(r);
      let runStart = -1;
      let reached = 0;
      for (let i = 0; i < triples.length; i += 3) {
        const left = columnOf(triples[i + 1]);
        if (runStart >= 0 && left > reached) {
          found.push(y, runStart, reached);
          runStart = -1;
        }
        reached = columnOf(triples[i + 2]);
        if (triples[i] === ABOVE) {
          if (runStart < 0 && left < reached) runStart = left;
          continue;
        }
        interpolateRow(
          logits,
          width,
          r,
          rows.weights.subarray(3 * y, 3 * y + 3),
          line,
          triples[i + 1],
          triples[i + 2] + 2,
        );
        for (let x = left; x < reached; x++) {
          const c = columns.start[x] - cropLeft + 2;
          const value =
            columns.weights[3 * x] * line[c] +
            columns.weights[3 * x + 1] * line[c + 1] +
            columns.weights[3 * x + 2] * line[c + 2];
          if (value > threshold) {
            if (runStart < 0) runStart = x;
          } else if (runStart >= 0) {
            found.push(y, runStart, x);
            runStart = -1;
          }
        }
      }
      if (runStart >= 0) found.push(y, runStart, reached);
    }
    return found.toMask();
  }
}

/**
 * Means, by `weights`, of three rows of logits from row `r` on, for columns `from` to `end`, to `line` two places on. What
 * lies outside is as `line` was filled.
 */
function interpolateRow(
  logits: Float32Array,
  width: number,
  r: number,
  weights: Float32Array,
  line: Float32Array,
  from: number,
  end: number,
): void {
  const outside = line[0];
  const height = logits.length / width;
  const w0 = weights[0];
  const w1 = weights[1];
  const w2 = weights[2];
  const row0 = r >= 0 ? r * width : -1;
  const row1 = r + 1 >= 0 && r + 1 < height ? (r + 1) * width : -1;
  const row2 = r + 2 < height ? (r + 2) * width : -1;
  for (let c = Math.max(0, from); c < Math.min(width, end); c++)
    line[c + 2] =
      w0 * (row0 < 0 ? outside : logits[row0 + c]) +
      w1 * (row1 < 0 ? outside : logits[row1 + c]) +
      w2 * (row2 < 0 ? outside : logits[row2 + c]);
}

/** Pixels found, row by row from the left. */
class Spans {
  /** Triples: y, x0, x1. */
  private readonly spans: number[] = [];
  private area = 0;
  private minX = Infinity;
  private maxX = -1;

  push(y: number, from: number, to: number): void {
    this.spans.push(y, from, to);
    this.area += to - from;
    if (from < this.minX) this.minX = from;
    if (to > this.maxX) this.maxX = to;
  }

  /** Run lengths inside the tight bounding box. */
  toMask(): Mask {
    const { spans, area, minX, maxX } = this;
    if (area === 0) return { box: [0, 0, 0, 0], runs: new Uint32Array(0), area: 0 };
    const top = spans[0];
    const bottom = spans[spans.length - 3] + 1;
    const width = maxX - minX;
    const runs: number[] = [];
    let position = 0; // pixels of the box written so far
    for (let i = 0; i < spans.length; i += 3) {
      const begin = (spans[i] - top) * width + spans[i + 1] - minX;
      const end = (spans[i] - top) * width + spans[i + 2] - minX;
      if (begin === position && runs.length > 0) runs[runs.length - 1] += end - begin;
      else runs.push(begin - position, end - begin);
      position = end;
    }
    const total = (bottom - top) * width;
    if (position < total) runs.push(total - position);
    return { box: [top, minX, bottom, maxX], runs: Uint32Array.from(runs), area };
  }
}
