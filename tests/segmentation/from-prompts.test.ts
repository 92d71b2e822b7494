import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Size, Tensor, YX, YXYX } from '../../src/ndimage/array.js';
import { makeTiling } from '../../src/ndimage/blocking.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { rasterizeStroke } from '../../src/ndimage/rasterize.js';
import { fullMask, maskFromBitmap, maskToBitmap, paintMask, translateMask } from '../../src/ndimage/rle.js';
import type { SegmentContext } from '../../src/segmentation/context.js';
import {
  segmentBatch,
  segmentFromBox,
  segmentFromBoxAndPoints,
  segmentFromMask,
  segmentFromPoints,
} from '../../src/segmentation/from-prompts.js';
import type { ImagePrompt, PromptPoint } from '../../src/segmentation/image-prompt.js';
import { pointsFromMask } from '../../src/segmentation/points-from-mask.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { contextOf } from '../support/embedding-source.js';
import { nodeWorker } from '../support/node-engine.js';

/** The cases that micro-sam's own tests hold for vit_t: bright disks, found with an IoU above 0.9. */

let worker: SamWorker;

function diskScene(size: Size, centre: YX, radius: number): { pixels: Tensor; disk: Mask } {
  const disk = rasterizeStroke([centre], radius, size);
  return { pixels: { data: maskToBitmap(disk, size).map((value) => value * 255), shape: [...size] }, disk };
}

const positive = (y: number, x: number): PromptPoint => ({ at: [y, x], positive: true });
const negative = (y: number, x: number): PromptPoint => ({ at: [y, x], positive: false });

function assertFound(result: { mask: Mask }, disk: Mask, least = 0.9): void {
  const iou = maskIou(result.mask, disk);
  assert.ok(iou > least, `IoU ${iou.toFixed(3)}, expected more than ${least}`);
}

function invalid(pattern: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof Error);
    assert.equal((error as { code?: string }).code, 'invalid_prompt', String(error));
    assert.match(error.message, pattern);
    return true;
  };
}

