import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { unzipSync } from 'fflate';
import { memoryBytes } from '../../src/io/bytes.js';
import { readPlane } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { DIVISION, dividingCell, phantomTiff, planeIou, planesWith, SIDE } from '../support/stack-phantoms.js';
import { startServer } from '../support/start-server.js';

describe('a time series by hand', function () {
  this.timeout(600_000);
  const story = browserStory();

  it('follows a cell through its division, shows the lineage and saves it', async () => {
    const truth = dividingCell();
    const pixels = SIDE * SIDE;
    const file = path.join(story.folder, 'cells.tif');
    await writeFile(file, await phantomTiff(truth, 'tyx'));
    const server = await startServer([file]);
    try {
      const page = await AnnotatorPage.open(story.browser, server.url);
      await page.ready();
      const panel = await page.panel();
      const tracked = (id: number) => (state: { task: unknown; message: { text: string } | null }) =>
        state.task === null && new RegExp(`Track ${id} is in frames`).test(state.message?.text ?? '');

      await page.click([90, 50]);
      await page.until('a mask in frame 1', (state) => state.layers.current_object.count === 1, MINUTES);
      await page.goToPlane(DIVISION);
      await page.press('d');
      await panel.waitForSelector('.states [data-state="division"][aria-pressed="true"]');
      await page.click([68, 70]);
      await page.until('the division is marked', (state) => state.prompts.length === 2 && state.task === null, MINUTES);
      await page.press('Shift+s');
      await page.until('the mother is tracked', tracked(1), MINUTES);
      await page.screenshot('tracking-1-mother');
      const mother = await page.labels('current_object');
      assert.deepEqual(planesWith(mother, 1, pixels), [0, 1, 2]);
      for (const t of [0, 1, 2]) assert.ok(planeIou(mother, 1, truth, t, 1) > 0.7, `mother in frame ${t + 1}`);

      await page.press('d');
      const daughters = [
        { id: 2, at: [72, 78] as const }, // beside the mark of the division: a click on a mark selects it
        { id: 3, at: [112, 70] as const },
      ];
      for (const { id, at } of daughters) {
        await panel.selectOption('.tracks select', String(id));
        await (await page.viewer()).click('#sliders label span');
        await page.click(at);
        await page.until(`daughter ${id} is marked`, (state) => state.layers.current_object.count === id, MINUTES);
        await page.press('Shift+s');
        await page.until(`daughter ${id} is tracked`, tracked(id), MINUTES);
      }
      const all = await page.labels('current_object');
      for (const { id } of daughters) {
        assert.deepEqual(planesWith(all, id, pixels), [3, 4, 5]);
        for (const t of [3, 4, 5]) assert.ok(planeIou(all, id, truth, t, id) > 0.7, `daughter ${id} in frame ${t + 1}`);
      }
      const names = panel.locator('.lineage .track');
      assert.equal(await names.count(), 3);
      assert.match((await names.nth(0).getAttribute('aria-label')) ?? '', /daughter of 1/);
      await page.goToPlane(5);
      await page.screenshot('tracking-2-family');

      await page.press('c');
      await page.until('three committed tracks', (state) => state.layers.committed_objects.count === 3);
      assert.deepEqual(await page.labels('committed_objects'), all, 'ids and masks are what was shown');
      await panel.locator('.lineage [aria-label^="Track 1,"]').click({ position: { x: 4, y: 8 } });
      await page.until('the tree leads to the first frame', (state) => state.plane === 0);
      await page.screenshot('tracking-3-committed');

      const download = page.page.waitForEvent('download');
      await page.press('Control+s');
      await panel.click('.menu button:has-text("Cell Tracking Challenge")');
      const archive = unzipSync(await readFile(await (await download).path()));
      assert.equal(
        new TextDecoder().decode(archive['cells_RES/res_track.txt']),
        '1 0 2 0\n2 3 5 1\n3 3 5 1\n',
        'the lineage in the format of the Cell Tracking Challenge',
      );
      const frame = await openImage(memoryBytes(archive['cells_RES/mask004.tif'], 'mask004.tif'));
      assert.deepEqual(Uint32Array.from((await readPlane(frame, 0)).data), all.slice(4 * pixels, 5 * pixels));
      assert.deepEqual(page.errors, []);
      await page.close();
    } finally {
      await server.stop();
    }
  });
});
