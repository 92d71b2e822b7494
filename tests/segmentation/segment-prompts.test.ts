import assert from 'node:assert/strict';
import type { Size, YX, YXYX } from '../../src/ndimage/array.js';
import { ellipseRing } from '../../src/ndimage/ellipse.js';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { rasterizeStroke } from '../../src/ndimage/rasterize.js';
import { fullMask, paintMask } from '../../src/ndimage/rle.js';
import type { SegmentContext } from '../../src/segmentation/context.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import { KEEP_CANDIDATES, planObjects, segmentPrompts } from '../../src/segmentation/segment-prompts.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { contextOf } from '../support/embedding-source.js';
import { nodeWorker } from '../support/node-engine.js';

const SIZE: Size = [100, 120];

function point(id: string, at: YX, positive = true, plane = 0): Prompt {
  return { kind: 'point', id, at, positive, plane };
}
function box(id: string, corners: YXYX): Prompt {
  return { kind: 'box', id, box: corners, plane: 0 };
}
function polygon(id: string, ring: YX[]): Prompt {
  return { kind: 'polygon', id, ring, plane: 0 };
}

const A = point('a', [10, 10]);
const B = point('b', [20, 30]);
const NO = point('no', [50, 50], false);
const BOX = box('box', [40, 40, 60, 60]);
const SHAPE = polygon('shape', [
  [70, 70],
  [70, 90],
  [90, 90],
]);

/** Which prompts belong together, and which parts the model gets. */
function plan(prompts: Prompt[], batched: boolean): string[] {
  return planObjects(prompts, SIZE, batched).map(({ prompts: used, prompt }) => {
    const parts = [`${prompt.points?.length ?? 0}p`, prompt.box ? 'box' : '', prompt.mask ? 'mask' : ''];
    return `${used.map(({ id }) => id).join('+')}: ${parts.filter(Boolean).join(' ')}`;
  });
}

function refused(prompts: Prompt[], batched: boolean, code: string, pattern: RegExp): void {
  assert.throws(
    () => planObjects(prompts, SIZE, batched),
    (error: Error & { code?: string }) => error.code === code && pattern.test(error.message),
  );
}

