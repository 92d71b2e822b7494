import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import type { YX } from '../../src/ndimage/array.js';
import { maskFromBitmap } from '../../src/ndimage/rle.js';
import type { Viewer, ViewerEvent } from '../../src/presenter/viewer.js';
import type { Prompt } from '../../src/segmentation/prompts.js';

/** A viewer, and hands that use it as a person would: by mouse and keyboard, at places of the image. */
export interface ViewerHarness {
  readonly viewer: Viewer;
  /** Where it was opened deaf: begins to listen. */
  listen(): Promise<void>;
  /** All events since the last clearEvents. */
  events(): Promise<ViewerEvent[]>;
  clearEvents(): Promise<void>;
  /** Waits for the first event of a kind. */
  event<K extends ViewerEvent['kind']>(kind: K): Promise<Extract<ViewerEvent, { kind: K }>>;
  click(at: YX): Promise<void>;
  /** To click at once when it is called, however busy the viewer is. */
  aim(at: YX): Promise<() => Promise<void>>;
  drag(path: readonly YX[]): Promise<void>;
  press(key: string): Promise<void>;
  /** A picture of the surroundings of a place, the pointer elsewhere. */
  look(at: YX): Promise<Uint8Array>;
  clickCommand(title: string): Promise<void>;
  /** Moves the plane slider one plane up. */
  nextPlane(): Promise<void>;
  /** Long enough for an event that should not come to have come. */
  settle(): Promise<void>;
  /** Closes the viewer as a user does. */
  closeWindow(): Promise<void>;
  close(): Promise<void>;
}

const SIZE = [120, 200] as const;

function image([height, width]: readonly [number, number]): { data: Uint8Array; shape: number[] } {
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < data.length; i++) data[i] = (i * 7) % 251;
  return { data, shape: [height, width, 3] };
}

const square = (top: number, left: number, side: number) =>
  maskFromBitmap(new Uint8Array(side * side).fill(1), [side, side], [top, left]);

/** What is on screen comes late on a busy machine. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; ) if (await holds()) return;
  assert.fail(`Not within a minute: ${what}.`);
}

/** What earlier tests have left on screen may still be going. */
async function restingLook(h: ViewerHarness, at: YX): Promise<Uint8Array> {
  let picture = await h.look(at);
  await until('the picture rests', async () => {
    const before = picture;
    picture = await h.look(at);
    return isDeepStrictEqual(picture, before);
  });
  return picture;
}

/**
 * What the presenter relies on; every Viewer passes it.
 *
 * @param open `deaf`: nobody listens to the viewer until `listen`
 */
