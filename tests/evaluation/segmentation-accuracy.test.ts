import assert from 'node:assert/strict';
import { matchObjects, overlapsOf } from '../../src/evaluation/matching.js';
import {
  ACCURACY_THRESHOLDS,
  countsAt,
  scoreSegmentation,
  segmentationAccuracy,
  separateObjects,
} from '../../src/evaluation/segmentation-accuracy.js';
import type { LabelImage } from '../../src/ndimage/array.js';
import { assign } from '../support/assignment.js';
import { labelsFromPicture, randomDisks } from '../support/blobs.js';
import { randomInteger, seededRandom } from '../support/random.js';

/** The same pseudo-random disks as the Python that made the table below. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 2 ** 31;
  };
}

function disks(seed: number, count: number): LabelImage {
  const next = generator(seed);
  const data = new Uint32Array(60 * 70);
  for (let id = 1; id <= count; id++) {
    const [cy, cx, radius] = [next() * 60, next() * 70, 3 + next() * 8];
    for (let p = 0; p < data.length; p++)
      if ((Math.floor(p / 70) - cy) ** 2 + ((p % 70) - cx) ** 2 <= radius * radius) data[p] = id;
  }
  return { data, shape: [60, 70] };
}

/** Moved by a few pixels around the border, every fourth object missing. */
function disturbed(seed: number, { data, shape }: LabelImage): LabelImage {
  const next = generator(seed);
  const dy = Math.floor(next() * 4) - 1;
  const dx = Math.floor(next() * 4) - 1;
  const moved = data.map((_, p) => {
    const y = (Math.floor(p / 70) - dy + 60) % 60;
    const x = ((p % 70) - dx + 70) % 70;
    const id = data[y * 70 + x];
    return id % 4 === 3 ? 0 : id;
  });
  return { data: moved, shape };
}

/** By its definition in NumPy, with scipy's linear_sum_assignment: mSA, SA50, SA75, precision, recall, F1, Dice. */
const NUMPY = [
  [0.380121212, 0.6, 0.454545455, 0.857142857, 0.666666667, 0.75, 0.877226312],
  [0.155736399, 0.55, 0.033333333, 0.785714286, 0.647058824, 0.709677419, 0.838070404],
  [0.393467352, 0.777777778, 0.333333333, 1.0, 0.777777778, 0.875, 0.775757576],
  [0.09745179, 0.28, 0.032258065, 0.5, 0.388888889, 0.4375, 0.741566769],
];

describe('evaluation/segmentation-accuracy', () => {
  it('gives the values of the definition in NumPy and SciPy', () => {
    NUMPY.forEach((expected, i) => {
      const reference = disks(i + 1, 18);
      const s = scoreSegmentation(reference, disturbed(i + 11, reference));
      const got = [s.msa, s.sa50, s.sa75, s.precision, s.recall, s.f1, s.dice];
      got.forEach((value, k) => {
        assert.ok(
          Math.abs(value - expected[k]) < 1e-8,
          `scene ${i + 1}, score ${k}: ${value}, expected ${expected[k]}`,
        );
      });
    });
  });

  it('thresholds are those of a floating-point arange', () => {
    // numpy.arange(0.5, 1, 0.05).tolist()
    assert.deepEqual(
      ACCURACY_THRESHOLDS,
      [
        0.5, 0.55, 0.6000000000000001, 0.6500000000000001, 0.7000000000000002, 0.7500000000000002, 0.8000000000000003,
        0.8500000000000003, 0.9000000000000004, 0.9500000000000004,
      ],
    );
    const threeQuarters = overlapsOf(labelsFromPicture('1111'), labelsFromPicture('111.'));
    assert.equal(segmentationAccuracy(threeQuarters, 0.75), 1);
    assert.equal(segmentationAccuracy(threeQuarters, ACCURACY_THRESHOLDS[5]), 0);
  });

  it('a perfect result scores 1 whatever the ids, an empty one 0 unless there is nothing to find', () => {
    const reference = labelsFromPicture('11.22', '11..2');
    const renamed = labelsFromPicture('99.33', '99..3');
    const perfect = scoreSegmentation(reference, renamed);
    assert.deepEqual([perfect.msa, perfect.sa50, perfect.f1], [1, 1, 1]);
    const nothing = labelsFromPicture('.....', '.....');
    assert.deepEqual([scoreSegmentation(reference, nothing).msa, scoreSegmentation(nothing, reference).msa], [0, 0]);
    assert.deepEqual([scoreSegmentation(nothing, nothing).msa, scoreSegmentation(nothing, nothing).dice], [1, 1]);
    assert.throws(() => scoreSegmentation(reference, labelsFromPicture('1')), { code: 'invalid_argument' });
  });

  it('counts misses and inventions', () => {
    const reference = labelsFromPicture('11.22.33');
    const predicted = labelsFromPicture('11.2....', '........').data.slice(0, 8);
    const { truePositives, falsePositives, falseNegatives } = countsAt(
      overlapsOf(reference, { data: predicted, shape: [1, 8] }),
      0.6,
    );
    assert.deepEqual([truePositives, falsePositives, falseNegatives], [1, 1, 2]);
  });

  it('torn labels are separate objects, in volumes too', () => {
    assert.deepEqual(separateObjects(labelsFromPicture('1.1')).data, Uint32Array.of(1, 0, 2));
    const volume = { data: Uint32Array.of(1, 0, 1, 1), shape: [2, 1, 2] };
    assert.equal(Math.max(...separateObjects(volume).data), 1);
  });
});

describe('evaluation/matching', () => {
  it('overlaps agree with counting pixels', () => {
    const random = seededRandom(2);
    const a = randomDisks(random, [40, 50], 15, [2, 9]);
    const b = randomDisks(random, [40, 50], 15, [2, 9]);
    const { reference, predicted, pairs } = overlapsOf(a, b);
    const count = (test: (p: number) => boolean) => [...a.data.keys()].filter(test).length;
    for (const i of reference.keys())
      for (const j of predicted.keys()) {
        const shared = count((p) => a.data[p] === reference[i] && b.data[p] === predicted[j]);
        const union = count((p) => a.data[p] === reference[i] || b.data[p] === predicted[j]);
        const pair = pairs.find((o) => o.reference === i && o.predicted === j);
        assert.equal(pair?.intersection ?? 0, shared);
        assert.equal(pair?.iou ?? 0, shared / union);
      }
  });

  it('as many pairs as the optimal assignment has, at low thresholds too where choices conflict', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = seededRandom(seed);
      const n = randomInteger(random, 1, 7);
      const m = randomInteger(random, 1, 7);
      const iou = Array.from({ length: n * m }, () => (random() < 0.5 ? 0 : random()));
      const pairs = iou
        .map((value, k) => ({ reference: Math.floor(k / m), predicted: k % m, intersection: 1, iou: value }))
        .filter((pair) => pair.iou > 0);
      const overlaps = { reference: [...Array(n).keys()], predicted: [...Array(m).keys()], pairs };
      const threshold = 0.2;
      const cost = iou.map((value) => (value >= threshold ? -1 : 0) - value / (2 * Math.min(n, m)));
      const best = [...assign(cost, n, m)].filter((j, i) => j >= 0 && iou[i * m + j] >= threshold).length;
      const matches = matchObjects(overlaps, threshold);
      assert.equal(matches.length, best, `seed ${seed}`);
      assert.equal(new Set(matches.map((o) => o.reference)).size, best);
      assert.equal(new Set(matches.map((o) => o.predicted)).size, best);
    }
  });
});
