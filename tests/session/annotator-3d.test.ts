import assert from 'node:assert/strict';
import { resolveModel } from '../../src/model/registry.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { maskCentroid, maskFromLabels } from '../../src/ndimage/rle.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import { Annotator3d } from '../../src/session/annotators/annotator-3d.js';
import { paintLayer, shownLayer } from '../../src/session/layers.js';
import { exportSession, importSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo, ObjectRecord } from '../../src/session/state.js';
import { nodeWorker } from '../support/node-engine.js';
import { volumePhantom } from '../support/phantom-stack.js';
import { type CountingContext, stackContext } from '../support/stack-source.js';

/** With the real model, on a volume whose objects are known. */
describe('annotator 3d', function () {
  this.timeout(300_000); // planes are encoded, which takes its time on a busy machine
  const PLANES = 9;
  const phantom = volumePhantom({ planes: PLANES, size: [160, 208] });
  const info: ImageInfo = { name: 'volume', axes: 'zyx', size: [160, 208], planes: PLANES, signature: 'v' };
  const truth = (plane: number, id = 2) => maskFromLabels(phantom.labels, id, plane);
  const middle = Math.floor(PLANES / 2);
  let context: CountingContext;
  let session: AnnotationSession;

  before(async () => {
    const worker = await nodeWorker();
    await worker.load(resolveModel('vit_t'));
    context = stackContext(worker, phantom.image);
  });

  beforeEach(() => {
    session = new AnnotationSession({ projection: 'single_point', iouThreshold: 0.5 });
    session.open(info, new Annotator3d(context, PLANES));
    session.run('set_plane', { plane: middle });
    context.decoded.length = 0;
  });

  let count = 0;
  const boxOf = (plane: number, mask: Mask = truth(plane)): Prompt => ({
    kind: 'box',
    id: `b${++count}`,
    plane,
    box: mask.box,
  });
  const pointIn = (plane: number, positive = true): Prompt => ({
    kind: 'point',
    id: `p${++count}`,
    plane,
    at: maskCentroid(truth(plane)),
    positive,
  });
  const put = (...prompts: Prompt[]) => session.run('put_prompts', { prompts });
  const object = (): ObjectRecord => [...session.state.layers.current_object.objects.values()][0];

  it('a box in one slice becomes the object in all of its slices', async () => {
    await put(boxOf(middle));
    assert.deepEqual([...object().masks.keys()], [middle], 'a prompt segments its own slice only');
    await session.run('segment_all');
    let [intersection, union] = [0, 0];
    for (let plane = 0; plane < PLANES; plane++) {
      const real = truth(plane);
      const found = object().masks.get(plane);
      const overlap = found ? maskIou(found, real) : 0;
      if (real.area > 400) assert.ok(overlap > 0.7, `slice ${plane}: IoU ${overlap}`);
      const total = real.area + (found?.area ?? 0);
      intersection += (overlap * total) / (1 + overlap);
      union += total / (1 + overlap);
    }
    assert.ok(intersection / union > 0.7, `IoU of the volume is ${intersection / union}`);
    assert.equal(object().projected?.has(middle), false);
    assert.equal(object().projected?.size, object().masks.size - 1);
  });

  it('the visible slice can be segmented again without touching the others', async () => {
    await put(boxOf(middle));
    await session.run('segment_all');
    const before = object().masks;
    await session.run('set_plane', { plane: middle + 1 });
    await put(pointIn(middle + 1));
    const after = object();
    for (const [plane, mask] of before) if (plane !== middle + 1) assert.equal(after.masks.get(plane), mask);
    assert.equal(after.projected?.has(middle + 1), false, 'it is annotated now');
  });

  it('a correction recomputes the stretches beside it and nothing else; repeating costs nothing', async () => {
    await put(boxOf(middle), boxOf(2));
    await session.run('segment_all');
    context.decoded.length = 0;
    await session.run('segment_all');
    assert.deepEqual(context.decoded, [], 'nothing has changed');
    const before = object().masks;
    const highest = Math.max(...before.keys());
    await session.run('set_plane', { plane: highest });
    await session.run('paint', { tool: 'eraser', path: [maskCentroid(before.get(highest)!)], radius: 4 });
    const painted = object().masks.get(highest)!;
    context.decoded.length = 0;
    await session.run('segment_all');
    assert.ok(context.decoded.length > 0);
    assert.ok(Math.min(...context.decoded) > middle, `below the middle nothing is asked for: ${context.decoded}`);
    assert.equal(object().masks.get(highest), painted, 'a painted slice is kept as it is');
    for (const [plane, mask] of before) if (plane <= middle) assert.equal(object().masks.get(plane), mask);
  });

  it('a single negative point stops the object; undo and redo take it back and forth', async () => {
    await put(boxOf(middle));
    await session.run('segment_all');
    const free = exportSession(session.state);
    assert.ok(object().masks.has(middle + 1));
    await session.run('set_plane', { plane: middle + 1 });
    await put(pointIn(middle + 1, false));
    assert.match(session.state.message?.text ?? '', /stops it there/);
    await session.run('segment_all');
    assert.equal(Math.max(...object().masks.keys()), middle);
    const stopped = exportSession(session.state);
    session.undo();
    session.undo();
    await session.run('set_plane', { plane: middle });
    assert.equal(exportSession(session.state), free);
    session.redo();
    session.redo();
    await session.run('set_plane', { plane: middle + 1 });
    assert.equal(exportSession(session.state), stopped);
  });

  it('slices arrive while it runs; cancelling leaves the object as it was (thorough)', async () => {
    await put(boxOf(middle));
    const before = session.state.layers;
    const arrived: number[] = [];
    const stop = session.subscribe((state) => {
      const planes = [...shownLayer(state, 'current_object').objects.values()][0]?.masks.size ?? 0;
      if (state.arriving && arrived.at(-1) !== planes) arrived.push(planes);
      if (planes === 3) session.cancel();
    });
    await assert.rejects(session.run('segment_all'), { code: 'cancelled' });
    stop();
    assert.deepEqual(arrived, [2, 3]);
    assert.equal(session.state.layers, before);
    assert.equal(session.state.arriving, undefined);
  });

  it('commits exactly what is shown, and a picked object remembers what was projected', async () => {
    await put(boxOf(middle));
    await session.run('segment_all');
    await session.run('set_plane', { plane: 0 });
    await session.run('paint', { tool: 'brush', path: [[150, 10]], radius: 4 });
    const shown = paintLayer(session.state.layers.current_object, info);
    await session.run('commit');
    assert.deepEqual(paintLayer(session.state.layers.committed_objects, info), shown);
    const restored = importSession(exportSession(session.state), info);
    session.open(info, new Annotator3d(context, PLANES), restored);
    await session.run('pick_object', { id: 1 });
    assert.ok(object().projected?.has(middle + 1));
    await session.run('set_plane', { plane: middle + 1 });
    await put(pointIn(middle + 1, false));
    await session.run('segment_all');
    const planes = [...object().masks.keys()];
    assert.ok(planes.includes(0) && planes.includes(middle) && !planes.includes(middle + 1));
  });

  it('clears the visible slice or all of them', async () => {
    await put(boxOf(middle));
    await session.run('segment_all');
    const slices = object().masks.size;
    await session.run('clear_annotations', { allPlanes: false });
    assert.equal(object().masks.size, slices - 1);
    assert.equal(session.state.prompts.length, 0);
    await session.run('clear_annotations');
    assert.equal(session.state.layers.current_object.objects.size, 0);
  });

  it('several boxes in a slice are refused in words', async () => {
    await assert.rejects(put(boxOf(middle), boxOf(middle, truth(middle, 3))), /one object at a time/);
  });
});
