import assert from 'node:assert/strict';
import { openImage } from '../../src/io/open.js';
import { maskContains } from '../../src/ndimage/rle.js';
import type { PanelModel } from '../../src/presenter/panel/panel.js';
import { Presenter } from '../../src/presenter/presenter.js';
import { SectionVolume } from '../../src/presenter/sections/section-volume.js';
import type { PointPrompt } from '../../src/segmentation/prompts.js';
import { objectsInPlane } from '../../src/session/layers.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { FakeViewer } from '../support/fake-viewer.js';
import { seededRandom } from '../support/random.js';
import { randomStep, WALK_IMAGE } from '../support/session-walk.js';

const point = (id: string, y: number, x: number): PointPrompt => ({
  kind: 'point',
  id,
  plane: 0,
  at: [y, x],
  positive: true,
});

const key = (code: string, modifiers: { ctrl?: boolean; shift?: boolean } = {}) =>
  ({ kind: 'key', code, ctrl: false, shift: false, alt: false, ...modifiers }) as const;

function shown(image = WALK_IMAGE) {
  const session = new AnnotationSession();
  const annotator = new DiscAnnotator([60, 80]);
  session.open(image, annotator);
  const viewer = new FakeViewer();
  const panels: PanelModel[] = [];
  const presenter = new Presenter(session, viewer, {
    readPixels: async (_, plane) => ({ data: new Uint8Array(60 * 80 * 3).fill(plane), shape: [60, 80, 3] }),
    onPanel: (panel) => panels.push(panel),
  });
  const settle = async () => {
    await session.settled();
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
    await presenter.idle();
  };
  return { session, annotator, viewer, presenter, panels, settle };
}

