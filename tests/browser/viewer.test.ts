import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { decode } from 'fast-png';
import type { Tensor, YX } from '../../src/ndimage/array.js';
import { maskFromBitmap } from '../../src/ndimage/rle.js';
import type { ViewObject } from '../../src/presenter/viewer.js';
import { seededRandom } from '../support/random.js';
import { eventually } from '../support/screen.js';
import { type ViewerPage, type ViewerSite, viewerSite } from '../support/viewer-page.js';

/** What only our viewer does, by real mouse and keyboard; what any viewer does is in contracts/viewer.ts. */
const HEIGHT = 240;
const WIDTH = 320;

/** Every pixel has a colour of its own by row and column. */
function checker(seed: number): Tensor<Uint8Array> {
  const random = seededRandom(seed);
  const data = new Uint8Array(HEIGHT * WIDTH * 3);
  for (let i = 0; i < data.length; i++) data[i] = Math.floor(random() * 256);
  return { data, shape: [HEIGHT, WIDTH, 3] };
}

function disc(id: number, [y, x]: YX, radius: number, color: string): ViewObject {
  const side = 2 * radius + 1;
  const bitmap = Uint8Array.from({ length: side * side }, (_, i) =>
    Number(Math.hypot(Math.floor(i / side) - radius, (i % side) - radius) <= radius),
  );
  return { id, color, mask: maskFromBitmap(bitmap, [side, side], [y - radius, x - radius]) };
}

