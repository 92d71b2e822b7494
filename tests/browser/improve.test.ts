import assert from 'node:assert/strict';
import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Frame } from 'playwright-core';
import type { TrainingRecord } from '../../src/service/training.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { dataPath, withData } from '../support/data.js';
import { startServer } from '../support/start-server.js';

const DSB = (name: string) => dataPath(`a_lm2d/dsb2018/${name}.png`);
/** In the order in which a series takes them. */
const NAMES = ['4185b9369fc8', '2817299fd3b8', 'aa47f0b303b1'];

describe("a model made better on one's own objects", function () {
  this.timeout(1_800_000);
  const story = browserStory();

  const section = (panel: Frame) => panel.locator('[data-section="improve"]');
  const until = (panel: Frame, selector: string) =>
    section(panel).locator(selector).waitFor({ state: 'visible', timeout: 1_200_000 });

  /** To look at, where MICRO_SAM_SCREENSHOTS is set. */
  async function pictures(page: AnnotatorPage, name: string): Promise<void> {
    if (!process.env.MICRO_SAM_SCREENSHOTS) return;
    await page.page.setViewportSize({ width: 1280, height: 720 });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.page.emulateMedia({ colorScheme });
      await section(await page.panel()).scrollIntoViewIfNeeded();
      await page.screenshot(`${name}-${colorScheme}`);
    }
  }

  async function chooseQuick(panel: Frame): Promise<void> {
    await section(panel).locator('[data-command="improve_model"]').click();
    const sheet = panel.locator('dialog.sheet');
    await sheet.locator('[data-preset="quick"]').click();
    await until(panel, '[data-training="pause"]');
  }

  withData('the button trains, pauses, keeps the best when stopped, and shows what it gained (thorough)', async () => {
    const server = await startServer([DSB(NAMES[0]), '--segmentation_result', DSB(`${NAMES[0]}_labels`)]);
    try {
      const page = await AnnotatorPage.open(story.browser, server.url);
      await page.ready();
      await page.until('its objects', ({ layers }) => layers.committed_objects.count > 0, MINUTES);
      const panel = await page.panel();
      await chooseQuick(panel);
      await section(panel).locator('[data-training="pause"]').click();
      await panel.getByText('Paused').waitFor();
      await section(panel).locator('[data-training="pause"]').click();
      await panel.getByText(/^Learning to find all objects: ([2-9]|\d\d)/).waitFor({ timeout: 1_200_000 });
      await section(panel).locator('[data-training="stop"]').click();
      await until(panel, '.offered');
      await section(panel).locator('.kept-back img').first().waitFor();
      await pictures(page, 'improve-3-offer');
      assert.match((await section(panel).locator('.gains').textContent()) ?? '', /0\.\d\d → 0\.\d\d/);
      assert.deepEqual(await section(panel).locator('.kept-back figcaption').allTextContents(), ['Before', 'After']);
      assert.ok((await page.call<string[]>('get_model_names')).includes('msi_lm-mine'), 'it is in the list at once');
      assert.deepEqual(page.errors, []);
      await page.close();
    } finally {
      await server.stop();
    }
  });

  withData(
    'two images are annotated, the button is pressed, and it pauses, goes on, and keeps the best when stopped (long)',
    async () => {
      const images = path.join(story.folder, 'three');
      await mkdir(images);
      for (const name of NAMES) await copyFile(DSB(name), path.join(images, `${name}.png`));
      const labels = path.join(story.folder, 'labels');
      await mkdir(labels);
      for (const name of NAMES.slice(0, 2))
        await copyFile(DSB(`${name}_labels`), path.join(labels, `${name}_labels.png`));
      const server = await startServer(
        [
          images,
          '--initial_segmentation_folder',
          labels,
          '--ignore_unpaired',
          '-o',
          path.join(story.folder, 'results'),
        ],
        { command: 'image_series_annotator' },
      );
      try {
        const page = await AnnotatorPage.open(story.browser, server.url);
        await page.ready();
        const panel = await page.panel();
        for (const name of NAMES.slice(1)) {
          await page.until('its objects', ({ layers }) => layers.committed_objects.count > 0, MINUTES);
          await page.press('n');
          await page.until(
            name,
            ({ image, embedding }) => image?.name === `${name}.png` && embedding === 'ready',
            MINUTES,
          );
        }
        await section(panel).locator('[data-command="improve_model"]').click();
        const sheet = panel.locator('dialog.sheet');
        await sheet
          .getByText(/^About \d+ (s|min|h)/)
          .first()
          .waitFor({ timeout: 1_200_000 });
        await pictures(page, 'improve-1-sheet');
        const text = (await sheet.textContent()) ?? '';
        assert.match(text, /\d+ objects of 2 images to learn from, about \d+ to \d+ pixels across/);
        assert.match(text, /\d+ objects kept back/);
        await sheet.locator('[data-preset="quick"]').click();
        await until(panel, '[data-training="pause"]');
        await panel.getByText(/^Learning to find all objects: [1-9]/).waitFor({ timeout: 1_200_000 });
        await section(panel).locator('[data-training="pause"]').click();
        await panel.getByText('Paused').waitFor();
        await pictures(page, 'improve-2-paused');
        await section(panel).locator('[data-training="pause"]').click();
        await panel.getByText(/^Learning to find all objects: ([2-9]|\d\d)/).waitFor({ timeout: 1_200_000 });
        await section(panel).locator('[data-training="stop"]').click();
        await until(panel, '.offered');
        await pictures(page, 'improve-3-offer');
        assert.match((await section(panel).locator('.gains').textContent()) ?? '', /0\.\d\d → 0\.\d\d/);
        assert.ok((await page.call<string[]>('get_model_names')).includes('msi_lm-mine'), 'it is in the list at once');
        if (await section(panel).locator('[data-training="take"]').isVisible()) {
          await section(panel).locator('[data-training="take"]').click();
          await panel.getByText('msi_lm-mine is in use.').waitFor({ timeout: 1_200_000 });
          await section(panel).locator('[data-training="take"]').click(); // back
          await panel.getByText(/is ready/).waitFor({ timeout: 1_200_000 });
        } else {
          assert.match((await section(panel).textContent()) ?? '', /Nothing better was found/);
          await section(panel).locator('[data-training="dismiss"]').click();
          await section(panel).locator('.offered').waitFor({ state: 'hidden' });
        }
        assert.deepEqual(page.errors, []);
        await page.close();
      } finally {
        await server.stop();
      }
    },
  );

  withData('a page that no server trains for does so itself, in a web worker (thorough)', async () => {
    const server = await startServer([DSB(NAMES[0]), '--segmentation_result', DSB(`${NAMES[0]}_labels`)]);
    try {
      const context = await story.browser.newContext({ viewport: { width: 1400, height: 900 } });
      const tab = await context.newPage();
      await tab.route('**/settings.json', async (route) => {
        const response = await route.fetch();
        const { training: _, worker: __, ...settings } = await response.json();
        await route.fulfill({ response, json: settings });
      });
      const page = await AnnotatorPage.over(tab, server.url);
      await page.ready();
      await page.until('its objects', ({ layers }) => layers.committed_objects.count > 0);
      const record = await page.call<TrainingRecord>('train_sam', {
        n_canvases: 1,
        n_iterations: 2,
        n_prompt_iterations: 1,
        preset: 'quick',
      });
      assert.equal(record.state, 'done');
      assert.equal(record.where, 'in this page');
      assert.ok((await page.call<string[]>('get_model_names')).includes(record.name));
      await page.call('load_model', record.name);
      await page.until('its embedding', ({ embedding }) => embedding === 'ready', MINUTES);
      await page.call('delete_model', record.name);
      assert.deepEqual(page.errors, []);
      await page.close();
    } finally {
      await server.stop();
    }
  });
});
