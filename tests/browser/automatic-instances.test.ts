import assert from 'node:assert/strict';
import { copyFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { AnnotatorPage, type State } from '../support/annotator-page.js';
import { serveFolders } from '../support/browser.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { dataPath, withData } from '../support/data.js';
import { startServer } from '../support/start-server.js';

/** Another instance decoder is put in the place of the built-in one, and all objects of the image are there at once. */
describe('automatic segmentation by an instance decoder, by hand', function () {
  this.timeout(MINUTES * 1000);
  const story = browserStory();
  const { image, labels } = cellPhantom();
  const count = ({ layers }: State) => layers.auto_segmentation.count;

  withData('is added in the panel, run, tuned, and accepted', async () => {
    const { folder, browser } = story;
    const file = path.join(folder, 'phantom.tif');
    await writeFile(file, await encodeTiff(image, { axes: 'yx' }));
    await copyFile(dataPath('models/ais_light_skips.onnx'), path.join(folder, 'instances.onnx'));
    const [server, site] = await Promise.all([startServer(['--port', '0', file]), serveFolders([['/', folder]])]);
    try {
      const annotator = await AnnotatorPage.open(browser, server.url);
      await annotator.ready();
      const panel = await annotator.panel();

      await annotator.openSection('image');
      await panel.locator('.image-settings > summary').click();
      await panel.locator('[data-encoding="model"]').selectOption('Add a model …');
      const form = panel.locator('form.add-model');
      await form.locator('input[type=text]').fill('vit_t');
      await form.getByLabel('Address of the instance decoder').fill(`${site.url}instances.onnx`);
      await annotator.screenshot('instances-1-add');
      await form.getByText('Add and use').click();
      await panel.waitForFunction(
        () => document.querySelector('[data-choice="mode"]')?.closest('label')?.hidden === false,
      );
      await annotator.until('embedded', (now) => now.embedding === 'ready' && now.task === null, 120);
      await panel.locator('.image-settings > summary').click();

      await annotator.press('a');
      const found = await annotator.until('objects', (now) => count(now) > 0 && now.task === null, 120);
      const truth = new Set(labels.data).size - 1;
      assert.ok(Math.abs(count(found) - truth) <= 0.35 * truth, `${count(found)} of ${truth} nuclei`);
      await annotator.screenshot('instances-2-found');

      const foreground = panel.locator('[data-threshold="foregroundThreshold"]');
      await foreground.evaluate((input: HTMLInputElement) => {
        input.value = '0.98';
        input.dispatchEvent(new Event('input', { bubbles: true }));
        input.dispatchEvent(new Event('change', { bubbles: true }));
      });
      await annotator.until('other objects', (now) => now.undo === 'Change thresholds');
      await annotator.screenshot('instances-3-strict');
      await annotator.press('Control+z');
      await annotator.until('as before', (now) => count(now) === count(found));

      await annotator.press('Shift+A');
      const accepted = await annotator.until('all accepted', (now) => count(now) === 0);
      assert.equal(accepted.layers.committed_objects.count, count(found));
      await annotator.screenshot('instances-4-accepted');

      await panel.locator('[data-section="automatic"] summary', { hasText: 'Search' }).click();
      await panel.locator('[data-choice="kind"]').selectOption('phase_contrast');
      await panel.waitForFunction(() => document.querySelector<HTMLInputElement>('[data-thorough="mirror"]')?.checked);
      await annotator.screenshot('instances-5-kind');
      await panel.locator('[data-choice="kind"]').selectOption('');
      await panel.locator('[data-choice="mode"]').selectOption('apg');
      await annotator.press('a');
      await annotator.until('outlines', (now) => count(now) > 0 && now.task === null, 120);
      await panel.locator('[data-threshold="predIouThresh"]').evaluate((input: HTMLInputElement) => {
        input.value = '1';
        input.dispatchEvent(new Event('input', { bubbles: true }));
        input.dispatchEvent(new Event('change', { bubbles: true }));
      });
      const leftOut = panel.locator('[data-part="left-out"]');
      await leftOut.locator('summary').click();
      await leftOut.locator('li button').first().waitFor();
      assert.match((await leftOut.locator('li button').first().textContent()) ?? '', /score too low/);
      await annotator.screenshot('instances-6-left-out');
      await leftOut.locator('li button').first().click();
      await annotator.until('a point there', (now) => now.prompts.length === 1);
    } finally {
      await site.close();
      await server.stop();
    }
  });
});
