import type { YXYX } from '../ndimage/array.js';
import { distanceTransform } from '../ndimage/distance.js';

/**
 * Mask prompts whose edge is a guess. Given a mask as micro-sam makes it, the same sure value everywhere inside and the
 * opposite outside, SAM returns that mask whatever the image shows; an object that grows or shrinks from slice to slice
 * is then not followed. Here sureness grows with the distance to the edge, and near it the image decides.
 */

/** Part of the object's depth (its largest distance to the edge) over which sureness grows to its full value. */
const REACH = 0.35;

/** @param logits 256 x 256 of `maskToLogits`: one value inside, its opposite outside; the same with soft edges */
export function softenEdge(logits: Float32Array): Float32Array {
  const box = boxOfPositive(logits);
  if (!box) return logits;
  // A cell of background around the object, so that the transform finds its edge, where there is any.
  const within = distances(logits, grown(box, 1), true);
  let depth = 0;
  for (let i = 0; i < within.length; i++) if (within[i] > depth) depth = within[i];
  if (depth === Infinity) return logits;
  const reach = Math.max(1, REACH * depth);
  const near = grown(box, Math.ceil(reach) + 1);
  const soft = logits.slice();
  for (const inside of [true, false]) {
    const distance = distances(logits, near, inside);
    const [top, left, bottom, right] = near;
    // The edge lies half-way between two cells.
    for (let y = top, i = 0; y < bottom; y++)
      for (let p = y * SIDE + left; p < y * SIDE + right; p++, i++)
        if (distance[i] > 0) soft[p] *= Math.min(1, (distance[i] - 0.5) / reach);
  }
  return soft;
}

const SIDE = 256;

function boxOfPositive(logits: Float32Array): YXYX | undefined {
  let [top, left, bottom, right] = [SIDE, SIDE, 0, 0];
  for (let p = 0; p < logits.length; p++) {
    if (!(logits[p] > 0)) continue;
    const x = p % SIDE;
    if (top === SIDE) top = (p - x) / SIDE;
    bottom = (p - x) / SIDE + 1;
    if (x < left) left = x;
    if (x >= right) right = x + 1;
  }
  return bottom === 0 ? undefined : [top, left, bottom, right];
}

function grown([top, left, bottom, right]: YXYX, by: number): YXYX {
  return [Math.max(0, top - by), Math.max(0, left - by), Math.min(SIDE, bottom + by), Math.min(SIDE, right + by)];
}

/** For the cells of the box, in order: how far from the other side, 0 on that side. */
function distances(logits: Float32Array, [top, left, bottom, right]: YXYX, inside: boolean): Float32Array {
  const shape = [bottom - top, right - left];
  const data = new Uint8Array(shape[0] * shape[1]);
  for (let y = top, i = 0; y < bottom; y++)
    for (let p = y * SIDE + left; p < y * SIDE + right; p++, i++) data[i] = Number(logits[p] > 0 === inside);
  return distanceTransform({ data, shape }).data;
}
