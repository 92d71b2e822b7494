import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { memoryBytes } from '../../src/io/bytes.js';
import { readPlane } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { startServer } from '../support/start-server.js';

describe('a folder of images by hand', function () {
  this.timeout(600_000);
  const story = browserStory();

  it('goes through five images, skips a broken one, and goes on after a crash where it stopped', async () => {
    const images = path.join(story.folder, 'images');
    const output = path.join(story.folder, 'results');
    await mkdir(images);
    const cells: YX[] = [];
    for (const n of [1, 2, 3, 4, 5]) {
      const { image, centers } = cellPhantom({ seed: 20 + n, size: [160, 160], cells: 5 });
      await writeFile(path.join(images, `image${n}.tif`), await encodeTiff(image, { axes: 'yx' }));
      cells.push(centers[0]);
    }
    await writeFile(path.join(images, 'image1b.tif'), 'not a TIFF at all');
    const alone = path.join(story.folder, 'alone.tif');
    await writeFile(
      alone,
      await encodeTiff(cellPhantom({ seed: 30, size: [120, 120], cells: 3 }).image, { axes: 'yx' }),
    );
    const server = await startServer([images, '-o', output], { command: 'image_series_annotator' });
    const isOpen = (name: string) => (state: { image: { name: string } | null; embedding: string | null }) =>
      state.image?.name === name && state.embedding === 'ready';
    try {
      const page = await AnnotatorPage.open(story.browser, server.url);
      await page.until('the first image', isOpen('image1.tif'), MINUTES);
      await page.ready();
      await page.click(cells[0]);
      await page.until('a mask', (state) => state.layers.current_object.count === 1, MINUTES);
      await page.press('c');
      await page.until('an object', (state) => state.layers.committed_objects.count === 1);
      const first = await page.labels('committed_objects');

      await page.press('n');
      await page.until('the second image, past the broken one', isOpen('image2.tif'), MINUTES);
      const panel = await page.panel();
      const failed = panel.locator('.series li[data-state="failed"]');
      assert.match((await failed.textContent()) ?? '', /image1b\.tif.*cannot be opened/);
      const saved = await openImage(memoryBytes(await readFile(path.join(output, 'image1_labels.tif')), 'labels.tif'));
      assert.deepEqual(Uint32Array.from((await readPlane(saved, 0)).data), first, 'the result is in the folder');
      await page.ready();
      await page.click(cells[1]);
      await page.until('a mask', (state) => state.layers.current_object.count === 1, MINUTES);
      await page.until('saved', (state) => state.autosave === 'saved');
      const interrupted = await page.labels('current_object');
      await page.screenshot('series-1-in-work');
      await page.close(); // as a crash: nothing was committed, no image was left

      const again = await AnnotatorPage.open(story.browser, server.url);
      const back = await again.until('the image where it stopped', isOpen('image2.tif'), MINUTES);
      assert.equal(back.prompts.length, 1);
      assert.deepEqual(await again.labels('current_object'), interrupted);
      await again.ready();
      await (await again.panel()).click('h1');
      await again.press('c');
      await again.until('an object', (state) => state.layers.committed_objects.count === 1);
      await again.press('n');
      await again.until('the third image', isOpen('image3.tif'), MINUTES);
      assert.equal(await again.call('next_image'), true, 'as the key, for scripts');
      assert.equal((await again.state()).image?.name, 'image4.tif');
      await again.press('Shift+n');
      await again.until('the third image again', isOpen('image3.tif'), MINUTES);

      const list = (await again.panel()).locator('.series li');
      await list.nth(5).click();
      await again.until('the last image', isOpen('image5.tif'), MINUTES);
      await again.ready();
      await again.click(cells[4]);
      await again.until('a mask', (state) => state.layers.current_object.count === 1, MINUTES);
      await again.press('c');
      await again.until('an object', (state) => state.layers.committed_objects.count === 1);
      await again.press('n');
      await again.until('the end', (state) => /last image/.test(state.message?.text ?? ''), MINUTES);
      assert.deepEqual(await list.evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset.state)), [
        'done',
        'failed',
        'done',
        'empty',
        'empty',
        'done',
      ]);
      await again.screenshot('series-2-done');

      const table = (await readFile(path.join(output, 'objects.csv'), 'utf8')).trim().split('\r\n');
      assert.deepEqual(
        table.slice(1).map((row) => row.split(',')[0]),
        ['image1.tif', 'image2.tif', 'image5.tif'],
      );
      assert.deepEqual((await readdir(output)).filter((name) => name.endsWith('.tif')).sort(), [
        'image1_labels.tif',
        'image2_labels.tif',
        'image5_labels.tif',
      ]);
      assert.deepEqual([...page.errors, ...again.errors], []);

      await assert.rejects(again.call('open_image', 'http://127.0.0.1:1/none.tif'));
      assert.equal(await list.count(), 6, 'what cannot be opened does not end the series');
      await again.call('open_image', `data:image/tiff;base64,${(await readFile(alone)).toString('base64')}`);
      await again.until('an image alone', (state) => state.image?.shape[0] === 120);
      await list.first().waitFor({ state: 'hidden' });
      const after = await openImage(memoryBytes(await readFile(path.join(output, 'image5_labels.tif')), 'labels.tif'));
      assert.equal(after.sizes.y, 160, 'the results of the series are those of its images');
      await again.close();
    } finally {
      await server.stop();
    }
  });
});
