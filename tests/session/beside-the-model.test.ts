import assert from 'node:assert/strict';
import type { Annotator, LayerContent } from '../../src/session/annotator.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo, SessionState } from '../../src/session/state.js';
import type { TaskOptions } from '../../src/task.js';
import { DiscAnnotator } from '../support/disc-annotator.js';

const STACK: ImageInfo = { name: 'stack.tif', axes: 'zyx', size: [60, 80], planes: 3, signature: 's' };
const POINT = { kind: 'point', id: 'a', plane: 0, at: [20, 30], positive: true } as const;

/** Waits for its gate also before it says how long a run takes, and tells in which planes it was run. */
class StackAnnotator extends DiscAnnotator implements Annotator {
  readonly searched: number[] = [];

  async segmentAll(state: SessionState, { signal }: TaskOptions): Promise<LayerContent> {
    await this.gate;
    signal?.throwIfAborted();
    const [record] = state.layers.current_object.objects.values();
    const [mask] = record.masks.values();
    return { layer: 'current_object', objects: [{ ...record, masks: new Map([0, 1, 2].map((z) => [z, mask])) }] };
  }

  async automaticEstimate() {
    await this.gate;
    return { planes: 1, tiles: 1, points: 0, encodes: 0, seconds: 1 };
  }

  async automatic({ plane }: SessionState): Promise<LayerContent> {
    this.searched.push(plane);
    return { layer: 'auto_segmentation', objects: [] };
  }
}

describe('a hand beside a model that takes its time', () => {
  function opened() {
    const session = new AnnotationSession({ annotator: '2d' });
    const annotator = new StackAnnotator(STACK.size);
    session.open(STACK, annotator);
    let open = () => {};
    const close = () => {
      annotator.gate = new Promise((resolve) => {
        open = resolve;
      });
    };
    return { session, annotator, close, open: () => open() };
  }
  const planes = ({ layers }: SessionState) =>
    [...layers.current_object.objects.values()].map(({ masks }) => masks.size);

  it('undo during the segmentation of all slices shows the click again, not the picture before it', async () => {
    const { session, close, open } = opened();
    await session.run('put_prompts', { prompts: [POINT] });
    close();
    const stopped = session.run('segment_all');
    const all = [session.run('undo')];
    assert.deepEqual([session.shown.prompts.length, planes(session.shown)], [1, [1]]);
    all.push(session.run('undo'));
    assert.deepEqual([session.shown.prompts.length, planes(session.shown)], [0, []]);
    all.push(session.run('redo'), session.run('redo'));
    assert.equal(session.shown.prompts.length, 1);
    open();
    await assert.rejects(stopped, { code: 'cancelled' });
    await Promise.all(all);
    assert.deepEqual([session.state.prompts.length, planes(session.state)], [1, [3]]);
  });

  it('undo stops the segmentation of all slices at once, and redo begins it again', async () => {
    const { session, close, open } = opened();
    await session.run('put_prompts', { prompts: [POINT] });
    close();
    const all = session.run('segment_all');
    const undo = session.run('undo'); // nobody opens the gate
    await assert.rejects(all, { code: 'cancelled' });
    await undo;
    assert.deepEqual([session.state.prompts.length, planes(session.state)], [1, [1]]);
    assert.deepEqual(session.state.history, { undo: 'Add positive point', redo: 'Segment all slices' });
    const again = session.run('redo');
    const stopped = session.run('undo'); // the second run is stopped in the same way
    await assert.rejects(again, { code: 'cancelled' });
    await stopped;
    open();
    await session.run('redo');
    assert.deepEqual([session.state.prompts.length, planes(session.state)], [1, [3]]);
    await session.run('undo');
    assert.deepEqual(planes(session.state), [1]);
  });

  it('what is segmented goes on with another model, and what waits for it with it', async () => {
    const { session, close, open } = opened();
    close();
    const all = [session.run('put_prompts', { prompts: [POINT] }), session.run('commit')];
    session.useAnnotator(new StackAnnotator(STACK.size));
    open();
    await Promise.all(all);
    await session.settled();
    assert.equal(session.state.layers.committed_objects.objects.size, 1);
  });

  it('automatic segmentation is of the plane in which it was asked for', async () => {
    const { session, annotator, close, open } = opened();
    close();
    const run = session.run('automatic_segmentation');
    await session.run('next_plane');
    open();
    await run;
    assert.deepEqual(annotator.searched, [0]);
    assert.equal(session.state.plane, 1);
  });

  it('objects that another program gives come after what the hand did before', async () => {
    const { session, close, open } = opened();
    close();
    const click = session.run('put_prompts', { prompts: [POINT] });
    const commit = session.run('commit');
    const load = session.applyInTurn({
      title: 'Load objects',
      change: (state) => {
        assert.equal(state.layers.committed_objects.objects.size, 1);
        return state;
      },
    });
    open();
    await Promise.all([click, commit, load]);
  });
});
