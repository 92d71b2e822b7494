import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import type { YX } from '../../src/ndimage/array.js';
import { masksFromLabels } from '../../src/ndimage/rle.js';
import { AnnotatorPage, type State } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/** Work faster than the model, by mouse and keyboard, in our viewer and in one that can only do what Kaibu can. */
describe('a fast hand in the browser', function () {
  this.timeout(600_000);
  const here = browserStory();
  const phantom = cellPhantom({ seed: 5, size: [256, 320], cells: 12 });
  const cells = [...masksFromLabels(phantom.labels).values()]
    .filter(({ area, box: [y0, x0, y1, x1] }) => area > 250 && y0 > 4 && x0 > 4 && y1 < 252 && x1 < 316)
    .sort((a, b) => b.area - a.area)
    .slice(0, 5);
  const middle = ([y0, x0, y1, x1]: readonly number[]): YX => [(y0 + y1) / 2, (x0 + x1) / 2];
  let server: RunningServer;
  before(async () => {
    const file = path.join(here.folder, 'cells.tif');
    await writeFile(file, await encodeTiff(phantom.image, { axes: 'yx' }));
    server = await startServer(['--port', '0', file]);
  });
  const opened: AnnotatorPage[] = [];
  after(async () => {
    for (const page of opened) await page.close();
    await server?.stop();
  });

  const idle = (state: State) => state.tasks.length === 0 && state.waiting === 0;

  for (const viewer of ['ours', 'Kaibu'] as const) {
    let annotator: AnnotatorPage;

    /** The page, free of all work; opened for the first of the tests. */
    async function fresh(): Promise<void> {
      if (!annotator || annotator.page.isClosed()) annotator = await open();
      await annotator.until('all done before', idle, MINUTES);
      await annotator.call('set_settings', { hover_preview: false, tool: 'point', positive: true });
      await annotator.call('clear_annotations');
      const { layers } = await annotator.state();
      for (const { id } of layers.committed_objects.objects) await annotator.call('delete_object', id);
    }

    async function open(): Promise<AnnotatorPage> {
      for (const page of opened.splice(0)) await page.close(); // a window that has the image keeps others from changing it
      const context = await here.browser.newContext({ viewport: { width: 1400, height: 900 } });
      const page = await context.newPage();
      if (viewer === 'Kaibu') await withoutExtras(page);
      const client = await context.newCDPSession(page);
      await client.send('Emulation.setCPUThrottlingRate', { rate: 3 });
      const shown = await AnnotatorPage.over(page, server.url);
      opened.push(shown);
      await shown.until('no other window has the image', (state) => state.image !== null && state.read_only === null);
      await shown.shown();
      return shown;
    }

    it(`click, C, click, C while the embedding is still computed gives an object for each: ${viewer}`, async () => {
      await fresh();
      const places = await Promise.all(cells.map(({ box }) => annotator.onScreen(middle(box))));
      for (const [x, y] of places) {
        await annotator.page.mouse.click(x, y);
        await annotator.page.waitForTimeout(120); // the pace of a quick hand
        await annotator.press('c');
        await annotator.page.waitForTimeout(120);
      }
      await annotator.until(
        'all committed',
        (state) => idle(state) && state.layers.committed_objects.count > 0,
        MINUTES,
      );
      const state = await annotator.state();
      assert.equal(state.layers.committed_objects.count, cells.length, state.message?.text);
      const labels = await annotator.labels('committed_objects');
      for (const cell of cells) {
        const [y, x] = middle(cell.box).map(Math.floor);
        const id = labels[y * 320 + x];
        assert.ok(id > 0);
        const area = labels.filter((label) => label === id).length;
        assert.ok(area > cell.area / 2 && area < cell.area * 2, `${area} pixels of a cell of ${cell.area}`);
      }
      for (let k = 0; k < 2; k++) await annotator.press('Control+z');
      await annotator.until('the last one taken back', (now) => idle(now) && now.layers.committed_objects.count === 4);
      assert.deepEqual(annotator.errors, []);
    });

    it(`T and at once a click gives a negative point, which ends with the object: ${viewer}`, async () => {
      await fresh();
      await annotator.until('embedding', (state) => state.embedding === 'ready', MINUTES);
      const [a, b] = await Promise.all(cells.slice(0, 2).map(({ box }) => annotator.onScreen(middle(box))));
      const [nx, ny] = [a[0] + 40, a[1] + 3];
      await annotator.page.mouse.click(...a);
      await annotator.press('t');
      await annotator.page.mouse.click(nx, ny);
      await annotator.press('t');
      await annotator.press('t');
      await annotator.press('c');
      await annotator.page.mouse.click(...b);
      if (viewer === 'ours') await annotator.page.mouse.click(b[0] + 40, b[1] + 3, { button: 'right' });
      const wanted = viewer === 'ours' ? 2 : 1;
      const state = await annotator.until('all done', (now) => idle(now) && now.prompts.length === wanted, MINUTES);
      const signs = state.prompts.map((prompt) => 'label' in prompt && prompt.label);
      assert.deepEqual(signs, viewer === 'ours' ? [1, 0] : [1]);
      assert.equal(state.layers.committed_objects.count, 1);
      const session = JSON.parse(await annotator.call<string>('export_session'));
      const first = session.layers.committed_objects[0];
      assert.deepEqual(
        first.prompts.map((prompt: { positive: boolean }) => prompt.positive),
        [true, false],
      );
    });

    it(`a negative click takes away what is too much and leaves the rest: ${viewer}`, async () => {
      await fresh();
      await annotator.until('embedding', (state) => state.embedding === 'ready', MINUTES);
      const [cell] = cells;
      const [y, x] = middle(cell.box);
      await annotator.page.mouse.click(...(await annotator.onScreen([y, x])));
      await annotator.until('a mask', (now) => idle(now) && now.layers.current_object.count === 1, MINUTES);
      const clicked = await annotator.labels('current_object');
      // A tail that does not belong to it, out of the cell to where there is more room.
      const end: YX = [y, x < 160 ? cell.box[3] + 22 : cell.box[1] - 22];
      await annotator.call('paint', [[y, x < 160 ? cell.box[3] - 1 : cell.box[1] + 1], end], {
        tool: 'brush',
        radius: 4,
      });
      const painted = await annotator.labels('current_object');
      const iou = (labels: Uint32Array) => {
        const [both, either] = [(k: number) => labels[k] && clicked[k], (k: number) => labels[k] || clicked[k]];
        const count = (test: (k: number) => number) => labels.reduce((sum, _, k) => sum + (test(k) ? 1 : 0), 0);
        return count(both) / count(either);
      };
      assert.ok(iou(painted) < 0.95, `${iou(painted)}`);
      const at = await annotator.onScreen(end);
      if (viewer === 'ours') await annotator.page.mouse.click(...at, { button: 'right' });
      else {
        await annotator.press('t');
        await annotator.page.mouse.click(...at);
        await annotator.press('t');
      }
      await annotator.until('the correction', (now) => idle(now) && now.prompts.length === 2, MINUTES);
      const corrected = await annotator.labels('current_object');
      const index = Math.floor(end[0]) * 320 + Math.floor(end[1]);
      assert.deepEqual([painted[index], corrected[index]], [1, 0]);
      assert.ok(iou(corrected) > iou(painted), `${iou(painted)} to ${iou(corrected)}`);
      assert.ok(
        corrected.every((label, k) => !label || painted[k]),
        'nothing is added',
      );
      await annotator.press('Control+z');
      await annotator.untilLabels('current_object', painted, 'as it was painted');
      assert.deepEqual(annotator.errors, []);
    });

    it(`keys and buttons of both windows come in the order of the hand: ${viewer}`, async () => {
      await fresh();
      await annotator.until('embedding', (state) => state.embedding === 'ready', MINUTES);
      const panel = await annotator.panel();
      const places = await Promise.all(cells.slice(0, 3).map(({ box }) => annotator.onScreen(middle(box))));
      const button = await panel.locator('[data-command="commit"]').boundingBox();
      assert.ok(button);
      await annotator.page.mouse.click(...places[0]);
      // Kaibu does not tell when it has said all; ours does, and the button may be pressed before the click is heard of.
      if (viewer === 'Kaibu') await panel.waitForSelector('[data-command="commit"]:not([aria-disabled="true"])');
      await annotator.page.mouse.click(button.x + button.width / 2, button.y + button.height / 2);
      for (const place of places.slice(1)) {
        await annotator.page.mouse.click(...place);
        await annotator.press('c');
      }
      const state = await annotator.until(
        'three objects',
        (now) => idle(now) && now.layers.committed_objects.count >= 3,
        MINUTES,
      );
      assert.equal(state.layers.committed_objects.count, 3);
    });
  }
});

/** Our viewer with the functions of Kaibu alone. */
async function withoutExtras(page: Page): Promise<void> {
  await page.route('**/plugin/viewer/*.js*', async (route) => {
    const response = await route.fetch();
    const body = (await response.text()).replaceAll('get_capabilities', 'no_capabilities');
    await route.fulfill({ response, body });
  });
}
