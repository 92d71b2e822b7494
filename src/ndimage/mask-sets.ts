import type { Size, YXYX } from './array.js';
import type { Mask } from './mask.js';
import { EMPTY_MASK, fullMask, maskFromSpans, maskSpans, translateMask } from './rle.js';

/** Set algebra on masks, by walking the spans of both once: union, intersection, difference, overlap. */

// Which of the four cases (in neither, only b, only a, both) belong to the result, as bits 0..3.
const UNION = 0b1110;
const INTERSECTION = 0b1000;
const DIFFERENCE = 0b0100;

export function unionMasks(a: Mask, b: Mask): Mask {
  if (a.area === 0) return b;
  if (b.area === 0) return a;
  return combine(a, b, UNION);
}

export function intersectMasks(a: Mask, b: Mask): Mask {
  return boxesMeet(a.box, b.box) ? combine(a, b, INTERSECTION) : EMPTY_MASK;
}

/** The pixels of `a` that are not in `b`. */
export function subtractMasks(a: Mask, b: Mask): Mask {
  return boxesMeet(a.box, b.box) ? combine(a, b, DIFFERENCE) : a;
}

/** The part of the mask inside a [height, width] image. */
export function clipMask(mask: Mask, size: Size): Mask {
  const [top, left, bottom, right] = mask.box;
  if (top >= 0 && left >= 0 && bottom <= size[0] && right <= size[1]) return mask;
  return intersectMasks(mask, fullMask(size));
}

/** The part of the mask inside a box of integers. */
export function cropMask(mask: Mask, [top, left, bottom, right]: YXYX): Mask {
  return intersectMasks(mask, translateMask(fullMask([bottom - top, right - left]), top, left));
}

export function intersectionArea(a: Mask, b: Mask): number {
  if (!boxesMeet(a.box, b.box)) return 0;
  const s = maskSpans(a);
  const t = maskSpans(b);
  let area = 0;
  for (let i = 0, j = 0; i < s.length && j < t.length; ) {
    if (s[i] !== t[j]) {
      if (s[i] < t[j]) i += 3;
      else j += 3;
      continue;
    }
    const overlap = Math.min(s[i + 2], t[j + 2]) - Math.max(s[i + 1], t[j + 1]);
    if (overlap > 0) area += overlap;
    if (s[i + 2] < t[j + 2]) i += 3;
    else j += 3;
  }
  return area;
}

/** Intersection over union; 0 for two empty masks. */
export function maskIou(a: Mask, b: Mask): number {
  const intersection = intersectionArea(a, b);
  return intersection === 0 ? 0 : intersection / (a.area + b.area - intersection);
}

function boxesMeet(a: YXYX, b: YXYX): boolean {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}

/** Sweeps over the ends of both lists of spans, laid on one line with a gap between rows. */
function combine(a: Mask, b: Mask, keep: number): Mask {
  const top = Math.min(a.box[0], b.box[0]);
  const left = Math.min(a.box[1], b.box[1]);
  const stride = Math.max(a.box[3], b.box[3]) - left + 1;
  const s = spanEnds(a, top, left, stride);
  const t = spanEnds(b, top, left, stride);
  const spans: number[] = [];
  let inside = false;
  let start = 0;
  for (let i = 0, j = 0; i < s.length || j < t.length; ) {
    const position = Math.min(s[i] ?? Infinity, t[j] ?? Infinity);
    while (s[i] === position) i++;
    while (t[j] === position) j++;
    const now = ((keep >> (((i & 1) << 1) | (j & 1))) & 1) === 1;
    if (now === inside) continue;
    if (now) start = position;
    else {
      const y = Math.floor(start / stride);
      spans.push(y + top, start - y * stride + left, position - y * stride + left);
    }
    inside = now;
  }
  return maskFromSpans(spans);
}

function spanEnds(mask: Mask, top: number, left: number, stride: number): Float64Array {
  const spans = maskSpans(mask);
  const ends = new Float64Array((spans.length / 3) * 2);
  for (let i = 0, k = 0; i < spans.length; i += 3) {
    const row = (spans[i] - top) * stride - left;
    ends[k++] = row + spans[i + 1];
    ends[k++] = row + spans[i + 2];
  }
  return ends;
}
