import type { Size, YXYX } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';

/**
 * From 256 x 256 logits to a mask in image pixels, exactly as SAM does it (bilinear to 1024 x 1024, crop to the resized
 * image, bilinear to the image, threshold), but without ever making the large arrays. Both resizings are separable and
 * linear, so along each axis an image pixel is a weighted mean of at most three neighbouring logits. The weights are
 * not negative: where all the logits under a pixel share a sign, the pixel has it too, and only pixels at a sign change
 * are computed. Source: `Sam.postprocess_masks` of segment-anything; micro-sam spec 2.5.
 */

const LOW = 256;

/** For each output index the first logit index (`start`) and three weights that sum to 1. */
interface Taps {
  readonly length: number;
  readonly start: Int32Array;
  readonly weights: Float32Array;
  /** For each output index the first one after it that reads other logits. */
  readonly next: Int32Array;
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
  const next = new Int32Array(original).fill(original);
  for (let i = original - 2; i >= 0; i--) next[i] = start[i] === start[i + 1] ? next[i + 1] : i + 1;
  const first = new Int32Array(LOW);
  const end = new Int32Array(LOW);
  for (let low = 0, f = 0, e = 0; low < LOW; low++) {
    while (f < original && start[f] + 2 < low) f++;
    while (e < original && start[e] <= low) e++;
    first[low] = f;
    end[low] = e;
  }
  return { length: original, start, weights, next, first, end };
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
    const height = cropBottom - cropTop;
    const { rows, columns } = this;
    const outside = threshold - 1;
    // One image row interpolated vertically, padded by two cells left and right of the crop with "outside".
    const line = new Float32Array(width + 4).fill(outside);
    // Of every row of the crop, the first and the last logit above the threshold.
    const firsts = new Int32Array(height).fill(width);
    const lasts = new Int32Array(height).fill(-1);
    for (let r = 0; r < height; r++) {
      for (let c = 0; c < width; c++) {
        if (!(logits[r * width + c] > threshold)) continue;
        if (lasts[r] < 0) firsts[r] = c;
        lasts[r] = c;
      }
    }
    const top = rows.first[cropTop];
    const bottom = rows.end[cropBottom - 1];
    const spans: number[] = []; // triples: y, x0, x1
    let area = 0;
    let minX = Infinity;
    let maxX = -1;
    for (let y = top; y < bottom; y++) {
      const r = rows.start[y] - cropTop;
      let low = width;
      let high = -1;
      for (let k = Math.max(0, r); k < Math.min(height, r + 3); k++) {
        low = Math.min(low, firsts[k]);
        high = Math.max(high, lasts[k]);
      }
      if (high < 0) continue;
      const w0 = rows.weights[3 * y];
      const w1 = rows.weights[3 * y + 1];
      const w2 = rows.weights[3 * y + 2];
      const row0 = r >= 0 ? r * width : -1;
      const row1 = r + 1 >= 0 && r + 1 < height ? (r + 1) * width : -1;
      const row2 = r + 2 < height ? (r + 2) * width : -1;
      for (let c = Math.max(0, low - 2), end = Math.min(width, high + 3); c < end; c++)
        line[c + 2] =
          w0 * (row0 < 0 ? outside : logits[row0 + c]) +
          w1 * (row1 < 0 ? outside : logits[row1 + c]) +
          w2 * (row2 < 0 ? outside : logits[row2 + c]);
      const left = columns.first[cropLeft + low];
      const right = columns.end[cropLeft + high];
      let runStart = -1;
      for (let x = left; x < right; ) {
        const c = columns.start[x] - cropLeft + 2;
        const a = c >= 0 && c < line.length ? line[c] : outside;
        const b = c + 1 >= 0 && c + 1 < line.length ? line[c + 1] : outside;
        const d = c + 2 >= 0 && c + 2 < line.length ? line[c + 2] : outside;
        const end = Math.min(right, columns.next[x]);
        const allAbove = a > threshold && b > threshold && d > threshold;
        const allBelow = !(a > threshold || b > threshold || d > threshold);
        if (runStart >= 0 ? allAbove : allBelow) {
          x = end; // the run, or the gap, goes on
          continue;
        }
        for (; x < end; x++) {
          const value = columns.weights[3 * x] * a + columns.weights[3 * x + 1] * b + columns.weights[3 * x + 2] * d;
          if (value > threshold) {
            if (runStart < 0) runStart = x;
          } else if (runStart >= 0) {
            spans.push(y, runStart, x);
            area += x - runStart;
            if (runStart < minX) minX = runStart;
            if (x > maxX) maxX = x;
            runStart = -1;
          }
        }
      }
      if (runStart >= 0) {
        spans.push(y, runStart, right);
        area += right - runStart;
        if (runStart < minX) minX = runStart;
        if (right > maxX) maxX = right;
      }
    }
    return spansToMask(spans, area, minX, maxX);
  }
}

/** Spans in row-major order → run lengths inside the tight bounding box. */
function spansToMask(spans: readonly number[], area: number, minX: number, maxX: number): Mask {
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