export function viewerContract(name: string, open: (deaf?: boolean) => Promise<ViewerHarness>): void {
  describe(`viewer contract: ${name}`, () => {
    let h: ViewerHarness;
    before(async () => {
      h = await open();
      await h.viewer.showImage('image a', image(SIZE));
    });
    after(() => h?.close());

    beforeEach(async () => {
      await h.viewer.showPrompts([]);
      await h.viewer.setTool({ kind: 'point', positive: true, brushSize: 5 });
      await h.settle();
      await h.clearEvents();
    });

    it('reports a click as a positive point at the pixel under the pointer', async () => {
      for (const at of [
        [0.5, 0.5],
        [30.5, 150.5],
        [119.5, 199.5],
      ] as const) {
        await h.clearEvents();
        await h.click(at);
        const { prompt } = await h.event('prompt-added');
        assert.ok(prompt.kind === 'point' && prompt.positive);
        assert.deepEqual(prompt.at.map(Math.floor), at.map(Math.floor));
        assert.equal(prompt.plane, 0);
      }
    });

    it('reports a negative point after the tool was switched, and gives every prompt an id of its own', async () => {
      await h.click([40, 40]);
      const first = (await h.event('prompt-added')).prompt;
      await h.viewer.setTool({ kind: 'point', positive: false, brushSize: 5 });
      await h.clearEvents();
      await h.click([60, 100]);
      const { prompt } = await h.event('prompt-added');
      assert.ok(prompt.kind === 'point' && !prompt.positive);
      assert.notEqual(prompt.id, first.id);
    });

    it('reports a dragged box, clipped to the image', async () => {
      await h.viewer.setTool({ kind: 'box', positive: true, brushSize: 5 });
      await h.drag([
        [20, 30],
        [50, 60],
        [70, 90],
      ]);
      const { prompt } = await h.event('prompt-added');
      assert.ok(prompt.kind === 'box');
      prompt.box.forEach((edge, k) => {
        assert.ok(Math.abs(edge - [20, 30, 70, 90][k]) < 0.6, `${prompt.box}`);
      });
      await h.clearEvents();
      await h.drag([
        [100, 150],
        [110, 190],
        [125, 208],
      ]);
      const clipped = (await h.event('prompt-added')).prompt;
      assert.ok(clipped.kind === 'box');
      assert.deepEqual(clipped.box.slice(2), [120, 200]);
    });

    it('reports a drawn outline as a polygon', async () => {
      await h.viewer.setTool({ kind: 'polygon', positive: true, brushSize: 5 });
      await h.drag([
        [20, 20],
        [20, 80],
        [80, 80],
        [80, 20],
        [22, 20],
      ]);
      const { prompt } = await h.event('prompt-added');
      assert.ok(prompt.kind === 'polygon');
      const ys = prompt.ring.map(([y]) => y);
      const xs = prompt.ring.map(([, x]) => x);
      const box = [Math.min(...ys), Math.min(...xs), Math.max(...ys), Math.max(...xs)];
      box.forEach((edge, k) => {
        assert.ok(Math.abs(edge - [20, 20, 80, 80][k]) < 1, `${box}`);
      });
    });

    it('reports an ellipse dragged from corner to corner', async () => {
      await h.viewer.setTool({ kind: 'ellipse', positive: true, brushSize: 5 });
      await h.drag([
        [20, 30],
        [60, 80],
        [70, 110],
      ]);
      const { prompt } = await h.event('prompt-added');
      assert.ok(prompt.kind === 'ellipse');
      assert.ok(prompt.ring.length >= 32);
      for (const [y, x] of prompt.ring) {
        const distance = Math.hypot((y - 45) / 25, (x - 70) / 40);
        assert.ok(Math.abs(distance - 1) < 0.05, `${distance} at ${y}, ${x}`);
      }
    });

    it('reports strokes of the brush and of other tools with their path, and a click that fills, and draws nothing', async () => {
      const path = [
        [40.5, 40.5],
        [40.5, 100.5],
        [80.5, 120.5],
      ] as const;
      for (const kind of ['brush', 'eraser', 'scribble', 'split', 'fill'] as const) {
        await h.viewer.setTool({ kind, positive: true, brushSize: 6 });
        await h.clearEvents();
        if (kind === 'fill') await h.click(path[0]);
        else await h.drag(path);
        const painted = await h.event('painted');
        assert.equal(painted.tool, kind);
        if (kind === 'brush') assert.equal(painted.radius, 6);
        for (const [y, x] of kind === 'fill' ? path.slice(0, 1) : path)
          assert.ok(
            Math.min(...painted.path.map((at) => Math.hypot(at[0] - y, at[1] - x))) < 1.5,
            `${kind} ${y}, ${x}`,
          );
        await h.settle();
        const others = (await h.events()).filter((event) => event.kind.startsWith('prompt'));
        assert.deepEqual(others, [], kind);
      }
    });

    it('says nothing about prompts that were shown from outside, moved from outside or taken away', async () => {
      const point: Prompt = { id: 'p', kind: 'point', plane: 0, at: [50, 50], positive: true };
      const box: Prompt = { id: 'b', kind: 'box', plane: 0, box: [10, 10, 40, 60] };
      await h.viewer.showPrompts([point, box]);
      await h.viewer.showPrompts([
        { ...point, at: [55, 70] },
        { ...box, box: [12, 10, 45, 60] },
      ]);
      await h.viewer.showPrompts([{ ...box, box: [12, 10, 45, 60] }]);
      await h.viewer.showPrompts([]);
      await h.settle();
      assert.deepEqual(
        (await h.events()).filter(({ kind }) => kind.startsWith('prompt')),
        [],
      );
    });

    it('keeps a drawn prompt when it is shown back, without a second report', async () => {
      await h.click([33, 44]);
      const { prompt } = await h.event('prompt-added');
      await h.viewer.showPrompts([prompt]);
      await h.settle();
      assert.equal((await h.events()).filter(({ kind }) => kind.startsWith('prompt')).length, 1);
    });

    it('is quiet about a prompt that was taken away and shown again at once', async () => {
      const point: Prompt = { id: 'p', kind: 'point', plane: 0, at: [50, 50], positive: true };
      for (const prompts of [[point], [], [point], [], [point]]) void h.viewer.showPrompts(prompts);
      await h.settle();
      await h.viewer.showPrompts([]);
      await h.settle();
      assert.deepEqual(
        (await h.events()).filter(({ kind }) => kind.startsWith('prompt')),
        [],
      );
    });

    it('keeps what is drawn while an earlier clearing waits its turn', async () => {
      const many = Array.from({ length: 400 }, (_, k) => ({
        id: k + 1,
        color: '#ff0000',
        mask: square(5 * (k % 20), 5 * Math.floor(k / 20), 4),
      }));
      const at = [80.5, 60.5] as const;
      const bare = await restingLook(h, at);
      const click = await h.aim(at);
      await h.viewer.showPrompts([{ id: 'p', kind: 'point', plane: 0, at: [50, 50], positive: true }]);
      const waiting: Promise<void>[] = [];
      for (let k = 0; k < 20; k++) waiting.push(h.viewer.showObjects('committed_objects', many.slice(0, 400 - k)));
      waiting.push(h.viewer.showPrompts([]));
      await click();
      const { prompt } = await h.event('prompt-added');
      waiting.push(h.viewer.showObjects('committed_objects', []));
      await Promise.all(waiting);
      await until('the drawn point stays', async () => !isDeepStrictEqual(await h.look(at), bare));
      await h.viewer.showPrompts([prompt]);
      await h.viewer.showPrompts([]);
      await until('the point goes', async () => isDeepStrictEqual(await h.look(at), bare));
      const seen = (await h.events()).filter(({ kind }) => kind.startsWith('prompt')).map(({ kind }) => kind);
      assert.deepEqual(seen, ['prompt-added']);
    });

    it('tells the first listener all that was done before, in its order, and of moves the last', async () => {
      const early = await open(true);
      try {
        await early.viewer.showImage('image a', image(SIZE));
        await early.viewer.setTool({ kind: 'point', positive: true, brushSize: 5 });
        await early.viewer.showCommands([{ id: 'one', title: 'First' }]);
        await early.click([30.5, 40.5]);
        await early.press('s');
        await early.clickCommand('First');
        await early.click([-6, 50]);
        await early.click([90.5, 140.5]);
        await early.settle();
        await early.listen();
        await early.settle();
        const heard = await early.events();
        const done = heard.filter(({ kind }) => kind !== 'pointer' && kind !== 'view');
        assert.deepEqual(
          done.map((event) =>
            'prompt' in event && 'at' in event.prompt ? event.prompt.at.map(Math.floor) : event.kind,
          ),
          [[30, 40], 'key', 'command', 'prompt-refused', [90, 140]],
        );
        assert.ok(heard.filter(({ kind }) => kind === 'pointer').length <= 1);
        assert.ok(heard.filter(({ kind }) => kind === 'view').length <= 1);
      } finally {
        await early.close();
      }
    });

    it('takes no prompt outside the image, and says so', async () => {
      await h.click([-6, 50]);
      assert.equal((await h.event('prompt-refused')).why, 'outside');
      await h.settle();
      assert.deepEqual(
        (await h.events()).filter(({ kind }) => kind.startsWith('prompt')).map(({ kind }) => kind),
        ['prompt-refused'],
      );
    });

    it('reports keys with their modifiers', async () => {
      await h.click([60, 60]);
      await h.clearEvents();
      await h.press('s');
      const { time: _, ...press } = await h.event('key');
      assert.deepEqual(press, { kind: 'key', code: 'KeyS', ctrl: false, shift: false, alt: false });
      await h.clearEvents();
      await h.press('Control+Shift+z');
      await h.settle();
      const keys = (await h.events())
        .filter((event) => event.kind === 'key' && event.code === 'KeyZ')
        .map(({ time: _, ...event }) => event);
      assert.deepEqual(keys, [{ kind: 'key', code: 'KeyZ', ctrl: true, shift: true, alt: false }]);
    });

    it('loses no key while layers are added', async () => {
      await h.click([60, 60]);
      await h.clearEvents();
      const path: [number, number][] = [
        [10, 10],
        [20, 30],
      ];
      const adding = [
        h.viewer.showTracks?.([{ id: '1', color: '#ff0000', path }]),
        h.viewer.showTiles?.([[0, 0, 50, 50]]),
      ];
      for (let k = 0; k < 8; k++) await h.press('s');
      await Promise.all(adding);
      await h.settle();
      assert.equal((await h.events()).filter(({ kind }) => kind === 'key').length, 8);
      await Promise.all([h.viewer.showTracks?.([]), h.viewer.showTiles?.([])]);
    });

    it('runs each command button as itself, also after the buttons were replaced', async () => {
      await h.viewer.showCommands([
        { id: 'one', title: 'First' },
        { id: 'two', title: 'Second' },
      ]);
      await h.clickCommand('First');
      assert.equal((await h.event('command')).id, 'one');
      await h.viewer.showCommands([
        { id: 'three', title: 'Third' },
        { id: 'four', title: 'Fourth' },
      ]);
      await h.clearEvents();
      await h.clickCommand('Third');
      assert.equal((await h.event('command')).id, 'three');
      await h.clearEvents();
      await h.clickCommand('Third');
      assert.equal((await h.event('command')).id, 'three');
    });

    it('reports the plane a user moves to, is quiet about ours, and puts it into new prompts', async () => {
      await h.viewer.showPlaneSlider({ count: 5, at: 1, axis: 'z' });
      await h.viewer.showPlaneSlider({ count: 5, at: 2, axis: 'z' });
      await h.settle();
      assert.equal((await h.events()).filter(({ kind }) => kind === 'plane').length, 0);
      await h.nextPlane();
      assert.equal((await h.event('plane')).plane, 3);
      await h.click([20.5, 20.5]);
      assert.equal((await h.event('prompt-added')).prompt.plane, 3);
      await h.viewer.showPlaneSlider(undefined);
    });

    it('tells which object was picked: the topmost there', async () => {
      await h.viewer.showObjects('committed_objects', [
        { id: 7, color: '#ff0000', mask: square(10, 10, 40) },
        { id: 9, color: '#00ff00', mask: square(30, 30, 40) },
      ]);
      await h.viewer.setTool({ kind: 'pan', positive: true, brushSize: 5 });
      await h.click([40.5, 40.5]);
      assert.deepEqual(await h.event('object-picked'), { kind: 'object-picked', layer: 'committed_objects', id: 9 });
      await h.clearEvents();
      await h.click([15.5, 15.5]);
      assert.equal((await h.event('object-picked')).id, 7);
      await h.viewer.showObjects('committed_objects', [{ id: 9, color: '#00ff00', mask: square(30, 30, 40) }]);
      await h.clearEvents();
      await h.click([15.5, 15.5]);
      await h.settle();
      const seen = (await h.events()).filter(({ kind }) => kind === 'object-picked' || kind.startsWith('prompt'));
      assert.deepEqual(seen, []);
    });

    it('accepts an empty preview, empty layers, hiding and showing', async () => {
      await h.viewer.showPreview(square(5, 5, 20));
      await h.viewer.showPreview(undefined);
      await h.viewer.showObjects('current_object', []);
      for (const layer of ['committed_objects', 'prompts'] as const) {
        await h.viewer.setLayerVisible(layer, false);
        await h.viewer.setLayerVisible(layer, true);
      }
      await h.viewer.showBusy(true);
      await h.viewer.showBusy(false);
      await h.click([25.5, 35.5]);
      assert.equal((await h.event('prompt-added')).prompt.kind, 'point');
    });

    it('still takes clicks after the pixels changed', async () => {
      await h.viewer.showImage('image a', image(SIZE));
      await h.viewer.showImage('image a', image(SIZE));
      await h.click([70.5, 120.5]);
      const { prompt } = await h.event('prompt-added');
      assert.ok(prompt.kind === 'point');
      assert.deepEqual(prompt.at.map(Math.floor), [70, 120]);
    });

    it('follows an image of another size, and still draws after its layers were made anew', async () => {
      await h.viewer.showImage('image b', image([300, 90]));
      await h.settle();
      await h.clearEvents();
      await h.click([250.5, 80.5]);
      const { prompt } = await h.event('prompt-added');
      assert.ok(prompt.kind === 'point');
      assert.deepEqual(prompt.at.map(Math.floor), [250, 80]);
    });

    it('says that it was closed, and answers later calls with an error instead of silence', async () => {
      await h.closeWindow();
      await h.event('closed');
      await assert.rejects(h.viewer.showPrompts([]), /closed/);
    });
  });
}
