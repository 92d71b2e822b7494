import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { decode } from 'fast-png';
import type { YX } from '../../src/ndimage/array.js';
import { eventually } from '../support/screen.js';
import { type ViewerSite, viewerSite } from '../support/viewer-page.js';
import { checker, disc, viewerStory } from '../support/viewer-story.js';

/** What only our viewer shows; what any viewer does is in contracts/viewer.ts, what hands do in viewer-hands.test.ts. */
describe('our viewer in a browser', () => {
  const story = viewerStory();
  before(() => void mkdirSync('dist/screenshots', { recursive: true }));

  it('shows every pixel as a square of exactly its colour', async () => {
    await story.zoomIn(12);
    // Near the edges of pixels, so that half a pixel of shift or any smoothing would be seen.
    const places: YX[] = [];
    for (let row = 115; row < 125; row++)
      for (let column = 150; column < 170; column++) places.push([row + 0.2, column + 0.2], [row + 0.8, column + 0.8]);
    assert.deepEqual(await story.colorsAt(places), places.map(story.pixelAt));
    await story.showAll();
  });

  it('keeps zoom and place when the pixels change', async () => {
    const all = await story.view();
    await story.v.page.mouse.move(...(await story.v.onScreen([60, 60])));
    for (let k = 0; k < 3; k++) await story.v.page.mouse.wheel(0, -200);
    const before = await eventually(
      'a view that the wheel has zoomed into, at rest',
      async () => {
        const seen = await story.view();
        await story.v.settle();
        return seen[2] < 0.8 * all[2] && isDeepStrictEqual(await story.view(), seen) ? seen : undefined;
      },
      60,
    );
    await story.v.viewer.showImage('checker', checker(2));
    await story.v.settle();
    assert.deepEqual(await story.view(), before);
    await story.v.viewer.showImage('checker', story.picture);
    await story.showAll();
  });

  it('paints objects on exactly their pixels', async () => {
    await story.v.viewer.showObjects('committed_objects', [disc(5, [120, 160], 9, '#ff0000')]);
    await story.zoomIn(12);
    const places: YX[] = [];
    const inside: boolean[] = [];
    for (let row = 108; row < 133; row++)
      for (let column = 148; column < 173; column++) {
        places.push([row + 0.5, column + 0.5]);
        inside.push(Math.hypot(row - 120, column - 160) <= 9);
      }
    const seen = await story.colorsAt(places);
    // Centres of pixels lie off the outline, so an object's pixel is its picture tinted and any other is the picture.
    const wrong = places.filter((place, k) => {
      const same = seen[k].every((value, c) => Math.abs(value - story.pixelAt(place)[c]) <= 1);
      return same === inside[k];
    });
    assert.deepEqual(wrong, []);
    await story.showAll();
  });

  it('says which object is under the pointer, and how large it is', async () => {
    await story.v.viewer.showObjects('committed_objects', [disc(5, [120, 160], 9, '#ff0000')]);
    await story.v.page.mouse.move(...(await story.v.onScreen([120.5, 160.5])));
    const tooltip = story.v.frame.locator('#tooltip');
    await tooltip.waitFor({ state: 'visible' });
    assert.equal(await tooltip.textContent(), 'Object 5 · 253 px');
    await story.v.viewer.showScale?.({ size: 0.5, unit: 'µm' });
    await story.v.viewer.showObjects('committed_objects', [disc(6, [120, 160], 9, '#ff0000')]);
    await story.v.settle();
    assert.equal(
      await tooltip.textContent(),
      'Object 6 · 253 px · 63.25 µm²',
      'follows what is under a resting pointer',
    );
    await story.v.viewer.showScale?.(undefined);
    await story.v.page.mouse.move(...(await story.v.onScreen([30, 30])));
    await tooltip.waitFor({ state: 'hidden' });
  });

  it('hides, fades, reorders and outlines layers by their controls', async () => {
    await story.v.viewer.showObjects('committed_objects', [disc(5, [120, 160], 30, '#ff0000')]);
    const place: YX = [120.5, 160.5];
    const [tinted] = await story.colorsAt([place]);
    await story.v.frame.getByRole('button', { name: 'Hide Committed objects' }).click();
    await story.v.settle();
    const [bare] = await story.colorsAt([place]);
    assert.notDeepEqual(tinted, bare);
    await story.v.frame.getByRole('button', { name: 'Show Committed objects' }).click();
    await story.v.frame.getByRole('button', { name: 'Committed objects', exact: true }).click();
    await story.v.frame.getByRole('checkbox', { name: 'Outlines only' }).first().check();
    await story.v.settle();
    assert.deepEqual((await story.colorsAt([place]))[0], bare);
    await story.v.frame.getByRole('checkbox', { name: 'Outlines only' }).first().uncheck();
    const names = () => story.v.frame.locator('.layer-name').allTextContents();
    const before = await names();
    await story.v.frame.getByRole('button', { name: 'Move Committed objects up' }).click();
    const after = await names();
    assert.equal(after.indexOf('Committed objects'), before.indexOf('Committed objects') - 1);
    await story.v.frame.getByRole('button', { name: 'Move Committed objects down' }).click();
  });

  it('gives a screenshot that holds the image, the objects and a scale bar', async () => {
    await story.v.viewer.showObjects('committed_objects', [disc(5, [120, 160], 30, '#ff0000')]);
    await story.v.viewer.showScale?.({ size: 0.5, unit: 'µm' });
    const encoded = await story.v.viewer.screenshot?.();
    assert.ok(encoded);
    writeFileSync('dist/screenshots/viewer-own-screenshot.png', encoded);
    const png = decode(encoded);
    const frameBox = await story.v.frame.locator('#map').boundingBox();
    assert.deepEqual(
      [png.width, png.height],
      [frameBox?.width, frameBox?.height].map((n) => Math.round(n ?? 0)),
    );
    const colors = new Set<string>();
    for (let i = 0; i < png.data.length; i += 40 * png.channels) colors.add(png.data.slice(i, i + 3).join());
    assert.ok(colors.size > 1000, `only ${colors.size} colours`);
    assert.match((await story.v.frame.locator('#scale-bar').textContent()) ?? '', /^\d+ µm$/);
    await story.v.page.screenshot({ path: 'dist/screenshots/viewer.png' });
  });

  it('offers contrast, colour and visibility of each channel, and reports what was changed', async () => {
    const channel = { limits: [100, 3000], range: [0, 4095], visible: true } as const;
    await story.v.viewer.showChannels?.([
      { ...channel, name: 'DAPI', color: '#0000ff' },
      { ...channel, name: 'GFP', color: '#00ff00' },
    ]);
    const second = story.v.frame.getByRole('group', { name: 'GFP' });
    await second.getByRole('button', { name: 'Auto' }).click();
    assert.deepEqual(await story.v.event('channel'), { kind: 'channel', index: 1, limits: 'auto' });
    await story.v.clearEvents();
    await second.getByLabel('White', { exact: true }).press('ArrowLeft');
    const { limits } = await story.v.event('channel');
    assert.ok(limits && limits !== 'auto');
    assert.equal(limits[0], 100);
    assert.ok(limits[1] < 3000 && limits[1] > 2980, String(limits));
    await story.v.clearEvents();
    await second.getByRole('checkbox').uncheck();
    assert.deepEqual(await story.v.event('channel'), { kind: 'channel', index: 1, visible: false });
    await story.v.page.screenshot({ path: 'dist/screenshots/viewer-channels.png' });
    await story.v.viewer.showChannels?.([]);
  });

  it('asks for nothing outside this machine and reports no error', () => {
    assert.deepEqual(story.v.outside, []);
    assert.deepEqual(story.v.errors, []);
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
    await v.settle();
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