describe('our viewer in a browser', () => {
  let site: ViewerSite;
  let v: ViewerPage;
  const picture = checker(1);

  before(async () => {
    mkdirSync('dist/screenshots', { recursive: true });
    site = await viewerSite();
    v = await site.open();
    await v.viewer.showImage('checker', picture);
    await v.settle();
  });
  after(() => site.close());

  beforeEach(async () => {
    await v.viewer.showPrompts([]);
    await v.viewer.setTool({ kind: 'point', positive: true, brushSize: 6 });
    await v.settle();
    await v.clearEvents();
  });

  /** RGB on screen at an image position, from a screenshot of the page. */
  async function colorsAt(places: readonly YX[]): Promise<number[][]> {
    const positions = await v.allOnScreen(places);
    const xs = positions.map(([x]) => Math.floor(x));
    const ys = positions.map(([, y]) => Math.floor(y));
    const [x0, y0] = [Math.min(...xs), Math.min(...ys)];
    const clip = { x: x0, y: y0, width: Math.max(...xs) - x0 + 1, height: Math.max(...ys) - y0 + 1 };
    const shot = decode(await v.page.screenshot({ clip }));
    return positions.map((_, k) => {
      const at = ((ys[k] - y0) * shot.width + xs[k] - x0) * shot.channels;
      return Array.from(shot.data.slice(at, at + 3));
    });
  }

  const pixelAt = ([y, x]: YX): number[] => {
    const at = 3 * (Math.floor(y) * WIDTH + Math.floor(x));
    return Array.from(picture.data.slice(at, at + 3));
  };

  async function view(): Promise<number[]> {
    return JSON.parse((await v.frame.evaluate(() => document.getElementById('map')?.dataset.view)) ?? '[]');
  }

  /** Zooms in on the middle of the image until a pixel is at least `size` screen pixels wide. */
  async function zoomIn(size: number): Promise<void> {
    const button = v.frame.getByRole('button', { name: 'Zoom in' });
    while (1 / (await view())[2] < size) {
      await button.click();
      await v.page.waitForTimeout(250);
    }
  }

  async function showAll(): Promise<void> {
    await v.frame.getByRole('button', { name: 'Show the whole image' }).click();
    await v.settle();
  }

  it('shows every pixel as a square of exactly its colour', async () => {
    await zoomIn(12);
    // Near the edges of pixels, so that half a pixel of shift or any smoothing would be seen.
    const places: YX[] = [];
    for (let row = 115; row < 125; row++)
      for (let column = 150; column < 170; column++) places.push([row + 0.2, column + 0.2], [row + 0.8, column + 0.8]);
    assert.deepEqual(await colorsAt(places), places.map(pixelAt));
    await showAll();
  });

  it('keeps zoom and place when the pixels change', async () => {
    const all = await view();
    await v.page.mouse.move(...(await v.onScreen([60, 60])));
    for (let k = 0; k < 3; k++) await v.page.mouse.wheel(0, -200);
    await v.page.waitForTimeout(500);
    const before = await view();
    assert.ok(before[2] < 0.8 * all[2], 'the wheel zooms in');
    await v.viewer.showImage('checker', checker(2));
    await v.settle();
    assert.deepEqual(await view(), before);
    await v.viewer.showImage('checker', picture);
    await showAll();
  });

  it('paints objects on exactly their pixels', async () => {
    await v.viewer.showObjects('committed_objects', [disc(5, [120, 160], 9, '#ff0000')]);
    await zoomIn(12);
    const places: YX[] = [];
    const inside: boolean[] = [];
    for (let row = 108; row < 133; row++)
      for (let column = 148; column < 173; column++) {
        places.push([row + 0.5, column + 0.5]);
        inside.push(Math.hypot(row - 120, column - 160) <= 9);
      }
    const seen = await colorsAt(places);
    // Centres of pixels lie off the outline, so an object's pixel is its picture tinted and any other is the picture.
    const wrong = places.filter((place, k) => {
      const same = seen[k].every((value, c) => Math.abs(value - pixelAt(place)[c]) <= 1);
      return same === inside[k];
    });
    assert.deepEqual(wrong, []);
    await showAll();
  });

  it('says which object is under the pointer, and how large it is', async () => {
    await v.viewer.showObjects('committed_objects', [disc(5, [120, 160], 9, '#ff0000')]);
    await v.page.mouse.move(...(await v.onScreen([120.5, 160.5])));
    const tooltip = v.frame.locator('#tooltip');
    await tooltip.waitFor({ state: 'visible' });
    assert.equal(await tooltip.textContent(), 'Object 5 · 253 px');
    await v.viewer.showScale?.({ size: 0.5, unit: 'µm' });
    await v.viewer.showObjects('committed_objects', [disc(6, [120, 160], 9, '#ff0000')]);
    await v.settle();
    assert.equal(
      await tooltip.textContent(),
      'Object 6 · 253 px · 63.25 µm²',
      'follows what is under a resting pointer',
    );
    await v.viewer.showScale?.(undefined);
    await v.page.mouse.move(...(await v.onScreen([30, 30])));
    await tooltip.waitFor({ state: 'hidden' });
  });

  it('reports where the pointer is, and that it left', async () => {
    await v.page.mouse.move(...(await v.onScreen([77.5, 99.5])));
    const { at } = await v.event('pointer');
    assert.deepEqual(at?.map(Math.floor), [77, 99]);
    await v.clearEvents();
    await v.page.mouse.move(...(await v.onScreen([-5, 20])));
    assert.equal((await v.event('pointer')).at, undefined);
  });

  it('reports a dragged point once, where it was dropped', async () => {
    await v.click([50.5, 60.5]);
    const { prompt } = await v.event('prompt-added');
    await v.drag([
      [50.5, 60.5],
      [80.5, 70.5],
      [100.5, 140.5],
    ]);
    const changed = (await v.event('prompt-changed')).prompt;
    assert.equal(changed.id, prompt.id);
    assert.ok(changed.kind === 'point');
    assert.ok(Math.hypot(changed.at[0] - 100.5, changed.at[1] - 140.5) < 0.5, String(changed.at));
    assert.equal((await v.events()).filter(({ kind }) => kind === 'prompt-changed').length, 1);
    assert.equal((await v.events()).filter(({ kind }) => kind === 'prompt-added').length, 1);
  });

  it('stretches a box by its corner, past the opposite one too, and leaves its inside free for points', async () => {
    await v.viewer.setTool({ kind: 'box', positive: true, brushSize: 6 });
    await v.drag([
      [60, 60],
      [120, 140],
    ]);
    const { prompt } = await v.event('prompt-added');
    await v.drag([
      [120, 140],
      [90, 100],
      [40, 30],
    ]);
    const changed = (await v.event('prompt-changed')).prompt;
    assert.ok(changed.kind === 'box' && changed.id === prompt.id);
    changed.box.forEach((edge, k) => {
      assert.ok(Math.abs(edge - [40, 30, 60, 60][k]) < 0.8, String(changed.box));
    });
    await v.viewer.setTool({ kind: 'point', positive: true, brushSize: 6 });
    await v.clearEvents();
    await v.click([50, 45]);
    assert.equal((await v.event('prompt-added')).prompt.kind, 'point');
  });

  it('deletes the prompt that was clicked, and reports the key when none is selected', async () => {
    await v.click([50.5, 60.5]);
    const { prompt } = await v.event('prompt-added');
    await v.page.waitForTimeout(300);
    await v.click([50.5, 60.5]);
    await v.settle();
    await v.press('Delete');
    assert.equal((await v.event('prompt-removed')).id, prompt.id);
    await v.clearEvents();
    await v.press('Delete');
    assert.equal((await v.event('key')).code, 'Delete');
  });

  it('reports a brush stroke with its path and radius, and does not draw a prompt', async () => {
    for (const kind of ['brush', 'eraser'] as const) {
      await v.viewer.setTool({ kind, positive: true, brushSize: 6 });
      await v.clearEvents();
      await v.drag([
        [100.5, 100.5],
        [100.5, 150.5],
        [140.5, 150.5],
      ]);
      const painted = await v.event('painted');
      assert.equal(painted.tool, kind);
      assert.equal(painted.radius, 6);
      assert.deepEqual(painted.path[0].map(Math.floor), [100, 100]);
      assert.deepEqual(painted.path.at(-1)?.map(Math.floor), [140, 150]);
      const corner = Math.min(...painted.path.map(([y, x]) => Math.hypot(y - 100.5, x - 150.5)));
      assert.ok(corner < 0.5, `the path passes the corner at ${corner} px`);
      assert.equal((await v.events()).filter((event) => event.kind === 'prompt-added').length, 0);
    }
  });

  it('pans with the middle button while the first one paints', async () => {
    await v.viewer.setTool({ kind: 'brush', positive: true, brushSize: 6 });
    const before = await view();
    const [x, y] = await v.onScreen([100, 100]);
    await v.page.mouse.move(x, y);
    await v.page.mouse.down({ button: 'middle' });
    await v.page.mouse.move(x + 30, y + 20, { steps: 3 });
    await v.page.waitForTimeout(200);
    await v.page.mouse.up({ button: 'middle' });
    await v.settle();
    const after = await view();
    // The first few pixels tell a drag from a click.
    const moved = (before[0] - after[0]) / before[2];
    assert.ok(moved > 15 && moved < 31, `moved by ${moved} screen pixels`);
    assert.equal((await v.events()).filter(({ kind }) => kind === 'painted').length, 0);
    await showAll();
  });

  it('picks an object with Alt in any tool', async () => {
    await v.viewer.showObjects('current_object', [disc(1, [60, 200], 12, '#ffff00')]);
    await v.page.keyboard.down('Alt');
    await v.click([60.5, 200.5]);
    await v.page.keyboard.up('Alt');
    assert.deepEqual(await v.event('object-picked'), { kind: 'object-picked', layer: 'current_object', id: 1 });
    await v.viewer.showObjects('current_object', []);
  });

  it('hides, fades, reorders and outlines layers by their controls', async () => {
    await v.viewer.showObjects('committed_objects', [disc(5, [120, 160], 30, '#ff0000')]);
    const place: YX = [120.5, 160.5];
    const [tinted] = await colorsAt([place]);
    await v.frame.getByRole('button', { name: 'Hide Committed objects' }).click();
    await v.settle();
    const [bare] = await colorsAt([place]);
    assert.notDeepEqual(tinted, bare);
    await v.frame.getByRole('button', { name: 'Show Committed objects' }).click();
    await v.frame.getByRole('button', { name: 'Committed objects', exact: true }).click();
    await v.frame.getByRole('checkbox', { name: 'Outlines only' }).first().check();
    await v.settle();
    assert.deepEqual((await colorsAt([place]))[0], bare);
    await v.frame.getByRole('checkbox', { name: 'Outlines only' }).first().uncheck();
    const names = () => v.frame.locator('.layer-name').allTextContents();
    const before = await names();
    await v.frame.getByRole('button', { name: 'Move Committed objects up' }).click();
    const after = await names();
    assert.equal(after.indexOf('Committed objects'), before.indexOf('Committed objects') - 1);
    await v.frame.getByRole('button', { name: 'Move Committed objects down' }).click();
  });

  it('gives a screenshot that holds the image, the objects and a scale bar', async () => {
    await v.viewer.showObjects('committed_objects', [disc(5, [120, 160], 30, '#ff0000')]);
    await v.viewer.showScale?.({ size: 0.5, unit: 'µm' });
    const encoded = await v.viewer.screenshot?.();
    assert.ok(encoded);
    writeFileSync('dist/screenshots/viewer-own-screenshot.png', encoded);
    const png = decode(encoded);
    const frameBox = await v.frame.locator('#map').boundingBox();
    assert.deepEqual(
      [png.width, png.height],
      [frameBox?.width, frameBox?.height].map((n) => Math.round(n ?? 0)),
    );
    const colors = new Set<string>();
    for (let i = 0; i < png.data.length; i += 40 * png.channels) colors.add(png.data.slice(i, i + 3).join());
    assert.ok(colors.size > 1000, `only ${colors.size} colours`);
    assert.match((await v.frame.locator('#scale-bar').textContent()) ?? '', /^\d+ µm$/);
    await v.page.screenshot({ path: 'dist/screenshots/viewer.png' });
  });

  it('offers contrast, colour and visibility of each channel, and reports what was changed', async () => {
    const channel = { limits: [100, 3000], range: [0, 4095], visible: true } as const;
    await v.viewer.showChannels?.([
      { ...channel, name: 'DAPI', color: '#0000ff' },
      { ...channel, name: 'GFP', color: '#00ff00' },
    ]);
    const second = v.frame.getByRole('group', { name: 'GFP' });
    await second.getByRole('button', { name: 'Auto' }).click();
    assert.deepEqual(await v.event('channel'), { kind: 'channel', index: 1, limits: 'auto' });
    await v.clearEvents();
    await second.getByLabel('White').press('ArrowLeft');
    const { limits } = await v.event('channel');
    assert.ok(limits && limits !== 'auto');
    assert.equal(limits[0], 100);
    assert.ok(limits[1] < 3000 && limits[1] > 2980, String(limits));
    await v.clearEvents();
    await second.getByRole('checkbox').uncheck();
    assert.deepEqual(await v.event('channel'), { kind: 'channel', index: 1, visible: false });
    await v.page.screenshot({ path: 'dist/screenshots/viewer-channels.png' });
    await v.viewer.showChannels?.([]);
  });

  it('hands over dropped files', async () => {
    await v.frame.evaluate(() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(['abc'], 'cells.tif'));
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
    });
    await v.event('files-dropped');
    const file = await v.page.evaluate(async () => {
      const { events } = globalThis as unknown as { events: { kind: string; files: File[] }[] };
      const [dropped] = events.find((event) => event.kind === 'files-dropped')?.files ?? [];
      return [dropped.name, await dropped.text()];
    });
    assert.deepEqual(file, ['cells.tif', 'abc']);
  });

  it('hears keys and draws while the settings of another layer are open', async () => {
    const name = v.frame.getByRole('button', { name: 'Committed objects', exact: true });
    await name.click();
    await v.press('KeyS');
    assert.equal((await v.event('key')).code, 'KeyS');
    await v.click([50.5, 60.5]);
    await v.event('prompt-added');
    await name.click();
  });

  it('loses no key while an image takes the place of another one', async () => {
    await v.press('KeyS');
    await v.event('key');
    await v.clearEvents();
    const pixels = { data: new Uint8Array(240 * 320 * 3).fill(90), shape: [240, 320, 3] };
    const showing = v.viewer.showImage('another', pixels);
    for (let k = 0; k < 6; k++) await v.press('KeyS');
    await showing;
    await eventually('six keys', async () =>
      (await v.events()).filter(({ kind }) => kind === 'key').length === 6 ? true : undefined,
    );
  });

  it('steps through planes by [ and ] unless somebody else takes the keys', async () => {
    // Our adapter reports all keys, so the viewer leaves these to whoever hears them.
    await v.viewer.showPlaneSlider({ count: 9, at: 4, axis: 'z' });
    await v.press('BracketRight');
    assert.equal((await v.event('key')).code, 'BracketRight');
    assert.equal((await v.events()).filter(({ kind }) => kind === 'plane').length, 0);
    await v.viewer.showPlaneSlider(undefined);
  });

  it('asks for nothing outside this machine and reports no error', () => {
    assert.deepEqual(v.outside, []);
    assert.deepEqual(v.errors, []);
  });
});

