import type { Size, YX, YXYX } from './array.js';

/** Boxes [y0, x0, y1, x1) in pixels, upper bounds exclusive, integers or not. */

export function boxArea([y0, x0, y1, x1]: YXYX): number {
  return Math.max(0, y1 - y0) * Math.max(0, x1 - x0);
}

export function boxIntersection(a: YXYX, b: YXYX): number {
  const height = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const width = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return height > 0 && width > 0 ? height * width : 0;
}

/** Intersection over union; 0 for boxes without area. */
export function boxIou(a: YXYX, b: YXYX): number {
  const intersection = boxIntersection(a, b);
  return intersection === 0 ? 0 : intersection / (boxArea(a) + boxArea(b) - intersection);
}

export function boxCentre([y0, x0, y1, x1]: YXYX): YX {
  return [(y0 + y1) / 2, (x0 + x1) / 2];
}

export function boxContains([y0, x0, y1, x1]: YXYX, [y, x]: YX): boolean {
  return y >= y0 && y < y1 && x >= x0 && x < x1;
}

/** The same box, lower bounds first. */
export function orderedBox([y0, x0, y1, x1]: YXYX): YXYX {
  return [Math.min(y0, y1), Math.min(x0, x1), Math.max(y0, y1), Math.max(x0, x1)];
}

/** The box with ordered corners, cut at the image. */
export function clipBox(box: YXYX, [height, width]: Size): YXYX {
  const clip = (value: number, high: number) => Math.min(Math.max(value, 0), high);
  const [y0, x0, y1, x1] = orderedBox(box);
  return [clip(y0, height), clip(x0, width), clip(y1, height), clip(x1, width)];
}

/**
 * Grows a box, cuts it at the image and rounds it (half to even, as NumPy does): micro-sam's `_process_box` (1.8).
 *
 * @param extension pixels on each side if >= 1, else a fraction of the box's height and width
 */
export function extendBox(box: YXYX, extension: number, size: Size): YXYX {
  const pixels = extension >= 1;
  const ey = pixels ? extension : extension * (box[2] - box[0]);
  const ex = pixels ? extension : extension * (box[3] - box[1]);
  const [y0, x0, y1, x1] = clipBox([box[0] - ey, box[1] - ex, box[2] + ey, box[3] + ex], size);
  return [roundHalfEven(y0), roundHalfEven(x0), roundHalfEven(y1), roundHalfEven(x1)];
}

/** Rounds to the nearest integer, halves to the even one: `numpy.round`. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * Greedy suppression: from the best score down, a box goes if it overlaps a kept one by an IoU above `threshold`.
 * Same result as torchvision's `nms`; equal scores keep their order.
 *
 * @returns indices of the kept boxes, best first
 */
export function nonMaximumSuppression(boxes: readonly YXYX[], scores: ArrayLike<number>, threshold: number): number[] {
  const order = boxes.map((_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
  const kept: number[] = [];
  for (const i of order) {
    const box = boxes[i];
    let free = true;
    for (let k = 0; k < kept.length && free; k++) free = !(boxIou(boxes[kept[k]], box) > threshold);
    if (free) kept.push(i);
  }
  return kept;
}
