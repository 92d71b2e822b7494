import { entryOf, present } from '../../items.js';
import type { LabelImage } from '../../ndimage/array.js';
import { labelComponents, mapLabels } from '../../ndimage/label.js';
import { MERGE_OPTIONS, type MergeOptions } from './options.js';

/**
 * Slice-wise segmentations → objects of the volume. Objects of neighbouring slices are joined where they overlap enough
 * by correlation clustering (multicut) on the slice graph, solved by greedy additive edge contraction, which is exact
 * or nearly so on graphs this close to a forest. Source: `merge_instance_segmentation_3d` of micro-sam 1.8,
 * with its hidden threshold as a parameter and the object of smallest id not skipped.
 */
/** The weight of an edge whose overlap is `o`: positive attracts. Zero at `minOverlap`. */
function edgeWeight(overlap: number, minOverlap: number): number {
  const logit = (o: number) => {
    const p = 0.998 * o + 0.001;
    return Math.log((1 - p) / p);
  };
  return logit(minOverlap) - logit(overlap);
}

/**
 * @param slices [Z, H, W]; ids need not be unique across slices
 * @returns [Z, H, W], ids 1..n without gaps, equal across slices for one object
 */
export function mergeSlices(slices: LabelImage, options: MergeOptions = {}): LabelImage {
  const settings = { ...MERGE_OPTIONS, ...options };
  const closed = settings.gapClosing > 0 ? closeGaps(slices, settings.gapClosing) : slices;
  const { data, count } = uniqueAcrossSlices(closed);
  const [depth, height, width] = slices.shape;
  const area = height * width;
  const sizes = new Float64Array(count + 1);
  for (let i = 0; i < data.length; i++) sizes[data[i]]++;
  const overlaps = new Map<number, number>();
  for (let z = 0; z + 1 < depth; z++) {
    for (let i = z * area; i < (z + 1) * area; i++) {
      const a = data[i];
      const b = data[i + area];
      if (a === 0 || b === 0) continue;
      const key = a * (count + 1) + b;
      overlaps.set(key, (overlaps.get(key) ?? 0) + 1);
    }
  }
  const edges = [...overlaps].map(([key, pixels]) => {
    const a = Math.floor(key / (count + 1));
    return { a, b: key % (count + 1), weight: edgeWeight(pixels / sizes[a], settings.minOverlap) };
  });
  const cluster = greedyAdditiveContraction(count + 1, edges);
  const merged = new Uint32Array(data.length);
  for (let i = 0; i < data.length; i++) merged[i] = data[i] === 0 ? 0 : cluster[data[i]];
  return relabelWithExtent({ data: merged, shape: slices.shape }, settings.minExtent);
}

/** Ids made unique over the volume: slice z's ids follow those of slice z-1. */
function uniqueAcrossSlices(slices: LabelImage): { data: Uint32Array; count: number } {
  const [depth, height, width] = slices.shape;
  const area = height * width;
  const data = new Uint32Array(slices.data.length);
  let count = 0;
  for (let z = 0; z < depth; z++) {
    const ids = new Map<number, number>();
    for (let i = z * area; i < (z + 1) * area; i++) {
      const id = slices.data[i];
      if (id === 0) continue;
      let unique = ids.get(id);
      if (unique === undefined) {
        unique = ++count;
        ids.set(id, unique);
      }
      data[i] = unique;
    }
  }
  return { data, count };
}

interface Edge {
  readonly a: number;
  readonly b: number;
  readonly weight: number;
}

/**
 * Correlation clustering: join the pair with the largest summed weight while it is positive (Keuper et al. 2015, GAEC).
 * Returns the cluster of each node, named by one of its nodes.
 */