describe('a large image in our viewer', () => {
  let site: ViewerSite;
  before(async () => {
    site = await viewerSite();
  });
  after(() => site.close());

  it('asks only for what is on screen and shows it in its place', async () => {
    const v = await site.open();
    // 100,000 x 100,000 px: red tells the row, green the column.
    await v.page.evaluate(async () => {
      const asked: number[][] = [];
      const { viewer } = globalThis as unknown as { viewer: import('../../src/presenter/viewer.js').Viewer };
      await viewer.showLargeImage?.('large', [100_000, 100_000], async ([y0, x0, y1, x1], [rows, columns]) => {
        asked.push([y0, x0, y1, x1, rows, columns]);
        const data = new Uint8Array(rows * columns * 3);
        for (let j = 0, k = 0; j < rows; j++)
          for (let i = 0; i < columns; i++, k += 3) {
            data[k] = Math.floor((256 * (y0 + ((j + 0.5) * (y1 - y0)) / rows)) / 100_000);
            data[k + 1] = Math.floor((256 * (x0 + ((i + 0.5) * (x1 - x0)) / columns)) / 100_000);
          }
        return { data, shape: [rows, columns, 3] };
      });
      Object.assign(globalThis, { asked });
    });
    await v.page.waitForTimeout(500);
    const places: YX[] = [
      [10_200, 20_200],
      [50_200, 50_200],
      [90_200, 30_200],
    ];
    const positions = await v.allOnScreen(places);
    const shot = decode(await v.page.screenshot());
    positions.forEach(([x, y], k) => {
      const at = (Math.floor(y) * shot.width + Math.floor(x)) * shot.channels;
      const [red, green, blue] = shot.data.slice(at, at + 3);
      assert.ok(Math.abs(red - (256 * places[k][0]) / 100_000) <= 1.5, `row at ${places[k]}: ${red}`);
      assert.ok(Math.abs(green - (256 * places[k][1]) / 100_000) <= 1.5, `column at ${places[k]}: ${green}`);
      assert.equal(blue, 0);
    });
    const asked = await v.page.evaluate(() => (globalThis as unknown as { asked: number[][] }).asked);
    assert.ok(asked.length > 0);
    for (const [, , , , rows, columns] of asked) assert.ok(rows <= 800 && columns <= 1200, `${rows} x ${columns}`);
    await v.click([30_000, 40_000]);
    const { prompt } = await v.event('prompt-added');
    assert.ok(prompt.kind === 'point' && Math.hypot(prompt.at[0] - 30_000, prompt.at[1] - 40_000) < 200);
    await v.close();
  });
});
