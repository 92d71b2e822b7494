import assert from 'node:assert/strict';
import type { LabelImage } from '../../../src/ndimage/array.js';
import { closeGaps, greedyAdditiveContraction, mergeSlices } from '../../../src/segmentation/volume/merge.js';
import { randomInteger, seededRandom } from '../../support/random.js';

const [D, H, W] = [12, 40, 60];

function volume(paint: (z: number, y: number, x: number) => number): LabelImage {
  const data = new Uint32Array(D * H * W);
  for (let z = 0; z < D; z++)
    for (let y = 0; y < H; y++) for (let x = 0; x < W; x++) data[(z * H + y) * W + x] = paint(z, y, x);
  return { data, shape: [D, H, W] };
}

/** Two tubes; ids differ from slice to slice. */
const tubes = (hole: (z: number) => boolean = () => false) =>
  volume((z, y, x) => {
    if (hole(z)) return 0;
    if (Math.hypot(y - 15, x - 15 - z / 2) < 7) return 1 + z;
    if (Math.hypot(y - 25, x - 45) < 8) return 40 - z;
    return 0;
  });

/** The partition is the same although the ids differ. */
function samePartition(a: Uint32Array, b: Uint32Array): boolean {
  const forward = new Map<number, number>();
  const backward = new Map<number, number>();
  for (let i = 0; i < a.length; i++) {
    if ((forward.get(a[i]) ?? b[i]) !== b[i] || (backward.get(b[i]) ?? a[i]) !== a[i]) return false;
    forward.set(a[i], b[i]);
    backward.set(b[i], a[i]);
  }
  return true;
}

const truth = volume((z, y, x) =>
  Math.hypot(y - 15, x - 15 - z / 2) < 7 ? 1 : Math.hypot(y - 25, x - 45) < 8 ? 2 : 0,
);

describe('mergeSlices', () => {
  it('joins the cross-sections of each object and gives consecutive ids', () => {
    const merged = mergeSlices(tubes());
    assert.ok(samePartition(merged.data, truth.data));
    assert.deepEqual(new Set(merged.data), new Set([0, 1, 2]));
  });

  it('leaves an object in two at a gap, and closes the gap when asked to', () => {
    const broken = tubes((z) => z === 5);
    assert.equal(new Set(mergeSlices(broken).data).size, 5);
    const closed = mergeSlices(broken, { gapClosing: 1 });
    assert.equal(new Set(closed.data).size, 3);
    for (let z = 0; z < D; z++) assert.ok(closed.data.subarray(z * H * W, (z + 1) * H * W).some((v) => v !== 0));
  });

  it('removes what extends over too few slices', () => {
    const short = volume((z, y, x) => (y < 10 && x < 10 ? 5 : y > 20 && x > 20 && z < 3 ? 9 : 0));
    assert.deepEqual(new Set(mergeSlices(short, { minExtent: 4 }).data), new Set([0, 1]));
    assert.deepEqual(new Set(mergeSlices(short, { minExtent: 3 }).data), new Set([0, 1, 2]));
  });

  it('separates objects that overlap less than the minimum', () => {
    const shifted = volume((z, y, x) => (y < 20 && x >= z * 8 && x < z * 8 + 10 ? 1 : 0));
    assert.equal(new Set(mergeSlices(shifted, { minOverlap: 0.1 }).data).size, 2);
    assert.ok(new Set(mergeSlices(shifted, { minOverlap: 0.3 }).data).size > 5);
  });

  it('keeps different objects apart when closing would join them', () => {
    const stacked = volume((z, y, x) => (y < 20 && x < 20 ? (z < 6 ? 1 : 2) : 0));
    const closed = closeGaps(stacked, 1);
    assert.deepEqual(closed.data, stacked.data);
  });
});

describe('greedyAdditiveContraction', () => {
  it('finds the best clustering of small random trees, as trying all of them shows', () => {
    for (let seed = 0; seed < 30; seed++) {
      const random = seededRandom(seed);
      const nodes = 7;
      const edges = Array.from({ length: nodes - 1 }, (_, i) => ({
        a: i + 1,
        b: randomInteger(random, 0, i + 1),
        weight: random() * 2 - 1,
      }));
      const score = (cluster: ArrayLike<number>) =>
        edges.reduce((sum, e) => sum + (cluster[e.a] === cluster[e.b] ? e.weight : 0), 0);
      // On a tree the optimum keeps exactly the positive edges.
      const best = edges.reduce((sum, e) => sum + Math.max(0, e.weight), 0);
      assert.ok(Math.abs(score(greedyAdditiveContraction(nodes, edges)) - best) < 1e-9, `seed ${seed}`);
    }
  });

  it('respects repulsion between objects that share a neighbour', () => {
    const cluster = greedyAdditiveContraction(3, [
      { a: 0, b: 1, weight: 2 },
      { a: 1, b: 2, weight: 1 },
      { a: 0, b: 2, weight: -3 },
    ]);
    assert.equal(cluster[0], cluster[1]);
    assert.notEqual(cluster[1], cluster[2]);
  });
});
