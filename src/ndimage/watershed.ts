import type { LabelImage, Tensor } from './array.js';
import { threeAxes } from './label.js';

const LEVELS = 65536;

/**
 * Seeded watershed (Meyer's flooding) in 2D and 3D over face neighbours: seeds grow from low heights to high ones,
 * level by level, first come first served within a level, until they meet. Heights are quantised to 65,536 levels, so a
 * queue per level is enough. Pixels of the mask that no seed reaches stay 0.
 *
 * @param heights same shape as `seeds`, finite
 * @param mask nonzero where labels may grow; everywhere if absent
 */
export function watershed(heights: Tensor, seeds: LabelImage, mask?: Tensor): LabelImage {
  const [depth, height, width] = threeAxes(seeds.shape);
  const plane = height * width;
  const count = depth * plane;
  const level = quantise(heights);
  const labels = new Uint32Array(count);
  // One first-in first-out list per level, linked through `next`.
  const head = new Int32Array(LEVELS).fill(-1);
  const tail = new Int32Array(LEVELS);
  const next = new Int32Array(count);
  const push = (p: number, at: number) => {
    next[p] = -1;
    if (head[at] < 0) head[at] = p;
    else next[tail[at]] = p;
    tail[at] = p;
  };
  for (let p = 0; p < count; p++) {
    if (seeds.data[p] === 0 || (mask && mask.data[p] === 0)) continue;
    labels[p] = seeds.data[p];
    push(p, level[p]);
  }
  const inside = mask?.data;
  for (let now = 0; now < LEVELS; now++) {
    const grow = (q: number, label: number) => {
      if (labels[q] !== 0 || (inside && inside[q] === 0)) return;
      labels[q] = label;
      push(q, level[q] > now ? level[q] : now);
    };
    for (let p = head[now]; p >= 0; p = head[now]) {
      head[now] = next[p];
      const label = labels[p];
      const x = p % width;
      const inPlane = depth === 1 ? p : p % plane;
      if (p >= plane) grow(p - plane, label);
      if (inPlane >= width) grow(p - width, label);
      if (x > 0) grow(p - 1, label);
      if (x < width - 1) grow(p + 1, label);
      if (inPlane < plane - width) grow(p + width, label);
      if (p < count - plane) grow(p + plane, label);
    }
  }
  return { data: labels, shape: seeds.shape };
}

function quantise({ data }: Tensor): Uint16Array {
  let low = Infinity;
  let high = -Infinity;
  for (let p = 0; p < data.length; p++) {
    if (data[p] < low) low = data[p];
    if (data[p] > high) high = data[p];
  }
  const scale = high > low ? (LEVELS - 1) / (high - low) : 0;
  const level = new Uint16Array(data.length);
  for (let p = 0; p < data.length; p++) level[p] = Math.round((data[p] - low) * scale);
  return level;
}