export function greedyAdditiveContraction(nodes: number, edges: readonly Edge[]): Uint32Array {
  const parent = Uint32Array.from({ length: nodes }, (_, i) => i);
  const find = (n: number): number => {
    let root = n;
    while (parent[root] !== root) root = parent[root];
    while (parent[n] !== root) [n, parent[n]] = [parent[n], root];
    return root;
  };
  const neighbours: Map<number, number>[] = Array.from({ length: nodes }, () => new Map());
  for (const { a, b, weight } of edges) {
    neighbours[a].set(b, (neighbours[a].get(b) ?? 0) + weight);
    neighbours[b].set(a, (neighbours[b].get(a) ?? 0) + weight);
  }
  const queue = edges.filter((e) => e.weight > 0).sort((x, y) => x.weight - y.weight);
  while (queue.length > 0) {
    const { a, b, weight } = present(queue.pop(), 'an edge');
    // Stale: one end was contracted since, or the pair's weight changed.
    if (parent[a] !== a || parent[b] !== b || neighbours[a].get(b) !== weight) continue;
    const [keep, gone] = neighbours[a].size >= neighbours[b].size ? [a, b] : [b, a];
    parent[gone] = keep;
    neighbours[keep].delete(gone);
    for (const [other, w] of neighbours[gone]) {
      neighbours[other].delete(gone);
      if (other === keep) continue;
      const sum = (neighbours[keep].get(other) ?? 0) + w;
      neighbours[keep].set(other, sum);
      neighbours[other].set(keep, sum);
      if (sum > 0) insertSorted(queue, { a: keep, b: other, weight: sum });
    }
    neighbours[gone].clear();
  }
  return Uint32Array.from({ length: nodes }, (_, i) => find(i));
}

function insertSorted(queue: Edge[], edge: Edge): void {
  let low = 0;
  let high = queue.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (queue[middle].weight < edge.weight) low = middle + 1;
    else high = middle;
  }
  queue.splice(low, 0, edge);
}

/**
 * Closes gaps along z: a slice's foreground gains what both sides of a gap of at most `gap` slices hold. A component of
 * the closed slice becomes one object unless it would join several original ones. Source: `_preprocess_closing` of micro-sam 1.8.
 */
export function closeGaps(slices: LabelImage, gap: number): LabelImage {
  const [depth, height, width] = slices.shape;
  const area = height * width;
  const out = slices.data.slice();
  for (let z = gap; z < depth - gap; z++) {
    const plane = new Uint32Array(area);
    for (let p = 0; p < area; p++) plane[p] = closedAt(slices.data, z, p, area, gap) ? 1 : 0;
    const { labels, count } = labelComponents({ data: plane, shape: [height, width] }, 'all');
    const original = Array.from({ length: count + 1 }, () => new Set<number>());
    const base = z * area;
    for (let p = 0; p < area; p++) {
      if (labels.data[p] !== 0 && slices.data[base + p] !== 0) original[labels.data[p]].add(slices.data[base + p]);
    }
    let fresh = 0;
    for (let p = 0; p < area; p++) fresh = Math.max(fresh, slices.data[base + p]);
    const ids = new Map<number, number>();
    for (let p = 0; p < area; p++) {
      const component = labels.data[p];
      if (component === 0 || original[component].size > 1) continue;
      let id = ids.get(component);
      if (id === undefined) {
        id = [...original[component]][0] ?? ++fresh;
        ids.set(component, id);
      }
      out[base + p] = id;
    }
  }
  return { data: out, shape: slices.shape };
}

/** Binary closing along z with `gap` iterations of a 3-pixel line, at one pixel of one slice. */
function closedAt(data: Uint32Array, z: number, p: number, area: number, gap: number): boolean {
  // Closed: every window of gap + 1 steps that contains z holds foreground (erosion of the dilation).
  for (let center = z - gap; center <= z + gap; center++) {
    let hit = false;
    for (let k = center - gap; k <= center + gap && !hit; k++) {
      if (k >= 0 && (k + 1) * area <= data.length && data[k * area + p] !== 0) hit = true;
    }
    if (!hit) return false;
  }
  return true;
}

function relabelWithExtent(labels: LabelImage, minExtent: number): LabelImage {
  const [depth, height, width] = labels.shape;
  const area = height * width;
  const first = new Map<number, number>();
  const last = new Map<number, number>();
  for (let z = 0; z < depth; z++) {
    for (let i = z * area; i < (z + 1) * area; i++) {
      const id = labels.data[i];
      if (id === 0) continue;
      if (!first.has(id)) first.set(id, z);
      last.set(id, z);
    }
  }
  const kept = [...first].filter(([id, z]) => entryOf(last, id) - z + 1 >= minExtent);
  return mapLabels(labels, new Map(kept.map(([id], i) => [id, i + 1])));
}
