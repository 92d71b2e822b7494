import assert from 'node:assert/strict';
import { eventually } from '../support/screen.js';
import { disc, viewerStory } from '../support/viewer-story.js';

/** Mouse, keys and files in our viewer, by real ones; what any viewer does is in contracts/viewer.ts. */
describe('hands on our viewer', () => {
  const story = viewerStory();

  it('reports where the pointer is, and that it left', async () => {
    await story.v.page.mouse.move(...(await story.v.onScreen([77.5, 99.5])));
    const { at } = await story.v.event('pointer');
    assert.deepEqual(at?.map(Math.floor), [77, 99]);
    await story.v.clearEvents();
    await story.v.press('+');
    const moved = (await story.v.event('pointer')).at;
    assert.ok(
      moved?.some((place, k) => Math.abs(place - (at?.[k] ?? 0)) > 1),
      'the image moves below it, too',
    );
    await story.showAll();
    await story.v.clearEvents();
    await story.v.page.mouse.move(...(await story.v.onScreen([-5, 20])));
    assert.equal((await story.v.event('pointer')).at, undefined);
  });

  it('reports a dragged point once, where it was dropped', async () => {
    await story.v.click([50.5, 60.5]);
    const { prompt } = await story.v.event('prompt-added');
    await story.v.drag([
      [50.5, 60.5],
      [80.5, 70.5],
      [100.5, 140.5],
    ]);
    const changed = (await story.v.event('prompt-changed')).prompt;
    assert.equal(changed.id, prompt.id);
    assert.ok(changed.kind === 'point');
    assert.ok(Math.hypot(changed.at[0] - 100.5, changed.at[1] - 140.5) < 0.5, String(changed.at));
    assert.equal((await story.v.events()).filter(({ kind }) => kind === 'prompt-changed').length, 1);
    assert.equal((await story.v.events()).filter(({ kind }) => kind === 'prompt-added').length, 1);
  });

  it('reports the right button, and Ctrl+click, as a negative point whatever the tool is; nothing else comes of them', async () => {
    for (const kind of ['point', 'box', 'brush', 'pan'] as const) {
      await story.v.viewer.setTool({ kind, positive: true, brushSize: 6 });
      for (const options of [{ button: 'right' }, { modifiers: 'Control' }] as const) {
        await story.v.clearEvents();
        const [x, y] = await story.v.onScreen([50.5, 60.5]);
        if ('modifiers' in options) await story.v.page.keyboard.down('Control');
        await story.v.page.mouse.click(x, y, 'button' in options ? options : {});
        if ('modifiers' in options) await story.v.page.keyboard.up('Control');
        const { prompt, negative, time = 0 } = await story.v.event('prompt-added');
        assert.ok(prompt.kind === 'point' && !prompt.positive && negative, `${kind} ${JSON.stringify(options)}`);
        assert.deepEqual(prompt.at.map(Math.floor), [50, 60]);
        assert.ok(Math.abs(time - Date.now()) < 30_000);
        await story.v.settle();
        const others = (await story.v.events()).filter((event) => event.kind !== 'pointer' && event.kind !== 'key');
        assert.equal(others.length, 1, JSON.stringify(others));
      }
    }
  });

  it('a mask shown as a prompt is left alone: nobody talks of it, and it goes when it is taken away', async () => {
    const { mask } = disc(1, [80, 120], 30, '#ffffff');
    const bare = await story.v.look([110, 120]);
    await story.v.viewer.showPrompts([{ kind: 'mask', id: 'm', plane: 0, mask }]);
    assert.notDeepEqual(await story.v.look([110, 120]), bare);
    await story.v.clearEvents();
    await story.v.settle();
    const said = (await story.v.events()).filter(({ kind }) => kind.startsWith('prompt'));
    assert.deepEqual(said, []);
    await story.v.viewer.showPrompts([]);
    assert.deepEqual(await story.v.look([110, 120]), bare);
  });

  it('stretches a box by its corner, past the opposite one too, and leaves its inside free for points', async () => {
    await story.v.viewer.setTool({ kind: 'box', positive: true, brushSize: 6 });
    await story.v.drag([
      [60, 60],
      [120, 140],
    ]);
    const { prompt } = await story.v.event('prompt-added');
    await story.v.drag([
      [120, 140],
      [90, 100],
      [40, 30],
    ]);
    const changed = (await story.v.event('prompt-changed')).prompt;
    assert.ok(changed.kind === 'box' && changed.id === prompt.id);
    changed.box.forEach((edge, k) => {
      assert.ok(Math.abs(edge - [40, 30, 60, 60][k]) < 0.8, String(changed.box));
    });
    await story.v.viewer.setTool({ kind: 'point', positive: true, brushSize: 6 });
    await story.v.clearEvents();
    await story.v.click([50, 45]);
    assert.equal((await story.v.event('prompt-added')).prompt.kind, 'point');
  });

  it('deletes the prompt that was clicked, and reports the key when none is selected', async () => {
    await story.v.click([50.5, 60.5]);
    const { prompt } = await story.v.event('prompt-added');
    await story.v.page.waitForTimeout(300); // else the second click would make a double click
    await story.v.click([50.5, 60.5]);
    await story.v.settle();
    await story.v.press('Delete');
    assert.equal((await story.v.event('prompt-removed')).id, prompt.id);
    await story.v.clearEvents();
    await story.v.press('Delete');
    assert.equal((await story.v.event('key')).code, 'Delete');
  });

  it('reports a brush stroke with its path and radius, and does not draw a prompt', async () => {
    for (const kind of ['brush', 'eraser'] as const) {
      await story.v.viewer.setTool({ kind, positive: true, brushSize: 6 });
      await story.v.clearEvents();
      await story.v.drag([
        [100.5, 100.5],
        [100.5, 150.5],
        [140.5, 150.5],
      ]);
      const painted = await story.v.event('painted');
      assert.equal(painted.tool, kind);
      assert.equal(painted.radius, 6);
      assert.deepEqual(painted.path[0].map(Math.floor), [100, 100]);
      assert.deepEqual(painted.path.at(-1)?.map(Math.floor), [140, 150]);
      const corner = Math.min(...painted.path.map(([y, x]) => Math.hypot(y - 100.5, x - 150.5)));
      assert.ok(corner < 0.5, `the path passes the corner at ${corner} px`);
      assert.equal((await story.v.events()).filter((event) => event.kind === 'prompt-added').length, 0);
    }
  });

  it('pans with the middle and the right button, and with Space, whatever the first one does', async () => {
    const { page } = story.v;
    for (const kind of ['point', 'box', 'polygon', 'corners', 'ellipse', 'brush', 'split', 'pan'] as const) {
      await story.v.viewer.setTool({ kind, positive: true, brushSize: 6 });
      for (const button of ['middle', 'right', 'left'] as const) {
        await story.v.clearEvents();
        const before = await story.view();
        const [x, y] = await story.v.onScreen([100, 100]);
        await page.mouse.move(x, y);
        if (button === 'left') await page.keyboard.down('Space');
        await page.mouse.down({ button });
        await page.mouse.move(x + 30, y + 20, { steps: 3 });
        await page.waitForTimeout(120); // longer than what the map looks back to let a drag glide on
        await page.mouse.up({ button });
        if (button === 'left') await page.keyboard.up('Space');
        const after = await story.restAfter(before);
        // The first few pixels tell a drag from a click; what is let go in motion glides on.
        const moved = (before[0] - after[0]) / before[2];
        assert.ok(moved > 15 && moved < 90, `${kind}, ${button}: moved by ${moved} screen pixels`);
        const done = (await story.v.events()).filter((event) => /^(prompt|painted|object)/.test(event.kind));
        assert.deepEqual(done, [], `${kind}, ${button}`);
      }
      await story.showAll();
    }
  });

  it('goes on showing all of the image when the window changes, until the view is moved by hand', async () => {
    const resolution = async () => (await story.view())[2];
    const until = (what: string, holds: (now: number) => boolean) =>
      eventually(what, async () => (holds(await resolution()) ? true : undefined), 60);
    const resize = (width: number, height: number) => story.v.page.setViewportSize({ width, height });
    await story.showAll();
    const large = await resolution();
    await resize(600, 400);
    await until('the image is as small as the window', (now) => now > 1.5 * large);
    await resize(1200, 800);
    await until('the image is as large as before', (now) => Math.abs(now - large) < 1e-3 * large);
    await story.v.page.mouse.move(...(await story.v.onScreen([100, 100])));
    await story.v.page.mouse.wheel(0, -300);
    await until('the wheel has turned', (now) => now < 0.95 * large);
    await story.v.settle();
    const chosen = await resolution();
    await resize(600, 400);
    await story.v.settle();
    assert.ok(Math.abs((await resolution()) - chosen) < 0.05 * chosen);
    await resize(1200, 800);
    await story.showAll();
  });

  it('picks an object with Alt in any tool', async () => {
    await story.v.viewer.showObjects('current_object', [disc(1, [60, 200], 12, '#ffff00')]);
    await story.v.page.keyboard.down('Alt');
    await story.v.click([60.5, 200.5]);
    await story.v.page.keyboard.up('Alt');
    assert.deepEqual(await story.v.event('object-picked'), { kind: 'object-picked', layer: 'current_object', id: 1 });
    await story.v.viewer.showObjects('current_object', []);
  });

  it('hands over dropped files', async () => {
    await story.v.frame.evaluate(() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(['abc'], 'cells.tif'));
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
    });
    await story.v.event('files-dropped');
    const file = await story.v.page.evaluate(async () => {
      const { events } = globalThis as unknown as { events: { kind: string; files: File[] }[] };
      const [dropped] = events.find((event) => event.kind === 'files-dropped')?.files ?? [];
      return [dropped.name, await dropped.text()];
    });
    assert.deepEqual(file, ['cells.tif', 'abc']);
  });

  it('hears keys and draws while the settings of another layer are open', async () => {
    const name = story.v.frame.getByRole('button', { name: 'Committed objects', exact: true });
    await name.click();
    await story.v.press('KeyS');
    assert.equal((await story.v.event('key')).code, 'KeyS');
    await story.v.click([50.5, 60.5]);
    await story.v.event('prompt-added');
    await name.click();
  });

  it('loses no key while an image takes the place of another one', async () => {
    await story.v.press('KeyS');
    await story.v.event('key');
    await story.v.clearEvents();
    const pixels = { data: new Uint8Array(240 * 320 * 3).fill(90), shape: [240, 320, 3] };
    const showing = story.v.viewer.showImage('another', pixels);
    for (let k = 0; k < 6; k++) await story.v.press('KeyS');
    await showing;
    await eventually('six keys', async () =>
      (await story.v.events()).filter(({ kind }) => kind === 'key').length === 6 ? true : undefined,
    );
  });

  it('steps through planes by [ and ] unless somebody else takes the keys', async () => {
    // Our adapter reports all keys, so the viewer leaves these to whoever hears them.
    await story.v.viewer.showPlaneSlider({ count: 9, at: 4, axis: 'z' });
    await story.v.press('BracketRight');
    assert.equal((await story.v.event('key')).code, 'BracketRight');
    assert.equal((await story.v.events()).filter(({ kind }) => kind === 'plane').length, 0);
    await story.v.viewer.showPlaneSlider(undefined);
  });

  it('shows all of an image above the sliders; a view that was moved stays where it is', async () => {
    const { page, frame, viewer } = story.v;
    const before = page.viewportSize()!;
    await page.setViewportSize({ width: 1200, height: 500 });
    await story.showAll();
    const clear = async () => {
      const sliders = await frame.locator('#sliders').boundingBox();
      const [, bottom] = await story.v.onScreen([240, 160]);
      return sliders !== null && bottom < sliders.y ? true : undefined;
    };
    await viewer.showPlaneSlider({ count: 9, at: 4, axis: 'z' });
    await eventually('the image above its slider', clear);
    const whole = await story.view();
    await story.v.press('+');
    const moved = await story.restAfter(whole);
    await viewer.showPlaneSlider(undefined);
    await frame.locator('#sliders').waitFor({ state: 'hidden' });
    await story.v.settle();
    assert.deepEqual(await story.view(), moved);
    await page.setViewportSize(before);
    await story.showAll();
  });

  it('asks for nothing outside this machine and reports no error', () => {
    assert.deepEqual(story.v.outside, []);
    assert.deepEqual(story.v.errors, []);
  });
});
