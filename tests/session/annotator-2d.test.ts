import assert from 'node:assert/strict';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { resolveModel } from '../../src/model/registry.js';
import type { YX } from '../../src/ndimage/array.js';
import { innermostPixel } from '../../src/ndimage/distance.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { clipMask, maskIou, subtractMasks } from '../../src/ndimage/mask-sets.js';
import { maskContains, masksFromLabels, translateMask } from '../../src/ndimage/rle.js';
import { segmentFromPoints } from '../../src/segmentation/from-prompts.js';
import type { PointPrompt } from '../../src/segmentation/prompts.js';
import { takesFrame } from '../../src/segmentation/tiled.js';
import { Annotator2d } from '../../src/session/annotators/annotator-2d.js';
import { layerOf, NO_OBJECTS, objectAt } from '../../src/session/layers.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo, ObjectRecord } from '../../src/session/state.js';
import { contextOf } from '../support/embedding-source.js';
import { nodeWorker } from '../support/node-engine.js';

/** With the real model, on an image whose cells are known. */
describe('annotator 2d', function () {
  this.timeout(300_000); // a busy machine
  const phantom = cellPhantom({ size: [256, 320], cells: 14 });
  const info: ImageInfo = { name: 'phantom', axes: 'yx', size: [256, 320], planes: 1, signature: 'phantom' };
  const cells = [...masksFromLabels(phantom.labels).values()].filter((mask) => mask.area > 300);
  let annotator: Annotator2d;
  let session: AnnotationSession;

  before(async () => {
    const worker = await nodeWorker();
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
      const frame = [0, 0, ...info.size] as const;
      const small = candidates.masks.filter(({ mask }) => !takesFrame(mask, frame));
      const best = Math.max(...small.map(({ predictedIou }) => predictedIou));
      assert.equal(candidates.masks[candidates.chosen].predictedIou, best, 'the best that is not everything is in use');
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

  describe('a correcting click', () => {
    const shifted = (mask: Mask) => clipMask(translateMask(mask, 3, 4), info.size);
    /** Deepest inside. */
    const middle = (mask: Mask): YX => {
      const [y, x] = innermostPixel(mask);
      return [y + 0.5, x + 0.5];
    };

    for (const origin of ['painted', 'automatic', 'committed'] as const)
      it(`improves a mask that was ${origin}, and changes it only near the click`, async () => {
        for (const cell of cells.slice(0, 3)) {
          const wrong = shifted(cell);
          const record: ObjectRecord = { id: 1, masks: new Map([[0, wrong]]), prompts: [], origin: 'automatic' };
          const layer = { painted: 'current_object', automatic: 'auto_segmentation', committed: 'committed_objects' };
          const restored = { layers: { ...NO_OBJECTS, [layer[origin]]: layerOf([record]) } };
          session.open(info, annotator, restored);
          if (origin !== 'painted')
            await session.run('pick_object', {
              layer: origin === 'automatic' ? 'auto_segmentation' : 'committed_objects',
              id: 1,
            });
          await click(middle(subtractMasks(cell, wrong)));
          const after = current();
          assert.ok(maskIou(after, cell) > maskIou(wrong, cell), `${maskIou(wrong, cell)} > ${maskIou(after, cell)}`);
          assert.equal(subtractMasks(wrong, after).area, 0, 'a positive point takes nothing away');
          await click(middle(subtractMasks(after, cell)), false);
          assert.equal(subtractMasks(current(), after).area, 0, 'a negative point adds nothing');
          assert.ok(maskIou(current(), cell) > maskIou(wrong, cell));
        }
      });

    it('is taken back with its prompt: what it corrected is there again', async () => {
      const wrong = shifted(cells[0]);
      const record: ObjectRecord = { id: 1, masks: new Map([[0, wrong]]), prompts: [], origin: 'loaded' };
      session.open(info, annotator, { layers: { ...NO_OBJECTS, committed_objects: layerOf([record]) } });
      await session.run('pick_object', { id: 1 });
      await click(middle(subtractMasks(cells[0], wrong)));
      await click(middle(subtractMasks(current(), cells[0])), false);
      const [, first, second] = session.state.prompts;
      await session.run('remove_prompts', { ids: [second.id] });
      const once = current();
      assert.notDeepEqual(once, wrong);
      await session.run('remove_prompts', { ids: [first.id] });
      assert.deepEqual(current(), wrong);
    });

    it('gives the same mask whether the clicks came slowly or at once', async () => {
      for (const cell of cells.slice(0, 3)) {
        const points: [YX, boolean][] = [
          [inside(cell), true],
          [[cell.box[0] + 1, cell.box[1] + 1], false],
          [[cell.box[2] - 2, (cell.box[1] + cell.box[3]) / 2], true],
        ];
        await session.run('clear_annotations');
        for (const [at, positive] of points) await click(at, positive);
        const slowly = current();
        await session.run('clear_annotations');
        await Promise.all(points.map(([at, positive]) => click(at, positive)));
        assert.deepEqual(current(), slowly);
      }
    });

    it('goes on from the mask that was chosen', async () => {
      const [cell] = cells;
      await click(inside(cell));
      const { candidates } = session.state;
      assert.ok(candidates);
      await session.run('choose_candidate', { index: candidates.chosen === 0 ? candidates.masks.length - 1 : 0 });
      const chosen = current();
      await click([chosen.box[0] + 1, chosen.box[1] + 1], false);
      assert.equal(subtractMasks(current(), chosen).area, 0);
      assert.ok(maskIou(current(), chosen) > 0.5);
    });

    it('of negative points alone selects nothing, and says what to do', async () => {
      await click(inside(cells[0]), false);
      assert.equal(session.state.layers.current_object.objects.size, 0);
      assert.match(session.state.message?.text ?? '', /positive point/);
    });
  });

  it('a mask that was decoded roughly is exact once it is chosen', async () => {
    const context = contextOf(await nodeWorker(), phantom.image);
    const before: number[] = [];
    for (const cell of cells.slice(0, 4)) {
      const at = inside(cell);
      await click(at);
      const exact = await segmentFromPoints(context, [{ at, positive: true }], { exactLogits: true });
      for (const [index, offered] of session.state.candidates!.masks.entries()) {
        const expected = exact.candidates.find(
          ({ predictedIou }) => Math.abs(predictedIou - offered.predictedIou) < 1e-4,
        )!;
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

  it('with a stated size the mask that comes first need not score best', async () => {
    const context = contextOf(await nodeWorker(), phantom.image);
    const embeddings = { ...context.embeddings, objectDiameter: 8 };
    session.open(info, new Annotator2d({ ...context, embeddings }));
    await click(inside(cells[0]));
    const { candidates } = session.state;
    assert.ok(candidates);
    const scores = candidates.masks.map(({ predictedIou }) => predictedIou);
    assert.ok(scores[candidates.chosen] < Math.max(...scores));
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
      const worker = await nodeWorker();
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
      session.open(info, new Annotator2d(contextOf(await nodeWorker(), phantom.image)));
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
      assert.equal(decoded, 2);
      await click([current().box[0] + 1, at[1]], false);
      assert.ok(decoded > 2, 'a correction');
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