describe('segmentation/segment-prompts', () => {
  it('not batched: points are one object, with one shape too; several shapes are several', () => {
    assert.deepEqual(plan([A, B, NO], false), ['a+b+no: 3p']);
    assert.deepEqual(plan([NO], false), ['no: 1p']);
    assert.deepEqual(plan([BOX], false), ['box: 0p box']);
    assert.deepEqual(plan([A, BOX, NO], false), ['a+no+box: 2p box']);
    assert.deepEqual(plan([A, SHAPE], false), ['a+shape: 1p box mask']);
    assert.deepEqual(plan([SHAPE, BOX], false), ['shape: 0p box mask', 'box: 0p box']);
    refused([BOX, SHAPE, A], false, 'invalid_prompt', /2 shapes and 1 points/);
    refused([], false, 'no_prompts', /add a point/);
  });

  it('batched: positives first, each with all negatives, then boxes with the negatives inside them', () => {
    assert.deepEqual(plan([A, NO, B], true), ['a+no: 2p', 'b+no: 2p']);
    assert.deepEqual(plan([BOX, A, NO, SHAPE], true), ['a+no: 2p', 'box+no: 1p box', 'shape: 0p box']);
    refused([NO], true, 'invalid_prompt', /at least one positive/);
    refused([], true, 'no_prompts', /add a point/);
  });

  it('a drawn shape is its pixels and their box', () => {
    const [{ prompt }] = planObjects(
      [{ kind: 'ellipse', id: 'e', ring: ellipseRing([40, 40, 60, 80]), plane: 0 }],
      SIZE,
      false,
    );
    assert.deepEqual(prompt.box, [40, 40, 60, 80]);
    assert.ok(Math.abs(prompt.mask!.area - Math.PI * 200) < 10);
  });

  it('refuses shapes without pixels and too many objects', () => {
    refused(
      [
        polygon('flat', [
          [5, 5],
          [5, 50],
          [5, 20],
        ]),
      ],
      false,
      'invalid_prompt',
      /no pixel/,
    );
    refused(
      [{ kind: 'mask', id: 'm', mask: { box: [0, 0, 0, 0], runs: new Uint32Array(0), area: 0 }, plane: 0 }],
      false,
      'invalid_prompt',
      /no pixel/,
    );
    const many = Array.from({ length: 10_001 }, (_, i) => point(`p${i}`, [1, 1]));
    refused(many, true, 'invalid_prompt', /10001 objects/);
  });

  describe('with the model', function () {
    this.timeout(120_000);
    let worker: SamWorker;
    let context: SegmentContext;
    const size: Size = [160, 240];
    const centres: YX[] = [
      [40, 50],
      [40, 180],
      [120, 110],
    ];
    const disks = centres.map((centre) => rasterizeStroke([centre], 20, size));

    before(async () => {
      worker = await nodeWorker();
      const picture = { data: new Uint32Array(size[0] * size[1]), shape: [...size] };
      for (const disk of disks) paintMask(picture, disk, 220);
      context = contextOf(worker, picture);
    });

    it('batched points, negatives and boxes find each its own object, ids in order', async () => {
      const progress: number[] = [];
      const prompts = [
        point('1', centres[0]),
        box('3', disks[2].box),
        point('no', [90, 110], false),
        point('2', centres[1]),
      ];
      const { objects, notices } = await segmentPrompts(context, prompts, {
        batched: true,
        onProgress: ({ done, total }) => {
          assert.equal(total, 3);
          progress.push(done);
        },
      });
      assert.deepEqual(
        objects.map(({ id, prompts: used }) => [id, used.map((p) => p.id).join()]),
        [
          [1, '1,no'],
          [2, '2,no'],
          [3, '3'],
        ],
      );
      for (const [i, object] of objects.entries()) assert.ok(maskIou(object.mask, disks[i]) > 0.9, `object ${i + 1}`);
      assert.deepEqual(notices, []);
      assert.equal(progress.at(-1), 3);
    });

    it('a polygon refines to the object it was drawn around', async () => {
      const [y, x] = centres[2];
      const ring: YX[] = [
        [y - 22, x],
        [y, x + 22],
        [y + 22, x],
        [y, x - 22],
      ];
      const { objects } = await segmentPrompts(context, [polygon('drawn', ring)]);
      assert.equal(objects.length, 1);
      assert.ok(maskIou(objects[0].mask, disks[2]) > 0.9);
    });

    it('prompts of other planes do not count', async () => {
      await assert.rejects(segmentPrompts(context, [point('elsewhere', [5, 5], true, 3)]), { code: 'no_prompts' });
      const { objects } = await segmentPrompts(context, [
        point('elsewhere', [5, 5], true, 3),
        point('here', centres[0]),
      ]);
      assert.deepEqual(
        objects[0].prompts.map(({ id }) => id),
        ['here'],
      );
      assert.equal(objects[0].candidates?.length, 3);
    });

    it('one bad prompt among many stops all before anything is decoded', async () => {
      const prompts = [point('good', centres[0]), point('bad', [500, 500])];
      await assert.rejects(segmentPrompts(context, prompts, { batched: true }), { code: 'invalid_prompt' });
    });

    it('many objects do not keep what there was to choose from', async () => {
      const prompts = Array.from({ length: KEEP_CANDIDATES + 1 }, (_, i) => point(`p${i}`, centres[i % 3]));
      const { objects } = await segmentPrompts(context, prompts, { batched: true });
      assert.equal(objects.length, KEEP_CANDIDATES + 1);
      for (const object of objects) assert.equal(object.candidates, undefined);
    });

    it('the whole image as a mask is an object, or said to be none', async () => {
      const { objects, notices } = await segmentPrompts(context, [
        { kind: 'mask', id: 'all', mask: fullMask(size), plane: 0 },
      ]);
      if (objects.length === 0) assert.match(notices.join(), /Nothing was found/);
      else assert.ok(objects[0].id === 1 && objects[0].mask.area > 0);
    });

    it('stops when it is cancelled', async () => {
      const controller = new AbortController();
      const prompts = Array.from({ length: 40 }, (_, i) => point(`p${i}`, centres[i % 3]));
      const running = segmentPrompts(context, prompts, {
        batched: true,
        signal: controller.signal,
        onProgress: () => controller.abort(),
      });
      await assert.rejects(running, /abort|cancel/i);
    });
  });
});