describe('presenter', () => {
  it('draws the panel when only the rows of its table are other, as with a second name', async () => {
    const { session, panels, settle } = shown();
    await session.run('put_prompts', { prompts: [point('a', 20, 20)] });
    await session.run('commit');
    const objects = { layer: 'committed_objects', ids: [1] } as const;
    await session.run('describe_objects', { facts: { name: 'one' }, objects });
    await settle();
    const drawn = panels.length;
    await session.run('describe_objects', { facts: { name: 'another' }, objects });
    await settle();
    assert.equal(panels.length, drawn + 1);
  });

  it('a click in a section is a point in its slice; a drag only goes there', async () => {
    const session = new AnnotationSession({ autoSegment: false, annotator: '2d' });
    const image = { ...WALK_IMAGE, axes: 'zyx', planes: 5 } as const;
    session.open(image, new DiscAnnotator([60, 80]));
    const viewer = Object.assign(new FakeViewer(), { showSections: async () => {} });
    const pixels = { data: new Uint8Array(5 * 60 * 80), shape: [5, 60, 80], axes: 'zyx', name: 'v' };
    const source = await openImage(pixels);
    const presenter = new Presenter(session, viewer, {
      readPixels: async () => ({ data: new Uint8Array(60 * 80 * 3), shape: [60, 80, 3] }),
      sections: () => ({
        slices: 5,
        spacing: 1,
        volume: () => new SectionVolume(source, [0], 0),
        paint: ({ shape: [rows, columns] }) => ({
          data: new Uint8Array(3 * rows * columns),
          shape: [rows, columns, 3],
        }),
      }),
    });
    const act = async (click?: 'tool' | 'negative', at: readonly [number, number, number] = [3, 20, 30]) => {
      viewer.act({ kind: 'section', at, ...(click && { click }) });
      await session.settled();
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
      return session.state.prompts.map(
        (prompt) => prompt.kind === 'point' && [prompt.plane, prompt.at, prompt.positive],
      );
    };
    assert.deepEqual(await act('tool'), [], 'no sections are open');
    await presenter.run('toggle_sections');
    assert.deepEqual(await act(), []);
    assert.equal(session.state.plane, 3);
    assert.deepEqual(await act('tool'), [[3, [20.5, 30.5], true]]);
    assert.deepEqual((await act('negative', [1, 5, 6]))[1], [1, [5.5, 6.5], false]);
    assert.equal(session.state.plane, 1);
    await session.run('set_settings', { tool: 'box' });
    assert.equal((await act('tool')).length, 2);
    presenter.close();
  });

  it('a click and C in the viewer give a committed object in its colour', async () => {
    const { viewer, settle, session } = shown();
    viewer.act({ kind: 'prompt-added', prompt: point('a', 20, 30) });
    await settle();
    assert.equal(viewer.layers.current_object.length, 1);
    assert.ok(maskContains(viewer.layers.current_object[0].mask, 20, 30));
    viewer.act(key('KeyC'));
    await settle();
    assert.deepEqual(viewer.layers.current_object, []);
    assert.deepEqual(viewer.prompts, []);
    assert.equal(viewer.layers.committed_objects.length, 1);
    assert.match(viewer.layers.committed_objects[0].color, /^#[0-9a-f]{6}$/);
    viewer.act(key('KeyZ', { ctrl: true }));
    await settle();
    assert.equal(session.state.layers.committed_objects.objects.size, 0);
    assert.deepEqual(viewer.prompts, [point('a', 20, 30)]);
  });

  it('what is on screen is what long work begins with', async () => {
    const { viewer, session } = shown();
    viewer.act({ kind: 'view', box: [10, 20, 30, 40] });
    let begunWith: unknown;
    await session.segment('Look', async (_annotator, _state, { view }) => {
      begunWith = view;
      return { layer: 'auto_segmentation', objects: [] };
    });
    assert.deepEqual(begunWith, [10, 20, 30, 40]);
  });

  it('shows what the session holds after any work, also when the viewer echoes and is slow', async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const random = seededRandom(seed);
      const { session, viewer, settle } = shown();
      viewer.echoes = seed % 2 === 0;
      viewer.before = () => new Promise((resolve) => setTimeout(resolve, random() < 0.3 ? 1 : 0));
      for (let step = 0; step < 40; step++) {
        if (random() < 0.15) session.undo();
        else await randomStep(session, random, step);
      }
      await settle();
      await settle();
      const { state } = session;
      assert.deepEqual(viewer.prompts, state.prompts, `seed ${seed}`);
      for (const name of ['current_object', 'committed_objects'] as const) {
        const expected = [...objectsInPlane(state.layers[name], 0)]
          .filter(([{ id }]) => name === 'current_object' || id !== state.editing)
          .map(([{ id }, mask]) => ({ id, mask }));
        assert.deepEqual(
          viewer.layers[name].map(({ id, mask }) => ({ id, mask })),
          expected,
          `seed ${seed}: ${name}`,
        );
      }
    }
  });

  it('echoes do not become steps', async () => {
    const { session, viewer, settle, annotator } = shown();
    viewer.echoes = true;
    viewer.act({ kind: 'prompt-added', prompt: point('a', 20, 30) });
    await settle();
    assert.equal(annotator.calls, 1);
    session.undo();
    await settle();
    assert.deepEqual(session.state.prompts, []);
    assert.equal(session.state.history.undo, undefined);
  });

  it('touches only the layers that changed', async () => {
    const { session, viewer, settle } = shown();
    await settle();
    viewer.calls.length = 0;
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    await settle();
    assert.deepEqual([...new Set(viewer.calls)].sort(), ['showObjects current_object', 'showPrompts']);
    viewer.calls.length = 0;
    await session.run('set_settings', { preserveMode: 'none' });
    await settle();
    assert.deepEqual(viewer.calls, []);
    await session.run('toggle_label');
    await settle();
    assert.deepEqual(viewer.calls, ['setTool']);
  });

  it('of many states a slow viewer shows the last', async () => {
    const { session, viewer, settle } = shown();
    await settle();
    let open = () => {};
    viewer.before = () =>
      new Promise((resolve) => {
        open = resolve;
      });
    viewer.calls.length = 0;
    for (let i = 0; i < 20; i++) await session.run('paint', { tool: 'brush', path: [[30, 4 * i]], radius: 2 });
    viewer.before = async () => {};
    open();
    await settle();
    const [{ mask }] = viewer.layers.current_object;
    assert.equal(mask, session.state.layers.current_object.objects.get(1)?.masks.get(0));
    assert.equal(viewer.calls.length, 2);
  });

  it('a prompt that is refused disappears from the viewer', async () => {
    const { session, viewer, settle } = shown();
    await settle();
    viewer.calls.length = 0;
    viewer.act({ kind: 'prompt-added', prompt: point('a', 20, 300) });
    await settle();
    assert.deepEqual(viewer.calls, ['showPrompts']);
    assert.deepEqual(viewer.prompts, []);
    assert.match(session.state.message?.text ?? '', /outside the image/);
  });

  it('what is drawn outside the image, or too small, is told', async () => {
    const { session, viewer, settle } = shown();
    await settle();
    for (const [why, text] of [
      ['outside', /outside the image/],
      ['empty', /drag over a cell/],
    ] as const) {
      viewer.act({ kind: 'prompt-refused', why });
      await settle();
      assert.match(session.state.message?.text ?? '', text);
      assert.equal(session.state.prompts.length, 0);
    }
    viewer.act({ kind: 'prompt-added', prompt: point('a', 30, 15) });
    await settle();
    assert.equal(session.state.message, undefined, 'the next prompt takes the message away');
  });

  it('the object being corrected is shown once', async () => {
    const { viewer, settle } = shown();
    for (const [id, x] of [
      ['a', 15],
      ['b', 50],
    ] as const) {
      viewer.act({ kind: 'prompt-added', prompt: point(id, 30, x) });
      await settle();
      viewer.act(key('KeyC'));
      await settle();
    }
    viewer.act({ kind: 'object-picked', layer: 'committed_objects', id: 2 });
    await settle();
    assert.deepEqual(
      viewer.layers.committed_objects.map(({ id }) => id),
      [1],
    );
    assert.equal(viewer.layers.current_object.length, 1);
  });

  it('colours stay with their ids, differ, and can be shuffled', async () => {
    const { session, viewer, settle, presenter } = shown();
    for (let x = 4; x < 80; x += 8) {
      await session.run('paint', { tool: 'brush', path: [[30, x]], radius: 3 });
      await session.run('commit');
    }
    await settle();
    const colors = () => viewer.layers.committed_objects.map(({ color }) => color);
    const before = colors();
    assert.equal(new Set(before).size, 10);
    await session.run('delete_object', { layer: 'committed_objects', id: 1 });
    await settle();
    assert.deepEqual(colors(), before.slice(1));
    await presenter.run('shuffle_colors');
    await settle();
    assert.notDeepEqual(colors(), before.slice(1));
    assert.equal(new Set(colors()).size, 9);
  });

  it('shows the plane, its slider and its own prompts', async () => {
    const { session, viewer, settle } = shown({ ...WALK_IMAGE, axes: 'zyx', planes: 3 });
    await session.run('put_prompts', { prompts: [point('a', 20, 30)] });
    viewer.act({ kind: 'plane', plane: 2 });
    await settle();
    assert.deepEqual(viewer.slider, { count: 3, at: 2, axis: 'z' });
    assert.equal(viewer.image?.pixels.data[0], 2);
    assert.deepEqual(viewer.prompts, []);
    viewer.act({ kind: 'prompt-added', prompt: point('b', 20, 30) });
    await settle();
    assert.equal(session.state.prompts.at(-1)?.plane, 2);
  });

  it('a plane too large to send whole is asked for by the viewer', async () => {
    const session = new AnnotationSession();
    session.open({ ...WALK_IMAGE, size: [20_000, 30_000] });
    const viewer = new FakeViewer();
    const presenter = new Presenter(session, viewer, {
      readPixels: () => Promise.reject(new Error('never whole')),
      renderer:
        (image) =>
        async (box, [height, width]) => {
          assert.deepEqual(box, [0, 0, ...image.size]);
          return { data: new Uint8Array(height * width * 3).fill(9), shape: [height, width, 3] };
        },
    });
    await presenter.idle();
    assert.deepEqual(viewer.image?.pixels.shape, [2, 2, 3]);
    assert.equal(session.state.message, undefined);
  });

  it('V hides the objects and shows them again', async () => {
    const { viewer, settle } = shown();
    viewer.act(key('KeyV'));
    await settle();
    assert.deepEqual(viewer.visible, { current_object: false, auto_segmentation: false, committed_objects: false });
    viewer.act(key('KeyV'));
    await settle();
    assert.ok(Object.values(viewer.visible).every(Boolean));
  });

  it('O says why there are no sections', async () => {
    const { viewer, settle, session } = shown();
    viewer.act(key('KeyO'));
    await settle();
    assert.match(session.state.message?.text ?? '', /Sections need a volume/);
    session.open({ ...WALK_IMAGE, axes: 'zyx', planes: 3 });
    viewer.act(key('KeyO'));
    await settle();
    assert.match(session.state.message?.text ?? '', /viewer cannot show sections/);
  });

  it('a viewer that fails is reported and does not stop the work', async () => {
    const { session, viewer, settle } = shown();
    await settle();
    viewer.before = async (call) => {
      if (call === 'showObjects current_object') throw new Error('The window was closed.');
    };
    viewer.act({ kind: 'prompt-added', prompt: point('a', 20, 30) });
    await settle();
    assert.match(session.state.message?.text ?? '', /The viewer did not show the change: The window was closed/);
    assert.equal(session.state.layers.current_object.objects.size, 1);
  });

  it('previews under the pointer once the embedding is there, until the click', async () => {
    const { session, viewer, settle } = shown();
    viewer.act({ kind: 'pointer', at: [20, 30] });
    await settle();
    assert.equal(viewer.preview, undefined);
    await session.run('compute_embeddings');
    viewer.act({ kind: 'pointer', at: [20, 30] });
    await settle();
    assert.ok(viewer.preview && maskContains(viewer.preview, 20, 30));
    viewer.act({ kind: 'pointer', at: [40, 50] });
    await settle();
    assert.ok(viewer.preview && maskContains(viewer.preview, 40, 50));
    viewer.act({ kind: 'prompt-added', prompt: point('a', 40, 50) });
    await settle();
    assert.equal(viewer.preview, undefined);
  });

  it('the panel says what to do, and why something cannot be done', async () => {
    const { session, viewer, panels, settle } = shown();
    await settle();
    assert.equal(panels.at(-1)?.hint, 'Click a cell.');
    const button = (command: string) =>
      [...panels.at(-1)!.steps, ...panels.at(-1)!.sections.flatMap((section) => section.controls)].find(
        (control) => control.kind === 'button' && control.command === command,
      );
    assert.deepEqual(button('commit'), {
      kind: 'button',
      command: 'commit',
      title: 'Commit',
      keys: ['C'],
      tooltip: 'Commit the segmented object to the committed objects.',
      enabled: false,
      reason: 'Segment an object first: click it in the image.',
      primary: false,
    });
    viewer.act({ kind: 'prompt-added', prompt: point('a', 20, 30) });
    await settle();
    const { object, candidates, hint } = panels.at(-1)!;
    assert.match(hint ?? '', /Press C/);
    assert.match(object?.score ?? '', /model's confidence 0\.90/);
    assert.deepEqual(
      candidates?.masks.map(({ title }) => title),
      ['Small', 'Medium', 'Large'],
    );
    assert.equal((button('commit') as { enabled: boolean }).enabled, true);
    await session.run('commit');
    await session.run('put_prompts', { prompts: [point('b', 20, 34)] });
    await settle();
    assert.match(panels.at(-1)?.conflict ?? '', /object 1 would lose \d+ %/);
  });
});
