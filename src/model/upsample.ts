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
  return { length: original, start, weights, next };
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
    const outside = threshold - 1;
    // One image row interpolated vertically, padded by two cells left and right of the crop with "outside".
    const line = new Float32Array(width + 4).fill(outside);
    const [top, bottom] = reach(rows, cropTop, cropBottom);
    const [left, right] = reach(columns, cropLeft, cropRight);
    const spans: number[] = []; // triples: y, x0, x1
    let area = 0;
    let minX = Infinity;
    let maxX = -1;
    for (let y = top; y < bottom; y++) {
      const r = rows.start[y] - cropTop;
      const w0 = rows.weights[3 * y];
      const w1 = rows.weights[3 * y + 1];
      const w2 = rows.weights[3 * y + 2];
      let anything = false;
      for (let c = 0; c < width; c++) {
        let value = 0;
        if (w0 !== 0) value += w0 * at(logits, r, c, width, cropBottom - cropTop, outside);
        if (w1 !== 0) value += w1 * at(logits, r + 1, c, width, cropBottom - cropTop, outside);
        if (w2 !== 0) value += w2 * at(logits, r + 2, c, width, cropBottom - cropTop, outside);
        line[c + 2] = value;
        if (value > threshold) anything = true;
      }
      if (!anything) continue;
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

function at(logits: Float32Array, r: number, c: number, width: number, height: number, outside: number): number {
  return r < 0 || r >= height ? outside : logits[r * width + c];
}

/** The output indices that any logit in [low, high) can reach. */
function reach(taps: Taps, low: number, high: number): [number, number] {
  let first = 0;
  while (first < taps.length && taps.start[first] + 2 < low) first++;
  let last = taps.length;
  while (last > first && taps.start[last - 1] >= high) last--;
  return [first, last];
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
