import assert from 'node:assert/strict';
import { SamError } from '../../src/errors.js';
import type { PointPrompt } from '../../src/segmentation/prompts.js';
import { objectAt, paintPlane } from '../../src/session/layers.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { seededRandom } from '../support/random.js';
import { documentOf, randomStep, WALK_IMAGE } from '../support/session-walk.js';

function opened(): { session: AnnotationSession; annotator: DiscAnnotator } {
  const session = new AnnotationSession();
  const annotator = new DiscAnnotator([60, 80]);
  session.open(WALK_IMAGE, annotator);
  return { session, annotator };
}

const point = (id: string, y: number, x: number, positive = true): PointPrompt => ({
  kind: 'point',
  id,
  plane: 0,
  at: [y, x],
  positive,
});

/** A gate for the annotator, and the function that opens it. */
function closedGate(annotator: DiscAnnotator): () => void {
  let open = () => {};
  annotator.gate = new Promise((resolve) => {
    open = resolve;
  });
  return open;
}

const objects = (session: AnnotationSession, layer: 'current_object' | 'committed_objects') =>
  session.state.layers[layer].objects;

describe('session', () => {
  it('asks once before it commits more than half of the image', async () => {
    const { session } = opened();
    const paintAll = () => session.run('paint', { tool: 'brush', path: [[30, 40]], radius: 60 });
    await paintAll();
    await assert.rejects(session.run('commit'), /covers 100 % of the image. Press C again/);
    assert.equal(objects(session, 'committed_objects').size, 0);
    await session.run('commit');
    assert.equal(objects(session, 'committed_objects').size, 1);
    await session.run('undo');
    await session.run('paint', { tool: 'eraser', path: [[30, 40]], radius: 2 });
    await assert.rejects(session.run('commit'), /Press C again/, 'another mask is another question');
    await session.run('commit', { sure: true });
    assert.equal(objects(session, 'committed_objects').size, 1);
  });

  it('a click gives a mask, C commits it, and the prompts stay with the object', async () => {
    const { session } = opened();
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    assert.equal(objects(session, 'current_object').size, 1);
    await session.run('commit');
    assert.equal(objects(session, 'current_object').size, 0);
    assert.deepEqual(session.state.prompts, []);
    assert.equal(objectAt(session.state.layers.committed_objects, 0, [20, 30]), 1);
    assert.deepEqual(objects(session, 'committed_objects').get(1)?.prompts, [point('a', 20, 30)]);
  });

  it('refuses ten thousand prompts before anybody draws them, and says what to do', async () => {
    const { session, annotator } = opened();
    const many = Array.from({ length: 10_000 }, (_, i) => point(`p${i}`, i % 60, i % 80));
    const { state } = session;
    await assert.rejects(session.run('put_prompts', { prompts: many }), {
      code: 'invalid_prompt',
      message: /10000 prompts in this image; at most 1000 .*switch Batched on/,
    });
    assert.equal(session.state.prompts, state.prompts);
    assert.equal(annotator.calls, 0);
    await session.run('put_prompts', { prompts: many.slice(0, 1000) });
    await assert.rejects(session.run('put_prompts', { prompts: [point('one more', 5, 5)] }), /1001 prompts/);
    await session.run('set_settings', { batched: true });
    await assert.rejects(session.run('put_prompts', { prompts: [point('one more', 5, 5)] }), /Add them in parts/);
    assert.equal(session.state.prompts.length, 1000);
  });

  it('click and mask are one step of undo', async () => {
    const { session } = opened();
    const before = documentOf(session.state);
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    assert.equal(session.state.history.undo, 'Add positive point');
    const after = documentOf(session.state);
    await session.run('undo');
    assert.equal(documentOf(session.state), before);
    assert.equal(session.state.history.undo, undefined);
    await session.run('redo');
    assert.equal(documentOf(session.state), after);
  });

  it('undoing everything gives the initial state, redoing everything the last one', async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const random = seededRandom(seed);
      const { session } = opened();
      const initial = documentOf(session.state);
      const seen = [initial];
      for (let step = 0; step < 40; step++) {
        const before = documentOf(session.state);
        const { name, refused } = await randomStep(session, random, step);
        if (refused && !['add', 'addMore', 'move', 'remove'].includes(name))
          assert.equal(documentOf(session.state), before, `seed ${seed}: a refused ${name} changed the state`);
        if (documentOf(session.state) !== seen.at(-1)) seen.push(documentOf(session.state));
      }
      const last = documentOf(session.state);
      const back: string[] = [last];
      while (session.undo()) if (documentOf(session.state) !== back.at(-1)) back.push(documentOf(session.state));
      assert.equal(documentOf(session.state), initial, `seed ${seed}`);
      assert.deepEqual(back.reverse(), seen, `seed ${seed}: every state on the way is seen again`);
      while (session.redo());
      assert.equal(documentOf(session.state), last, `seed ${seed}`);
    }
  });

  it('committed objects change only by commit, painting, outlines and deletion', async () => {
    const allowed = ['commit', 'commitAgain', 'paint', 'outline', 'delete'];
    for (let seed = 100; seed < 120; seed++) {
      const random = seededRandom(seed);
      const { session } = opened();
      for (let step = 0; step < 60; step++) {
        const before = session.state.layers.committed_objects;
        const { name, refused } = await randomStep(session, random, step);
        const after = session.state.layers.committed_objects;
        if (refused || !allowed.includes(name)) assert.equal(after, before, `seed ${seed}: ${name}`);
        const areas = [...after.objects.values()].map((record) => record.masks.get(0)?.area ?? 0);
        const painted = paintPlane(after, 0, [60, 80]).data.filter((id) => id > 0).length;
        assert.equal(
          painted,
          areas.reduce((sum, area) => sum + area, 0),
          `seed ${seed}: committed objects overlap after ${name}`,
        );
        assert.ok(areas.every((area) => area > 0));
      }
    }
  });

  it('a second click is shown at once and carried out after the first, with the mask that it gave', async () => {
    const { session, annotator } = opened();
    const open = closedGate(annotator);
    const first = session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    const second = session.run('put_prompts', { prompts: [point('b', 40, 50)] });
    const ids = (prompts: readonly { id: string }[]) => prompts.map(({ id }) => id);
    assert.deepEqual([ids(session.state.prompts), ids(session.shown.prompts)], [['a'], ['a', 'b']]);
    assert.equal(session.state.waiting, 1);
    open();
    await Promise.all([first, second]);
    assert.equal(session.shown, session.state);
    assert.equal(session.state.waiting, undefined);
    assert.equal(objects(session, 'current_object').get(1)?.prompts.length, 2);
    session.undo();
    assert.equal(objects(session, 'current_object').get(1)?.prompts.length, 1);
    assert.deepEqual(session.state.tasks, []);
  });

  it('C right after a click closes the object: it is committed when its mask has come, and the next click is the next', async () => {
    const { session, annotator } = opened();
    const open = closedGate(annotator);
    const all = [
      session.run('put_prompts', { prompts: [point('a', 20, 30)] }),
      session.run('commit'),
      session.run('put_prompts', { prompts: [point('b', 40, 60)] }),
    ];
    assert.deepEqual(session.shown.closing, [{ prompts: [point('a', 20, 30)] }]);
    assert.deepEqual(session.shown.prompts, [point('b', 40, 60)]);
    open();
    await Promise.all(all);
    assert.equal(session.shown.closing, undefined);
    assert.deepEqual(objects(session, 'committed_objects').get(1)?.prompts, [point('a', 20, 30)]);
    assert.deepEqual(session.state.prompts, [point('b', 40, 60)]);
    for (const title of ['Add positive point', 'Commit', 'Add positive point']) {
      assert.equal(session.state.history.undo, title);
      session.undo();
    }
  });

  it('what C cannot commit stays, but the next positive click begins the next object', async () => {
    const { session } = opened();
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    await session.run('commit');
    const hide = async () => {
      await session.run('put_prompts', { prompts: [point('b', 20, 31)] });
      await assert.rejects(session.run('commit'), /would be hidden/);
    };
    await hide();
    const refused = documentOf(session.state);
    await session.run('put_prompts', { prompts: [point('c', 45, 60)] });
    assert.deepEqual(session.state.prompts, [point('c', 45, 60)]);
    await session.run('undo');
    assert.equal(documentOf(session.state), refused, 'it can be had back');
    await session.run('clear_annotations');
    await hide();
    await session.run('put_prompts', { prompts: [point('d', 20, 27, false)] });
    assert.equal(session.state.prompts.length, 2, 'a negative point corrects it');
    await session.run('put_prompts', { prompts: [point('e', 20, 40)] });
    assert.equal(session.state.prompts.length, 3, 'what was corrected is open again');
  });

  it('a scribble is points along it, positive or negative; a shape with the negative tool is points inside', async () => {
    const { session } = opened();
    const path = [
      [20, 20],
      [20, 50],
    ] as const;
    await session.run('scribble', { id: 's', path });
    const places = () =>
      session.state.prompts.map((prompt) => prompt.kind === 'point' && [prompt.positive, ...prompt.at]);
    assert.deepEqual(
      places(),
      [20, 26, 32, 38, 44, 50].map((x) => [true, 20, x]),
    );
    assert.equal(session.state.history.undo, 'Add 6 prompts');
    await session.run('undo');
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    await session.run('toggle_label');
    const ring = [
      [40, 10],
      [40, 30],
      [56, 30],
      [56, 10],
    ] as const;
    await session.run('put_prompts', { prompts: [{ kind: 'polygon', id: 'r', plane: 0, ring }], byHand: 'tool' });
    await session.run('scribble', { id: 't', path: [[10, 70]] });
    const [, ...others] = session.state.prompts;
    assert.equal(others.length, 5);
    for (const prompt of others) assert.equal(prompt.kind === 'point' && prompt.positive, false);
    await session.run('set_settings', { batched: true });
    await assert.rejects(session.run('scribble', { id: 'u', path }), /Batched is on/);
  });

  describe('with auto-commit', () => {
    const byHand = (session: AnnotationSession, prompt: PointPrompt, negative = false) =>
      session.run('put_prompts', { prompts: [prompt], byHand: negative ? 'negative' : 'tool' });

    it('a click outside commits the object and begins the next, as one step with a way back', async () => {
      const { session } = opened();
      await session.run('toggle_auto_commit');
      await byHand(session, point('a', 20, 30));
      const before = documentOf(session.state);
      await byHand(session, point('b', 45, 60));
      assert.deepEqual(objects(session, 'committed_objects').get(1)?.prompts, [point('a', 20, 30)]);
      assert.deepEqual(session.state.prompts, [point('b', 45, 60)]);
      assert.deepEqual(session.state.message, { level: 'info', text: 'Object 1 is committed.', offer: 'undo' });
      await session.run('undo');
      assert.equal(documentOf(session.state), before);
      await session.run('redo');
      assert.equal(objects(session, 'committed_objects').size, 1);
    });

    it('a click on the object, a negative one, and prompts of a script go on with it', async () => {
      const { session } = opened();
      await session.run('toggle_auto_commit');
      await byHand(session, point('a', 20, 30));
      await byHand(session, point('b', 21, 31));
      await byHand(session, point('c', 45, 60), true);
      await session.run('put_prompts', { prompts: [point('d', 45, 60)] });
      assert.equal(session.state.prompts.length, 4);
      assert.equal(objects(session, 'committed_objects').size, 0);
    });

    it('a hand faster than the model: what is outside is decided by the mask that comes', async () => {
      const { session, annotator } = opened();
      await session.run('toggle_auto_commit');
      const open = closedGate(annotator);
      const all = [point('a', 20, 30), point('b', 20, 31), point('c', 45, 60)].map((prompt) => byHand(session, prompt));
      assert.deepEqual(session.shown.prompts, [point('c', 45, 60)], 'shown as the next object meanwhile');
      open();
      await Promise.all(all);
      assert.deepEqual(
        objects(session, 'committed_objects')
          .get(1)
          ?.prompts.map(({ id }) => id),
        ['a', 'b'],
      );
    });

    it('picking another object commits the one in work; what cannot be committed gives way and is told', async () => {
      const { session } = opened();
      await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
      await session.run('commit');
      await session.run('toggle_auto_commit');
      await byHand(session, point('b', 45, 60));
      await session.run('pick_object', { id: 1 });
      assert.equal(objects(session, 'committed_objects').size, 2);
      assert.equal(session.state.editing, 1);
      await session.run('clear_annotations');
      await byHand(session, point('c', 20, 31));
      await byHand(session, point('d', 40, 20));
      assert.match(session.state.message?.text ?? '', /would be hidden/);
      assert.deepEqual(session.state.prompts, [point('d', 40, 20)]);
      assert.equal(objects(session, 'committed_objects').size, 2);
    });

    it('in a volume, a click in a slice where the object is not yet belongs to it', async () => {
      const session = new AnnotationSession({ autoCommit: true });
      session.open({ ...WALK_IMAGE, axes: 'zyx', planes: 3 }, new DiscAnnotator([60, 80]));
      await byHand(session, point('a', 20, 30));
      await session.run('set_plane', { plane: 1 });
      await byHand(session, point('b', 45, 60));
      assert.equal(session.state.prompts.length, 2);
      assert.equal(objects(session, 'committed_objects').size, 0);
    });
  });

  it('no mask, then C: the next click does not go to the object that failed', async () => {
    const { session, annotator } = opened();
    annotator.failWith = new SamError('worker_lost', 'The worker stopped. Choose the model again.');
    const all = [
      session.run('put_prompts', { prompts: [point('a', 20, 30)] }),
      session.run('commit'),
      session.run('put_prompts', { prompts: [point('b', 40, 60)] }),
    ];
    for (const one of all) await assert.rejects(one);
    assert.deepEqual(session.state.prompts, [point('b', 40, 60)]);
  });

  it('a message stays until something that was done after it was shown', async () => {
    const { session, annotator } = opened();
    const open = closedGate(annotator);
    annotator.failWith = new SamError('worker_lost', 'The worker stopped. Choose the model again.');
    const first = session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    const later = [session.run('toggle_label'), session.run('set_settings', { brushSize: 3 })];
    open();
    await assert.rejects(first);
    await Promise.all(later);
    assert.equal(session.state.message?.code, 'worker_lost');
    await session.run('toggle_label');
    assert.equal(session.state.message, undefined);
  });

  it('negative points end with the object: after commit, clear, and in the next image', async () => {
    const { session } = opened();
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    const ends = [
      () => session.run('commit'),
      () => session.run('clear_annotations'),
      async () => session.open({ ...WALK_IMAGE, signature: 'other' }, new DiscAnnotator([60, 80])),
      async () => session.open(WALK_IMAGE, undefined, { settings: { ...session.state.settings, positive: false } }),
    ];
    for (const end of ends) {
      await session.run('toggle_label');
      assert.equal(session.state.settings.positive, false);
      await end();
      assert.equal(session.state.settings.positive, true);
    }
  });

  it('a click by hand takes sign and plane from the tools in its turn; the right button is negative at any time', async () => {
    const { session, annotator } = opened();
    const open = closedGate(annotator);
    const all = [
      session.run('put_prompts', { prompts: [point('a', 20, 30)], byHand: 'tool' }),
      session.run('toggle_label'),
      session.run('put_prompts', { prompts: [point('b', 20, 34)], byHand: 'tool' }),
      session.run('toggle_label'),
      session.run('put_prompts', { prompts: [point('c', 20, 26)], byHand: 'negative' }),
    ];
    const signs = (prompts: readonly { kind: string }[]) =>
      (prompts as readonly PointPrompt[]).map(({ positive }) => positive);
    assert.deepEqual(signs(session.shown.prompts), [true, false, false]);
    open();
    await Promise.all(all);
    assert.deepEqual(signs(session.state.prompts), [true, false, false]);
  });

  it('what was asked of one image does not land on the next', async () => {
    const { session, annotator } = opened();
    const open = closedGate(annotator);
    const click = session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    session.open({ ...WALK_IMAGE, name: 'other.tif', signature: 'other' }, new DiscAnnotator([60, 80]));
    open();
    await click;
    assert.equal(session.state.image?.name, 'other.tif');
    assert.equal(objects(session, 'current_object').size, 0);
    assert.deepEqual(session.state.prompts, []);
    assert.equal(session.state.history.undo, undefined);
  });

  it('clearing during a segmentation leaves nothing behind', async () => {
    const { session, annotator } = opened();
    const open = closedGate(annotator);
    const click = session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    const clear = session.run('clear_annotations');
    assert.deepEqual(session.shown.prompts, []);
    open();
    await Promise.all([click, clear]);
    assert.equal(objects(session, 'current_object').size, 0);
    assert.deepEqual(session.state.prompts, []);
  });

  it('Escape stops the work and keeps the prompts', async () => {
    const { session, annotator } = opened();
    const open = closedGate(annotator);
    const click = session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    assert.equal(session.state.tasks[0]?.name, 'Segment object');
    await session.run('cancel');
    await click;
    open();
    assert.deepEqual(session.state.tasks, []);
    assert.equal(session.state.prompts.length, 1);
    assert.equal(session.state.message, undefined);
  });

  it('Escape drops the commands that wait, and says so', async () => {
    const { session, annotator } = opened();
    const open = closedGate(annotator);
    const click = session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    const dropped = [session.run('commit'), session.run('put_prompts', { prompts: [point('b', 40, 60)] })];
    await session.run('cancel');
    for (const one of dropped) await assert.rejects(one, { code: 'cancelled' });
    await click;
    open();
    assert.deepEqual(session.shown.prompts, [point('a', 20, 30)]);
    assert.match(session.state.message?.text ?? '', /2 steps that waited were not carried out/);
  });

  it('a failing model leaves prompts and objects, and says why', async () => {
    const { session, annotator } = opened();
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    const mask = objects(session, 'current_object');
    annotator.failWith = new SamError('worker_lost', 'The worker stopped. Choose the model again.');
    await assert.rejects(session.run('put_prompts', { prompts: [point('b', 22, 30)] }), { code: 'worker_lost' });
    assert.equal(session.state.prompts.length, 2);
    assert.equal(objects(session, 'current_object'), mask);
    assert.deepEqual(session.state.message, {
      level: 'error',
      text: 'The worker stopped. Choose the model again.',
      code: 'worker_lost',
    });
  });

  it('prompts that cannot be are refused and change nothing', async () => {
    const { session } = opened();
    const { state } = session;
    const bad = [
      point('a', -1, 5),
      point('a', 5, 80),
      point('a', Number.NaN, 5),
      { ...point('a', 5, 5), plane: 1 },
      { kind: 'box', id: 'b', plane: 0, box: [5, 5, 5, 20] },
      { kind: 'box', id: 'b', plane: 0, box: [70, 5, 90, 20] },
      { kind: 'box', id: 'b', plane: 0, box: [0, Number.POSITIVE_INFINITY, 9, 20] },
      {
        kind: 'polygon',
        id: 'c',
        plane: 0,
        ring: [
          [1, 1],
          [2, 2],
        ],
      },
      {
        kind: 'polygon',
        id: 'c',
        plane: 0,
        ring: [
          [-9, 1],
          [-5, 2],
          [-5, 9],
        ],
      },
    ] as const;
    for (const prompt of bad) {
      await assert.rejects(session.run('put_prompts', { prompts: [prompt] }), { code: 'invalid_prompt' });
      assert.deepEqual({ ...session.state, message: undefined }, { ...state, message: undefined });
    }
  });

  it('a box drawn past the edge is cut at it, in any drawing direction', async () => {
    const { session } = opened();
    await session.run('put_prompts', { prompts: [{ kind: 'box', id: 'b', plane: 0, box: [30, 90, -5, 60] }] });
    assert.deepEqual(session.state.prompts[0], { kind: 'box', id: 'b', plane: 0, box: [0, 60, 30, 80] });
  });

  it('an echo of a known prompt is no step', async () => {
    const { session, annotator } = opened();
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    const { state } = session;
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    assert.equal(session.state.prompts, state.prompts);
    assert.equal(annotator.calls, 1);
  });

  it('the candidates of a single point can be gone through, and undone', async () => {
    const { session } = opened();
    await session.run('put_prompts', { prompts: [point('a', 30, 40)] });
    const area = () => objects(session, 'current_object').get(1)?.masks.get(0)?.area ?? 0;
    const areas = [area()];
    for (let i = 0; i < 3; i++) {
      await session.run('next_candidate');
      areas.push(area());
    }
    assert.ok(areas[1] > areas[0] && areas[0] > areas[2], `${areas}`);
    assert.equal(areas[3], areas[0]);
    session.undo();
    assert.equal(area(), areas[2]);
    await session.run('put_prompts', { prompts: [point('b', 30, 44)] });
    assert.equal(session.state.candidates, undefined);
    await assert.rejects(session.run('next_candidate'), /single positive point/);
  });

  it('a picked object stays committed until its correction is committed under its id', async () => {
    const { session } = opened();
    for (const [id, x] of [
      ['a', 10],
      ['b', 40],
      ['c', 65],
    ] as const) {
      await session.run('put_prompts', { prompts: [point(id, 30, x)] });
      await session.run('commit');
    }
    const committed = session.state.layers.committed_objects;
    await session.run('pick_object', { id: 2 });
    assert.equal(session.state.editing, 2);
    assert.deepEqual(session.state.prompts, [point('b', 30, 40)]);
    assert.equal(session.state.layers.committed_objects, committed);
    await session.run('pick_object', { id: 3 });
    assert.equal(session.state.editing, 3, 'an untouched pick may be changed');
    await session.run('put_prompts', { prompts: [point('d', 36, 65)] });
    await assert.rejects(session.run('pick_object', { id: 1 }), /not committed yet/);
    assert.equal(session.state.layers.committed_objects, committed);
    await session.run('commit');
    assert.deepEqual([...objects(session, 'committed_objects').keys()], [1, 2, 3]);
    assert.equal(objectAt(session.state.layers.committed_objects, 0, [41, 65]), 3);
    assert.equal(objects(session, 'committed_objects').get(3)?.prompts.length, 2);
  });

  it('an object without prompts brings its mask along, so that a click adds to it', async () => {
    const { session } = opened();
    await session.run('paint', {
      tool: 'brush',
      path: [
        [30, 20],
        [30, 50],
      ],
      radius: 4,
    });
    await session.run('commit');
    await session.run('pick_object', { id: 1 });
    assert.deepEqual(
      session.state.prompts.map((prompt) => prompt.kind),
      ['mask'],
    );
    await session.run('put_prompts', { prompts: [point('a', 10, 20)] });
    await session.run('commit');
    for (const at of [
      [10, 20],
      [30, 35],
    ] as const)
      assert.equal(objectAt(session.state.layers.committed_objects, 0, at), 1);
  });

  it('commands that cannot be done now say why', async () => {
    const session = new AnnotationSession();
    await assert.rejects(session.run('segment_object'), { code: 'no_image' });
    session.open(WALK_IMAGE);
    await assert.rejects(session.run('commit'), /Segment an object first/);
    await assert.rejects(session.run('undo'), /nothing to undo/);
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    assert.match(session.state.message?.text ?? '', /as soon as the model is ready/);
    await assert.rejects(session.run('segment_object'), { code: 'no_worker' });
  });

  it('prompts given before the model was ready are segmented once it is', async () => {
    const session = new AnnotationSession();
    session.open(WALK_IMAGE);
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    session.useAnnotator(new DiscAnnotator([60, 80]));
    await session.settled();
    assert.equal(objects(session, 'current_object').size, 1);
    session.undo();
    assert.deepEqual(session.state.prompts, []);
  });

  it('computing embeddings reports progress and can be cancelled', async () => {
    const { session, annotator } = opened();
    const fractions: number[] = [];
    session.subscribe(({ tasks: [task] }) => task && fractions.push(task.progress.done));
    await session.run('compute_embeddings');
    assert.equal(session.state.embedding, 'ready');
    assert.deepEqual(fractions, [0, 0, 1, 2, 3]);
    closedGate(annotator);
    const running = session.run('compute_embeddings');
    session.cancel();
    await assert.rejects(running, { code: 'cancelled' });
    assert.deepEqual(session.state.tasks, []);
  });

  it('looking at planes does not stop what is computed ahead, and Cancel stops what is meant', async () => {
    const { session } = opened();
    const ahead = session.task('precompute', 'Compute all embeddings', () => new Promise<void>(() => {}));
    ahead.catch(() => undefined);
    await session.run('compute_embeddings');
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    assert.deepEqual(
      session.state.tasks.map(({ name }) => name),
      ['Compute all embeddings'],
    );
    await session.run('cancel', { task: session.state.tasks[0].id });
    await assert.rejects(ahead, { code: 'cancelled' });
    await assert.rejects(session.run('cancel'), /Nothing is running/);
  });

  it('refuses changes to the work while another window has it, and nothing else', async () => {
    const { session } = opened();
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    await session.run('commit');
    const { layers, prompts } = session.state;
    session.setReadOnly('Another window has this image. Take over.');
    const refused = { code: 'read_only', message: /Take over/ };
    await assert.rejects(session.run('put_prompts', { prompts: [point('b', 40, 50)] }), refused);
    await assert.rejects(session.run('undo'), refused);
    await assert.rejects(session.run('delete_object', { layer: 'committed_objects', id: 1 }), refused);
    await assert.rejects(session.run('paint', { tool: 'brush', path: [[5, 5]], radius: 3 }), refused);
    assert.deepEqual([session.state.layers, session.state.prompts], [layers, prompts]);
    await session.run('set_settings', { brushSize: 4 });
    session.setReadOnly(undefined);
    await session.run('undo');
    assert.equal(session.state.layers.committed_objects.objects.size, 0);
  });
});
