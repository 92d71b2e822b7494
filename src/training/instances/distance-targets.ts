import type { LabelImage, YXYX } from '../../ndimage/array.js';
import { roundHalfEven } from '../../ndimage/boxes.js';
import { distanceTransform } from '../../ndimage/distance.js';

/**
 * What an instance decoder learns to give: for every pixel whether it lies in an object, and how far it is from the
 * object's centre and from its boundary. As `PerObjectDistanceTransform` of torch-em 0.10
 * (torch_em/transform/label.py), which micro-sam trains with.
 */
export interface DistanceTargets {
  /** 1 in objects, 0 outside; [H, W], as the others. */
  readonly foreground: Float32Array;
  /** 0 in the centre of an object, 1 in its farthest pixel; 1 outside of objects. */
  readonly centre: Float32Array;
  /** 0 in the pixel farthest from the boundary, 1 on it; 1 outside of objects. */
  readonly boundary: Float32Array;
}

export function distanceTargets(labels: LabelImage): DistanceTargets {
  const { length } = labels.data;
  const targets: DistanceTargets = {
    foreground: new Float32Array(length),
    centre: new Float32Array(length).fill(1),
    boundary: new Float32Array(length).fill(1),
  };
  const isBoundary = innerBoundaries(labels);
  for (const [id, box] of boxesOf(labels)) addObject(labels, id, box, isBoundary, targets);
  return targets;
}

/** Pixels of objects with a neighbour (by face) of another label; the border of the image is no boundary. */
function innerBoundaries({ data, shape: [height, width] }: LabelImage): Uint8Array {
  const found = new Uint8Array(data.length);
  for (let y = 0, p = 0; y < height; y++) {
    for (let x = 0; x < width; x++, p++) {
      const id = data[p];
      if (id === 0) continue;
      const differs =
        (y > 0 && data[p - width] !== id) ||
        (y + 1 < height && data[p + width] !== id) ||
        (x > 0 && data[p - 1] !== id) ||
        (x + 1 < width && data[p + 1] !== id);
      if (differs) found[p] = 1;
    }
  }
  return found;
}

function boxesOf({ data, shape: [height, width] }: LabelImage): Map<number, YXYX> {
  const boxes = new Map<number, [number, number, number, number]>();
  for (let y = 0, p = 0; y < height; y++) {
    for (let x = 0; x < width; x++, p++) {
      const id = data[p];
      if (id === 0) continue;
      const box = boxes.get(id);
      if (!box) {
        boxes.set(id, [y, x, y + 1, x + 1]);
        continue;
      }
      if (x < box[1]) box[1] = x;
      if (y >= box[2]) box[2] = y + 1;
      if (x >= box[3]) box[3] = x + 1;
    }
  }
  return boxes;
}

const TINY = 1e-7;

/** Everything happens inside the object's box: boundaries of neighbours outside of it are not seen. */
function addObject(labels: LabelImage, id: number, box: YXYX, isBoundary: Uint8Array, targets: DistanceTargets): void {
  const width = labels.shape[1];
  const [top, left, bottom, right] = box;
  const size = [bottom - top, right - left] as const;
  const inner = new Uint8Array(size[0] * size[1]);
  const pixels: number[] = []; // of the object, as positions in the box
  for (let y = 0, q = 0; y < size[0]; y++) {
    for (let x = 0; x < size[1]; x++, q++) {
      const p = (top + y) * width + left + x;
      inner[q] = isBoundary[p] ? 0 : 1;
      if (labels.data[p] === id) pixels.push(q);
    }
  }
  // An object that fills the image has no boundary at all.
  const depth = distanceTransform({ data: inner, shape: size }).data.map((d) => (Number.isFinite(d) ? d : 0));
  const [cy, cx] = centreOf(pixels, size[1], depth);
  const deepest = pixels.reduce((most, q) => Math.max(most, depth[q]), 0);
  const away = (q: number) => Math.hypot(Math.floor(q / size[1]) - cy, (q % size[1]) - cx);
  const farthest = pixels.reduce((most, q) => Math.max(most, away(q)), 0);
  const shallowest = pixels.reduce((most, q) => Math.max(most, deepest - depth[q]), 0);
  for (const q of pixels) {
    const p = (top + Math.floor(q / size[1])) * width + left + (q % size[1]);
    targets.foreground[p] = 1;
    targets.centre[p] = away(q) / (farthest + TINY);
    targets.boundary[p] = (deepest - depth[q]) / (shallowest + TINY);
  }
}

/** The rounded centroid, or the deepest pixel where the centroid lies outside of the object. */
function centreOf(pixels: readonly number[], width: number, depth: Float32Array): [y: number, x: number] {
  let [y, x] = [0, 0];
  for (const q of pixels) {
    y += Math.floor(q / width);
    x += q % width;
  }
  const centroid = roundHalfEven(y / pixels.length) * width + roundHalfEven(x / pixels.length);
  let centre = centroid;
  if (!pixels.includes(centroid)) {
    centre = pixels[0];
    for (const q of pixels) if (depth[q] > depth[centre]) centre = q;
  }
  return [Math.floor(centre / width), centre % width];
}