describe('segmentation/from-prompts', function () {
  this.timeout(120_000);
  before(async () => {
    worker = await nodeWorker();
  });

  for (const [name, size, centre] of [
    ['a square image', [256, 256], [128, 128]],
    ['an image that is not square', [1040, 1408], [776, 960]],
  ] as const) {
    describe(name, () => {
      let context: SegmentContext;
      let disk: Mask;
      let box: YXYX;
      const [cy, cx] = centre;
      before(() => {
        const scene = diskScene(size, centre, 20);
        disk = scene.disk;
        box = disk.box;
        context = contextOf(worker, scene.pixels);
      });

      it('one positive point: three candidates, the best by score first', async () => {
        const result = await segmentFromPoints(context, [positive(cy, cx)]);
        assertFound(result, disk);
        assert.deepEqual(result.candidates.map(({ token }) => token).sort(), [1, 2, 3]);
        for (let i = 1; i < 3; i++)
          assert.ok(result.candidates[i - 1].predictedIou >= result.candidates[i].predictedIou);
        assert.equal(result.mask, result.candidates[0].mask);
        assert.equal(result.predictedIou, result.candidates[0].predictedIou);
        assert.ok(result.stability > 0.9 && result.stability <= 1);
      });

      it('a positive and four negative points', async () => {
        // Far away in the small picture, at the corners of the disk's box in the large one.
        const away = size[0] === size[1] ? 64 : 20;
        const corners = [-1, 1].flatMap((dy) => [-1, 1].map((dx) => negative(cy + away * dy, cx + away * dx)));
        const result = await segmentFromPoints(context, [positive(cy, cx), ...corners]);
        assertFound(result, disk);
        assert.deepEqual(
          result.candidates.map(({ token }) => token),
          [0],
        );
      });

      it('a box, alone and with points', async () => {
        assertFound(await segmentFromBox(context, box), disk);
        assertFound(await segmentFromBoxAndPoints(context, box, [positive(cy, cx), negative(cy + 60, cx)]), disk);
      });

      it('the mask with its box, with points, with both, and its box alone', async () => {
        for (const use of [
          { useBox: true, useMask: true },
          { useBox: false, useMask: true, points: [positive(cy, cx)] },
          { useBox: true, useMask: true, points: [positive(cy, cx)] },
          { useBox: true, useMask: false },
        ])
          assertFound(await segmentFromMask(context, disk, use), disk);
      });

      it('points derived from the mask', async () => {
        const options = { useBox: false, useMask: false, usePoints: true, boxExtension: 4 };
        assertFound(await segmentFromMask(context, disk, options), disk, 0.7);
        assertFound(await segmentFromMask(context, disk, { ...options, singlePoint: true }), disk);
      });

      if (size[0] === size[1])
        it('the mask alone', async () => {
          assertFound(await segmentFromMask(context, disk, { useBox: false }), disk);
        });

      it('a result is refined by another point and its own logits', async () => {
        const first = await segmentFromPoints(context, [positive(cy, cx)]);
        const points = [positive(cy, cx), positive(cy + 10, cx)];
        const refined = await segmentFromPoints(context, points, { previous: first.lowRes });
        assertFound(refined, disk);
        const fresh = await segmentFromPoints(context, points);
        assert.notDeepEqual(refined.lowRes.logits, fresh.lowRes.logits, 'the earlier logits count');
      });
    });
  }

  it('a batch gives what the prompts give one at a time, in any mixture', async () => {
    const size: Size = [200, 300];
    const disks = [
      [50, 60, 20],
      [120, 200, 30],
      [150, 70, 25],
    ].map(([y, x, r]) => ({ centre: [y, x] as const, mask: rasterizeStroke([[y, x]], r, size) }));
    const data = new Uint32Array(size[0] * size[1]);
    for (const { mask } of disks) paintMask({ data, shape: [...size] }, mask, 200);
    const context = contextOf(worker, { data, shape: [...size] });
    const prompts: ImagePrompt[] = disks.flatMap(({ centre: [y, x], mask }) => [
      { points: [positive(y, x)] },
      { box: mask.box },
      { points: [positive(y, x), negative(5, 5)] },
      { box: mask.box, points: [positive(y, x)] },
      { box: mask.box, mask },
    ]);
    const together = await segmentBatch(context, prompts);
    for (const [i, prompt] of prompts.entries()) {
      const [alone] = await segmentBatch(context, [prompt]);
      const iou = maskIou(alone.mask, together[i].mask);
      assert.ok(iou > 0.999, `prompt ${i}: ${iou}`);
      assert.ok(Math.abs(alone.predictedIou - together[i].predictedIou) < 1e-3);
      assertFound(alone, disks[Math.floor(i / 5)].mask);
    }
  });

  describe('in tiles', () => {
    const size: Size = [1024, 1024];
    let context: SegmentContext;
    let disk: Mask;
    before(() => {
      const scene = diskScene(size, [512, 512], 64);
      disk = scene.disk;
      context = contextOf(worker, scene.pixels, makeTiling(size, [512, 512], [96, 96]));
    });

    it('points, with negatives in other tiles; a single point gives three full-size candidates', async () => {
      assertFound(await segmentFromPoints(context, [positive(510, 510), negative(400, 200), negative(200, 400)]), disk);
      const single = await segmentFromPoints(context, [positive(512, 512)]);
      assertFound(single, disk);
      assert.equal(single.candidates.length, 3);
      assert.equal(single.lowRes.tile, 3);
    });

    it('box, box with a point in another tile, mask', async () => {
      assertFound(await segmentFromBox(context, disk.box), disk);
      assertFound(await segmentFromBoxAndPoints(context, disk.box, [positive(500, 500)]), disk);
      for (const use of [{}, { useMask: false }, { useBox: false, usePoints: true, boxExtension: 4 }])
        assertFound(await segmentFromMask(context, disk, use), disk);
    });

    it('a box with y and x apart goes to its own tile', async () => {
      const scene = diskScene([600, 1100], [300, 900], 40);
      const wide = contextOf(worker, scene.pixels, makeTiling([600, 1100], [512, 512], [64, 64]));
      assertFound(await segmentFromBox(wide, scene.disk.box), scene.disk);
      const [result] = await segmentBatch(wide, [{ box: scene.disk.box }]);
      assert.equal(result.lowRes.tile, 1);
    });

    it('logits of another tile are not used, positive points beyond the tile are reported', async () => {
      const first = await segmentFromPoints(context, [positive(512, 512)]);
      const moved = await segmentFromPoints(context, [positive(500, 500)], { previous: first.lowRes });
      const fresh = await segmentFromPoints(context, [positive(500, 500)]);
      assert.deepEqual(moved.lowRes, fresh.lowRes);
      const far = await segmentFromBoxAndPoints(context, disk.box, [positive(520, 520), positive(10, 10)]);
      assert.match(far.notices.join(), /1 positive point lies outside the tile/);
      await assert.rejects(
        segmentFromPoints(context, [positive(5, 1020), positive(1020, 5)]),
        invalid(/too far apart/),
      );
    });

    it('an object larger than the tile says that it is cut', async () => {
      const scene = diskScene(size, [500, 500], 250);
      const small = contextOf(worker, scene.pixels, makeTiling(size, [256, 256], [32, 32]));
      const result = await segmentFromBox(small, scene.disk.box);
      assert.equal(result.touchesTile, true);
      assert.match(result.notices.join(), /larger tiles or a larger halo.*may be cut/);
    });
  });

  describe('bad prompts', () => {
    let context: SegmentContext;
    let encodes = 0;
    before(() => {
      const scene = diskScene([100, 80], [50, 40], 15);
      context = contextOf(worker, scene.pixels);
      const { embedding } = context.embeddings;
      context = {
        ...context,
        embeddings: {
          ...context.embeddings,
          embedding: (...request) => {
            encodes++;
            return embedding(...request);
          },
        },
      };
    });

    it('are refused before any work is done, with what is wrong', async () => {
      await assert.rejects(segmentFromPoints(context, [positive(100, 5)]), invalid(/outside the image of 100 x 80/));
      await assert.rejects(segmentFromPoints(context, [positive(-1, 5)]), invalid(/outside/));
      await assert.rejects(segmentFromPoints(context, [positive(Number.NaN, 5)]), invalid(/NaN/));
      await assert.rejects(segmentFromPoints(context, []), invalid(/at least a point/));
      await assert.rejects(segmentFromBox(context, [10, 10, 10, 40]), invalid(/no pixel/));
      await assert.rejects(segmentFromBox(context, [200, 10, 300, 40]), invalid(/no pixel/));
      await assert.rejects(segmentFromBox(context, [0, 0, Infinity, 40]), invalid(/four numbers/));
      await assert.rejects(segmentFromMask(context, translateMask(fullMask([5, 5]), 0, 90)), invalid(/no pixel/));
      const many = Array.from({ length: 10_000 }, () => positive(50, 40));
      await assert.rejects(segmentFromPoints(context, many), invalid(/10000 points; at most 1000/));
      assert.equal(encodes, 0);
    });

    it('a box with swapped corners and one that leaves the image are understood', async () => {
      const expected = await segmentFromBox(context, [30, 20, 70, 80]);
      const swapped = await segmentFromBox(context, [70, 95, 30, 20]);
      assert.deepEqual(swapped.mask, expected.mask);
    });

    it('a cancelled request stops', async () => {
      await assert.rejects(
        segmentFromPoints(context, [positive(50, 40)], { signal: AbortSignal.abort() }),
        /abort|cancel/i,
      );
    });
  });
});

