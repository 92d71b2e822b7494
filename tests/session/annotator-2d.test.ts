import assert from 'node:assert/strict';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { resolveModel } from '../../src/model/registry.js';
import type { YX } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { maskContains, masksFromLabels } from '../../src/ndimage/rle.js';
import { segmentFromPoints } from '../../src/segmentation/from-prompts.js';
import type { PointPrompt } from '../../src/segmentation/prompts.js';
import { Annotator2d } from '../../src/session/annotators/annotator-2d.js';
import { objectAt } from '../../src/session/layers.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo } from '../../src/session/state.js';
import { contextOf } from '../support/embedding-source.js';
import { realWorker } from '../support/real-worker.js';

/** With the real model, on an image whose cells are known. */
describe('annotator 2d', () => {
  const phantom = cellPhantom({ size: [256, 320], cells: 14 });
  const info: ImageInfo = { name: 'phantom', axes: 'yx', size: [256, 320], planes: 1, signature: 'phantom' };
  const cells = [...masksFromLabels(phantom.labels).values()].filter((mask) => mask.area > 300);
  let annotator: Annotator2d;
  let session: AnnotationSession;

  before(async () => {
    const worker = await realWorker();
    await worker.load(resolveModel('vit_t'));
    annotator = new Annotator2d(contextOf(worker, phantom.image));
  });

  beforeEach(() => {
    session = new AnnotationSession();
    session.open(info, annotator);
  });

  let count = 0;
  const point = (at: YX, positive = true): PointPrompt => ({ kind: 'point', id: `${++count}`, plane: 0, at, positive });
  const click = (at: YX, positive = true) => session.run('put_prompts', { prompts: [point(at, positive)] });
  const current = (): Mask => [...session.state.layers.current_object.objects.values()][0].masks.get(0)!;

  /** The pixel of the cell farthest from its bounding box's edge that lies in it: near enough to its middle. */
  function inside(mask: Mask): YX {
    const [y0, x0, y1, x1] = mask.box;
    const middle: YX = [(y0 + y1) / 2, (x0 + x1) / 2];
    assert.ok(maskContains(mask, middle[0], middle[1]), 'cells of the phantom are round');
    return middle;
  }

  it('a click on each cell, a choice of its masks, and C give a label image close to the truth', async () => {
    let sum = 0;
    for (const cell of cells) {
      await click(inside(cell));
      const { candidates } = session.state;
      assert.ok(candidates && candidates.masks.length >= 2);
      const best = Math.max(...candidates.masks.map(({ predictedIou }) => predictedIou));
      assert.equal(candidates.masks[candidates.chosen].predictedIou, best, 'the best of the three is in use');
      const areas = candidates.masks.map(({ mask }) => mask.area);
      assert.deepEqual(
        areas,
        [...areas].sort((a, b) => a - b),
      );
      // The model cannot know whether a cell or its cluster is meant: a person looks and chooses.
      const ious = candidates.masks.map(({ mask }) => maskIou(mask, cell));
      sum += Math.max(...ious);
      await session.run('choose_candidate', { index: ious.indexOf(Math.max(...ious)) });
      await session.run('commit', { preserveMode: 'pixels' });
    }
    const { committed_objects } = session.state.layers;
    assert.equal(committed_objects.objects.size, cells.length);
    assert.ok(sum / cells.length > 0.8, `mean IoU of the best candidates ${sum / cells.length}`);
    for (const [index, cell] of cells.entries()) assert.equal(objectAt(committed_objects, 0, inside(cell)), index + 1);
  });

  it('a box per cell, batched, gives one object a cell, with its own prompt', async () => {
    await session.run('set_settings', { batched: true });
    await session.run('put_prompts', {
      prompts: cells.map(({ box }, i) => ({ kind: 'box' as const, id: `b${i}`, plane: 0, box })),
    });
    const records = [...session.state.layers.current_object.objects.values()];
    assert.equal(records.length, cells.length);
    const ious = records.map((record, i) => maskIou(record.masks.get(0)!, cells[i]));
    assert.ok(ious.reduce((a, b) => a + b) / ious.length > 0.85, `${ious}`);
    await session.run('commit');
    for (const [i, record] of [...session.state.layers.committed_objects.objects.values()].entries())
      assert.deepEqual(
        record.prompts.map(({ id }) => id),
        [`b${i}`],
      );
  });

  it('a click after choosing another mask goes on from the chosen one', async () => {
    const [cell] = cells;
    const at = inside(cell);
    const second: YX = [at[0] + 2, at[1] + 2];
    await click(at);
    const { candidates } = session.state;
    assert.ok(candidates);
    const other = candidates.chosen === 0 ? candidates.masks.length - 1 : 0;
    await click(second);
    const plain = current();
    session.undo();
    await session.run('choose_candidate', { index: other });
    const chosen = current();
    await click(second);
    assert.ok(
      maskIou(current(), chosen) > maskIou(plain, chosen),
      `${maskIou(current(), chosen)} with, ${maskIou(plain, chosen)} without`,
    );
  });

  it('a mask that was decoded roughly is exact once it is chosen', async () => {
    const context = contextOf(await realWorker(), phantom.image);
    const before: number[] = [];
    for (const cell of cells.slice(0, 4)) {
      const at = inside(cell);
      await click(at);
      const exact = await segmentFromPoints(context, [{ at, positive: true }], { exactLogits: true });
      for (const [index, offered] of session.state.candidates!.masks.entries()) {
        const expected = exact.candidates.find(({ iou }) => Math.abs(iou - offered.predictedIou) < 1e-4)!;
        const rough = annotator.exactCandidate(offered.mask) !== undefined;
        if (rough) before.push(maskIou(offered.mask, expected.mask));
        await session.run('choose_candidate', { index });
        assert.equal(session.state.candidates!.chosen, index);
        assert.equal(session.state.candidates!.masks[index].mask, current());
        assert.ok(maskIou(current(), expected.mask) >= (rough ? 0.9999 : 0.995));
      }
      await session.run('undo');
      await session.run('clear_annotations');
    }
    assert.ok(Math.min(...before) < 0.999, `else it shows nothing: ${before}`);
  });

  it('with a stated size the mask that comes first need not score best, and is no choice', async () => {
    const worker = await realWorker();
    const masks: boolean[] = [];
    const context = contextOf(worker, phantom.image);
    session.open(
      info,
      new Annotator2d({
        ...context,
        embeddings: { ...context.embeddings, objectDiameter: 8 },
        worker: {
          ...worker,
          decode: (...args) => {
            masks.push(args[2].maskInput !== undefined);
            return worker.decode(...args);
          },
        },
      }),
    );
    await click(inside(cells[0]));
    const { candidates } = session.state;
    assert.ok(candidates);
    const scores = candidates.masks.map(({ predictedIou }) => predictedIou);
    assert.ok(scores[candidates.chosen] < Math.max(...scores), 'else it shows nothing');
    await click([2, 2], false);
    assert.ok(masks.length > 0 && !masks.includes(true));
    await session.run('undo');
    await session.run('choose_candidate', { index: candidates.chosen === 0 ? 1 : 0 });
    await click([2, 2], false);
    assert.equal(masks.at(-1), true, 'a chosen one goes to the model');
  });

  it('refining starts from the mask and stays near it', async () => {
    await click(inside(cells[1]));
    const before = current();
    await session.run('refine_object');
    assert.ok(maskIou(current(), before) > 0.6, `${maskIou(current(), before)}`);
    assert.ok(session.state.history.undo === 'Refine' || current() === before);
  });

  describe('a preview', () => {
    let decoded: number;
    let failing: boolean;

    beforeEach(async () => {
      const worker = await realWorker();
      decoded = 0;
      failing = false;
      annotator = new Annotator2d({
        ...contextOf(worker, phantom.image),
        worker: {
          ...worker,
          decode: (...args) => {
            decoded++;
            return failing ? Promise.reject(new Error('the worker is gone')) : worker.decode(...args);
          },
        },
      });
      session.open(info, annotator);
    });

    it('is the mask of the click there, which then has its answer, with its own prompts and choice', async () => {
      const at = inside(cells[2]);
      const preview = await annotator.preview([...at], 0);
      assert.equal(decoded, 1);
      await click(at);
      assert.equal(decoded, 1);
      assert.deepEqual(preview, current());
      const { prompts, candidates, layers } = session.state;
      assert.deepEqual([...layers.current_object.objects.values()][0].prompts, prompts);
      assert.ok(candidates && candidates.masks.length >= 2);
      session.open(info, new Annotator2d(contextOf(await realWorker(), phantom.image)));
      await click(at);
      assert.deepEqual(preview, current(), 'as the model says to the click alone');
    });

    it('under way answers a click, too', async () => {
      const at = inside(cells[2]);
      await Promise.all([annotator.preview(at, 0), click(at)]);
      assert.equal(decoded, 1);
      assert.ok(current().area > 0);
    });

    it('answers no other click', async () => {
      const at = inside(cells[2]);
      await annotator.preview(at, 0);
      await click(at, false);
      await session.run('undo');
      await click([at[0], at[1] + 0.5]);
      assert.equal(decoded, 3);
      await click([2, 2], false);
      assert.equal(decoded, 4);
    });

    it('that fails leaves the click to itself', async () => {
      const at = inside(cells[2]);
      failing = true;
      await assert.rejects(annotator.preview(at, 0), /gone/);
      failing = false;
      await click(at);
      assert.ok(current().area > 0);
    });
  });

  it('points and several boxes without batching are refused in words, and nothing is lost', async () => {
    await session.run('put_prompts', {
      prompts: cells.slice(0, 2).map(({ box }, i) => ({ kind: 'box' as const, id: `b${i}`, plane: 0, box })),
    });
    const { layers } = session.state;
    await assert.rejects(click(inside(cells[0])), { code: 'invalid_prompt' });
    assert.equal(session.state.prompts.length, 3);
    assert.equal(session.state.layers, layers);
  });
});
