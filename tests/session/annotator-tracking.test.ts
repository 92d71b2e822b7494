import assert from 'node:assert/strict';
import { resolveModel } from '../../src/model/registry.js';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { maskCentroid, maskFromLabels } from '../../src/ndimage/rle.js';
import type { Prompt, TrackRef } from '../../src/segmentation/prompts.js';
import { AnnotatorTracking } from '../../src/session/annotators/annotator-tracking.js';
import { describeTracks, trackTails } from '../../src/session/edits/tracking.js';
import { exportSession, importSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo } from '../../src/session/state.js';
import { nodeWorker } from '../support/node-engine.js';
import { dividingPhantom } from '../support/phantom-stack.js';
import { type CountingContext, stackContext } from '../support/stack-source.js';

/** With the real model, on a series whose tracks and division are known. */
describe('annotator tracking', function () {
  this.timeout(300_000);
  const FRAMES = 8;
  const phantom = dividingPhantom({ planes: FRAMES, size: [160, 208] });
  const { divisionFrame } = phantom;
  const info: ImageInfo = { name: 'series', axes: 'tyx', size: [160, 208], planes: FRAMES, signature: 't' };
  const truth = (frame: number, id: number) => maskFromLabels(phantom.labels, id, frame);
  let context: CountingContext;
  let session: AnnotationSession;

  before(async () => {
    const worker = await nodeWorker();
    await worker.load(resolveModel('vit_t'));
    context = stackContext(worker, phantom.image);
  });

  beforeEach(() => {
    session = new AnnotationSession({ projection: 'mask', boxExtension: 0.1, iouThreshold: 0.3 });
    session.open(info, new AnnotatorTracking(context, FRAMES));
  });

  let count = 0;
  const boxOf = (frame: number, id: number): Prompt => ({
    kind: 'box',
    id: `b${++count}`,
    plane: frame,
    box: truth(frame, id).box,
  });
  const pointIn = (frame: number, id: number, track?: TrackRef): Prompt => ({
    kind: 'point',
    id: `p${++count}`,
    plane: frame,
    at: maskCentroid(truth(frame, id)),
    positive: true,
    ...(track && { track }),
  });
  const put = async (prompt: Prompt) => {
    await session.run('set_plane', { plane: prompt.plane });
    await session.run('put_prompts', { prompts: [prompt] });
  };
  const track = (id: number) => session.state.layers.current_object.objects.get(id);
  const info_ = (id: number) => describeTracks(session.state).find((one) => one.id === id);

  /** The dividing cell and its daughters, as a person would annotate them. */
  async function annotateDivision(): Promise<void> {
    await put(boxOf(0, 1));
    await session.run('set_settings', { trackState: 'division' });
    await put(pointIn(divisionFrame, 4));
    await session.run('set_settings', { trackState: 'track' });
    await session.run('segment_all');
    for (const [daughter, id] of [
      [2, 4],
      [3, 5],
    ]) {
      await session.run('set_track', { id: daughter });
      await put(boxOf(divisionFrame, id));
      await session.run('segment_all');
    }
  }

  it('a cell is followed to its division, and so are its daughters; the commit keeps the family', async () => {
    await annotateDivision();
    assert.deepEqual(info_(1)?.range, [0, divisionFrame - 1]);
    assert.deepEqual(info_(1)?.end, { reason: 'division', frame: divisionFrame });
    assert.deepEqual(info_(1)?.daughters, [2, 3]);
    for (const [id, real] of [
      [1, 1],
      [2, 4],
      [3, 5],
    ])
      for (const [frame, mask] of track(id)!.masks) {
        const iou = maskIou(mask, truth(frame, real));
        assert.ok(iou > 0.6, `track ${id}, frame ${frame}: ${iou}`);
      }
    assert.deepEqual(info_(3)?.range, [divisionFrame, FRAMES - 1]);

    await session.run('commit');
    assert.deepEqual(session.state.lineages, [{ 1: [2, 3], 2: [], 3: [] }]);
    assert.equal(session.state.currentTrack, 1);
    await put(boxOf(0, 2));
    await session.run('segment_all');
    await session.run('commit');
    assert.deepEqual(session.state.lineages, [{ 1: [2, 3], 2: [], 3: [] }, { 4: [] }], 'ids follow the committed ones');
    const again = importSession(exportSession(session.state), info);
    assert.deepEqual(again.lineages, session.state.lineages);
    session.undo();
    assert.deepEqual(session.state.lineages, [{ 1: [2, 3], 2: [], 3: [] }]);
    session.redo();
    assert.equal(session.state.layers.committed_objects.objects.size, 4);
  });

  it('ids of daughters never meet ids in use (max + 1, + 2)', async () => {
    await put(boxOf(0, 2));
    await session.run('new_track');
    await put(boxOf(0, 3));
    assert.equal(session.state.currentTrack, 2);
    await session.run('set_track', { id: 1 });
    await session.run('segment_all');
    await session.run('divide_track', { frame: 3 });
    assert.deepEqual(info_(1)?.daughters, [3, 4]);
    assert.equal(session.state.currentTrack, 3);
    assert.deepEqual(info_(1)?.range, [0, 2]);
  });

  it('follows backwards and both ways (thorough)', async () => {
    await put(boxOf(4, 2));
    await session.run('set_settings', { trackDirection: 'backward' });
    await session.run('segment_all');
    assert.deepEqual(info_(1)?.range, [0, 4]);
    await session.run('set_settings', { trackDirection: 'forward' });
    await session.run('segment_all');
    assert.deepEqual(info_(1)?.range, [0, FRAMES - 1], 'what was followed before stays');
    assert.ok(maskIou(track(1)!.masks.get(0)!, truth(0, 2)) > 0.7);
  });

  it('a correction in one frame asks the model again from that frame on only; repeating costs nothing (thorough)', async () => {
    await put(boxOf(0, 2));
    await session.run('segment_all');
    const before = track(1)!.masks;
    context.decoded.length = 0;
    await session.run('segment_all');
    assert.deepEqual(context.decoded, [], 'nothing has changed');
    await session.run('set_plane', { plane: 5 });
    await session.run('paint', { tool: 'eraser', path: [maskCentroid(before.get(5)!)], radius: 5 });
    const painted = track(1)!.masks.get(5);
    context.decoded.length = 0;
    await session.run('segment_all');
    assert.deepEqual(context.decoded, [6, 7]);
    for (let frame = 0; frame < 5; frame++) assert.equal(track(1)!.masks.get(frame), before.get(frame));
    assert.equal(track(1)!.masks.get(5), painted);
  });

  it('prompts of other tracks do not touch the current one; a deleted track takes its prompts along', async () => {
    await put(boxOf(0, 2));
    const first = track(1)!;
    await session.run('new_track');
    await put(boxOf(0, 3));
    assert.equal(track(1), first);
    assert.deepEqual(
      session.state.prompts.map((prompt) => prompt.track?.id),
      [1, 2],
    );
    const before = exportSession(session.state);
    await session.run('delete_track', { id: 2 });
    assert.equal(session.state.prompts.length, 1);
    assert.equal(track(2), undefined);
    session.undo();
    await session.run('set_track', { id: 2 });
    assert.equal(exportSession(session.state), before);
  });

  it('splits, joins and swaps tracks, each one step of undo', async () => {
    await annotateDivision();
    const steps: [string, () => Promise<void>][] = [
      ['split', () => session.run('split_track', { id: 1, frame: 2 })],
      ['unlink', () => session.run('unlink_track', { daughter: 2 })],
      ['link', () => session.run('link_tracks', { mother: 4, daughter: 2 })],
      ['merge', () => session.run('merge_tracks', { ids: [1, 4] })],
      ['swap', () => session.run('swap_tracks', { ids: [2, 3], frame: divisionFrame + 1 })],
      ['end', () => session.run('go_to_track_end', { id: 2 })],
    ];
    const texts = [exportSession(session.state)];
    const plane = session.state.plane;
    for (const [, step] of steps.slice(0, -1)) {
      await step();
      texts.push(exportSession(session.state));
    }
    assert.equal(new Set(texts).size, texts.length, 'each step changes something');
    assert.deepEqual(info_(1)?.daughters.toSorted(), [2, 3]);
    assert.deepEqual(info_(1)?.range, [0, divisionFrame - 1]);
    const swapped = track(2)!.masks.get(FRAMES - 1)!;
    assert.ok(maskIou(swapped, truth(FRAMES - 1, 5)) > 0.6, 'the masks were exchanged');
    for (let i = texts.length - 2; i >= 0; i--) {
      session.undo();
      assert.equal(exportSession(session.state), texts[i]);
    }
    for (let i = 1; i < texts.length; i++) {
      session.redo();
      assert.equal(exportSession(session.state), texts[i]);
    }
    assert.equal(session.state.plane, plane);
    await steps.at(-1)![1]();
    assert.equal(session.state.plane, FRAMES - 1);
  });

  it('tails are the centroids of the masks by frame', async () => {
    await put(boxOf(0, 2));
    await session.run('segment_all');
    const [tail] = trackTails(session.state.layers.current_object);
    assert.deepEqual(
      tail.points.map(({ frame }) => frame),
      [...Array(FRAMES).keys()],
    );
    for (const { frame, at } of tail.points) {
      const [y, x] = maskCentroid(truth(frame, 2));
      assert.ok(Math.hypot(at[0] - y, at[1] - x) < 3, `frame ${frame}`);
    }
  });
});