/** Of random blobs, what `_compute_points_from_mask` gives: y, x and label. */
const MICRO_SAM_POINTS: readonly {
  readonly size: Size;
  readonly runs: readonly number[];
  readonly boxExtension: number;
  readonly singlePoint: boolean;
  readonly points: readonly (readonly number[])[];
}[] = JSON.parse(gunzipSync(readFileSync(path.join('tests', 'fixtures', 'points-from-mask.json.gz'))).toString());

describe('segmentation/points-from-mask', () => {
  const size: Size = [120, 100];

  it('positives lie inside, negatives outside, and the first positive is the innermost', () => {
    const disk = rasterizeStroke([[60, 50]], 20, size);
    const points = pointsFromMask(disk, size, { boxExtension: 8 });
    const bitmap = maskToBitmap(disk, size);
    assert.ok(points.some((point) => point.positive) && points.some((point) => !point.positive));
    for (const { at, positive } of points)
      assert.equal(bitmap[Math.floor(at[0]) * 100 + Math.floor(at[1])] === 1, positive, String(at));
    const [y, x] = points[0].at;
    assert.ok(Math.hypot(y - 60, x - 50) < 2);
    assert.deepEqual(pointsFromMask(disk, size, { singlePoint: true })[0].at, points[0].at);
  });

  it('are those of micro-sam 1.8.14', () => {
    for (const { size, runs, points, ...options } of MICRO_SAM_POINTS) {
      const bitmap = new Uint8Array(size[0] * size[1]);
      let at = 0;
      for (const [k, length] of runs.entries()) {
        bitmap.fill(k % 2, at, at + length);
        at += length;
      }
      const derived = pointsFromMask(maskFromBitmap(bitmap, size), size, options);
      const text = (rows: readonly (readonly number[])[]) => rows.map(String).sort();
      assert.deepEqual(text(derived.map(({ at, positive }) => [...at, Number(positive)])), text(points));
    }
  });

  it('a rectangle that fills the image still has its middle', () => {
    const [point] = pointsFromMask(fullMask([21, 31]), [21, 31], { singlePoint: true });
    assert.equal(point.at[0], 10, 'the index of the pixel, as in micro-sam');
    assert.ok(point.positive);
  });
});
