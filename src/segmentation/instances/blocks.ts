import { present } from '../../items.js';
import type { LabelImage, Size, Tensor, YX, YXYX } from '../../ndimage/array.js';
import { makeTiling, type Tile } from '../../ndimage/blocking.js';
import { boxIntersection } from '../../ndimage/boxes.js';
import { type Connectivity, labelComponents } from '../../ndimage/label.js';
import type { Mask } from '../../ndimage/mask.js';
import { maskFromSpans } from '../../ndimage/rle.js';
import { UnionFind } from '../../ndimage/union-find.js';

/**
 * One watershed over an image of any size, a block at a time. Seeds are labelled block by block and joined where they
 * touch across borders, so that a seed has one id everywhere; then every block is flooded with the seeds of its
 * surroundings, and keeps what lies inside. The result is that of one flooding of the whole, for objects that do not reach
 * farther than the surroundings do.
 *
 * The idea is that of micro-sam's tiled post-processing; unlike there, seeds are 8-connected, as in a single block.
 */
export interface Seeds {
  /** (y, x0, x1, id) of every run of a seed, in image pixels, by block. */
  readonly runs: readonly Int32Array[];
  readonly boxes: readonly YXYX[];
  /** Ids are 1 … count. */
  readonly count: number;
}

/** Side of a block in pixels. */
const BLOCK = 1536;

const blocksOf = (size: Size, block: number, halo: number) => makeTiling(size, [block, block], [halo, halo]);

/**
 * @param seedMaskOf nonzero where a box of the image has seeds
 * @param margin how far beyond its pixels a seed mask depends on the image (the reach of smoothing)
 */
export function seedsInBlocks(
  size: Size,
  seedMaskOf: (box: YXYX) => Tensor<Uint8Array>,
  margin: number,
  connectivity: Connectivity = 'all',
  block = BLOCK,
): Seeds {
  const reach = connectivity === 'all' ? 1 : 0;
  const { tiles, grid } = blocksOf(size, block, margin);
  const sets = new UnionFind(1);
  const edges: Edges[] = [];
  const runs = tiles.map(({ inner, outer }, k) => {
    const { labels, count } = labelComponents(crop(seedMaskOf(outer), outer, inner), connectivity);
    const base = sets.length - 1;
    for (let i = 0; i < count; i++) sets.add();
    const found = edgesOf(labels, base);
    edges.push(found);
    const row = Math.floor(k / grid[1]);
    const above = row > 0 ? edges[k - grid[1]] : undefined;
    const before = k % grid[1] > 0 ? edges[k - 1] : undefined;
    if (above) join(sets, above.bottom, found.top, reach);
    if (before) join(sets, before.right, found.left, reach);
    if (reach === 0 || !above) return runsOf(labels, base, inner);
    if (k % grid[1] > 0) joinPixels(sets, edges[k - grid[1] - 1].bottom.at(-1), found.top[0]);
    if (k % grid[1] < grid[1] - 1) joinPixels(sets, edges[k - grid[1] + 1].bottom[0], found.top.at(-1));
    return runsOf(labels, base, inner);
  });
  const numbers = sets.numbered();
  for (const list of runs) for (let i = 3; i < list.length; i += 4) list[i] = numbers[list[i]];
  return { runs, boxes: tiles.map(({ inner }) => inner), count: numbers.reduce((a, b) => Math.max(a, b), 0) };
}

export interface GrownSeed {
  readonly mask: Mask;
  readonly point: YX;
}

/**
 * @param halo how far the surroundings of a block reach
 * @param flood labels of a box from the seeds in it, and what they were flooded by
 */
export function growSeeds(
  size: Size,
  seeds: Seeds,
  halo: number,
  flood: (box: YXYX, seeds: LabelImage) => { labels: LabelImage; heights: Tensor },
  block = BLOCK,
): GrownSeed[] {
  const { tiles } = blocksOf(size, block, halo);
  const spans = new Map<number, number[]>();
  const deepest = new Map<number, { readonly at: YX; readonly height: number }>();
  for (const { inner, outer } of tiles) {
    const { labels, heights } = flood(outer, paint(seeds, outer));
    collect(labels, heights, outer, inner, spans, deepest);
  }
  return [...spans]
    .sort(([a], [b]) => a - b)
    .map(([id, list]) => ({
      mask: maskFromUnorderedSpans(list),
      point: present(deepest.get(id)?.at, 'the deepest pixel of an object'),
    }));
}

interface Edges {
  readonly top: Int32Array;
  readonly bottom: Int32Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
}

function edgesOf({ data, shape: [height, width] }: LabelImage, base: number): Edges {
  const line = (length: number, at: (i: number) => number) =>
    Int32Array.from({ length }, (_, i) => (data[at(i)] === 0 ? 0 : data[at(i)] + base));
  return {
    top: line(width, (x) => x),
    bottom: line(width, (x) => (height - 1) * width + x),
    left: line(height, (y) => y * width),
    right: line(height, (y) => y * width + width - 1),
  };
}

/** Two facing edges: pixels touch those opposite and, with a reach of 1, the ones beside these. */
function join(sets: UnionFind, a: Int32Array, b: Int32Array, reach: number): void {
  for (let i = 0; i < a.length; i++) for (let k = i - reach; k <= i + reach; k++) joinPixels(sets, a[i], b[k]);
}

function joinPixels(sets: UnionFind, a: number | undefined, b: number | undefined): void {
  if (a && b) sets.union(a, b);
}

function crop({ data, shape }: Tensor<Uint8Array>, outer: YXYX, inner: YXYX): Tensor<Uint8Array> {
  const [height, width] = [inner[2] - inner[0], inner[3] - inner[1]];
  const out = new Uint8Array(height * width);
  for (let y = 0; y < height; y++) {
    const from = (y + inner[0] - outer[0]) * shape[1] + inner[1] - outer[1];
    out.set(data.subarray(from, from + width), y * width);
  }
  return { data: out, shape: [height, width] };
}

function runsOf({ data, shape: [height, width] }: LabelImage, base: number, [top, left]: YXYX): Int32Array {
  const runs: number[] = [];
  for (let y = 0, p = 0; y < height; y++)
    for (let x = 0; x < width; ) {
      const id = data[p];
      const start = x;
      for (; x < width && data[p] === id; x++) p++;
      if (id !== 0) runs.push(y + top, start + left, x + left, id + base);
    }
  return Int32Array.from(runs);
}

function paint({ runs, boxes }: Seeds, box: YXYX): LabelImage {
  const [top, left, bottom, right] = box;
  const [height, width] = [bottom - top, right - left];
  const data = new Uint32Array(height * width);
  for (const [k, list] of runs.entries()) {
    if (boxIntersection(boxes[k], box) === 0) continue;
    for (let i = 0; i < list.length; i += 4) {
      const y = list[i] - top;
      if (y < 0 || y >= height) continue;
      const from = Math.max(list[i + 1] - left, 0);
      const to = Math.min(list[i + 2] - left, width);
      if (from < to) data.fill(list[i + 3], y * width + from, y * width + to);
    }
  }
  return { data, shape: [height, width] };
}

function collect(
  { data, shape }: LabelImage,
  heights: Tensor,
  outer: Tile['outer'],
  inner: Tile['inner'],
  spans: Map<number, number[]>,
  deepest: Map<number, { readonly at: YX; readonly height: number }>,
): void {
  for (let y = inner[0]; y < inner[2]; y++) {
    const row = (y - outer[0]) * shape[1] - outer[1];
    for (let x = inner[1]; x < inner[3]; ) {
      const id = data[row + x];
      const start = x;
      let lowest = Infinity;
      let at = x;
      for (; x < inner[3] && data[row + x] === id; x++) {
        if (id === 0 || heights.data[row + x] >= lowest) continue;
        lowest = heights.data[row + x];
        at = x;
      }
      if (id === 0) continue;
      const list = spans.get(id);
      if (list) list.push(y, start, x);
      else spans.set(id, [y, start, x]);
      const known = deepest.get(id);
      if (!known || lowest < known.height) deepest.set(id, { at: [y, at], height: lowest });
    }
  }
}

/** Spans of several blocks: sorted, and joined where one goes on in the next block. */
function maskFromUnorderedSpans(list: readonly number[]): Mask {
  const triples = Array.from({ length: list.length / 3 }, (_, i) => list.slice(3 * i, 3 * i + 3));
  triples.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const joined: number[] = [];
  for (const [y, x0, x1] of triples) {
    if (joined.at(-3) === y && joined.at(-1) === x0) joined[joined.length - 1] = x1;
    else joined.push(y, x0, x1);
  }
  return maskFromSpans(joined);
}
