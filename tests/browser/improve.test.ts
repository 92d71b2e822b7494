import assert from 'node:assert/strict';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { encode } from 'fast-png';
import type { Browser, Frame } from 'playwright-core';
import type { LabelImage } from '../../src/ndimage/array.js';
import { innermostPixel } from '../../src/ndimage/distance.js';
import { maskIou } from '../../src/ndimage/mask-sets.js';
import { maskFromBitmap, maskFromLabels, masksFromLabels } from '../../src/ndimage/rle.js';
import type { TrainingRecord } from '../../src/service/training.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { dataPath, withData } from '../support/data.js';
import { readGroundTruth, readLabelImage } from '../support/ground-truth.js';
import { startServer } from '../support/start-server.js';

const DSB = (name: string) => dataPath(`a_lm2d/dsb2018/${name}.png`);
/** In the order in which a series takes them. */
const NAMES = ['4185b9369fc8', '2817299fd3b8', 'aa47f0b303b1'];

/** Of one microscope: two to annotate, one to score on. */
const OF_ONE_KIND = [
  { file: 'training/dsb2018/images/80632d6be60c.png', labels: 'training/dsb2018/labels/80632d6be60c.png' },
  { file: 'training/dsb2018/images/1400420310c9.png', labels: 'training/dsb2018/labels/1400420310c9.png' },
  { file: 'a_lm2d/dsb2018/20e209f6ffa1.png', labels: 'a_lm2d/dsb2018/20e209f6ffa1_labels.png' },
] as const;

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

  /** By the button, in a page that trains itself; the model is taken. */
  async function improveQuickly(page: AnnotatorPage) {
    const panel = await page.panel();
    await section(panel).locator('[data-command="improve_model"]').click();
    const sheet = panel.locator('dialog.sheet');
    await sheet.getByText(/^About .*Clicks and boxes only/).waitFor({ timeout: 1_200_000 });
    const told = await sheet.locator('[data-preset="quick"] .detail').textContent();
    const begun = performance.now();
    await sheet.locator('[data-preset="quick"]').click();
    await until(panel, '.offered');
    const seconds = (performance.now() - begun) / 1000;
    await section(panel).locator('[data-training="take"]').click();
    await panel.getByText('vit_t-mine is in use.').waitFor({ timeout: 1_200_000 });
    await page.until('its embedding', ({ embedding }) => embedding === 'ready', MINUTES);
    return { told, seconds, gain: await section(panel).locator('.gains').textContent() };
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

  withData(
    'quick in a page makes clicks better on the rest of an image of which 20 objects are annotated (long)',
    async () => {
      const { labels } = await readGroundTruth('stardist-img2d');
      const [height = 0, width = 0] = labels.shape;
      const objects = [...masksFromLabels(labels)].filter(([, { area }]) => area >= 25);
      const fromLeft = objects.sort(([, a], [, b]) => a.box[1] - b.box[1]).map(([id]) => id);
      const annotated = new Set(fromLeft.slice(0, 20));
      const rest = fromLeft.slice(20).filter((_, k) => k % 8 === 0);
      const file = path.join(story.folder, 'twenty.png');
      const data = Uint16Array.from(labels.data, (id) => (annotated.has(id) ? id : 0));
      await writeFile(file, encode({ width, height, data, channels: 1, depth: 16 }));
      const image = dataPath('a_lm2d/stardist/img2d.tif');
      const server = await startServer([image, '-m', 'vit_t', '--segmentation_result', file]);
      try {
        const page = await pageThatTrains(story.browser, server.url);
        await page.until('its objects', ({ layers }) => layers.committed_objects.count === 20, MINUTES);
        const before = await clicked(page, labels, rest);
        const { told, seconds } = await improveQuickly(page);
        const after = await clicked(page, labels, rest);
        const gain = `${before.toFixed(3)} → ${after.toFixed(3)}`;
        console.log(`      ${gain} of ${rest.length} objects, in ${seconds.toFixed(0)} s (it said: ${told})`);
        assert.ok(after > before + 0.03, gain);
        assert.deepEqual(page.errors, []);
        await page.close();
      } finally {
        await server.stop();
      }
    },
  );

  withData(
    'two images are annotated by clicks, the button is pressed, and clicks are better on a third (thorough)',
    async () => {
      const images = path.join(story.folder, 'of-one-kind');
      await mkdir(images);
      const truth = await Promise.all(OF_ONE_KIND.map(({ labels }) => readLabelImage(labels)));
      for (const [k, { file }] of OF_ONE_KIND.entries())
        await copyFile(dataPath(file), path.join(images, `${k + 1}.png`));
      const server = await startServer([images, '-m', 'vit_t', '-o', path.join(story.folder, 'of-one-kind-results')], {
        command: 'image_series_annotator',
      });
      try {
        const page = await pageThatTrains(story.browser, server.url, { computes: false });
        for (const [k, labels] of truth.slice(0, 2).entries()) {
          const committed = await annotateByClicks(page, labels);
          assert.ok(committed >= 6, `${committed} objects of image ${k + 1}`);
          await page.press('n');
          const name = `${k + 2}.png`;
          await page.until(name, ({ image, embedding }) => image?.name === name && embedding === 'ready', MINUTES);
        }
        const third = truth[2] as LabelImage;
        const scored = largest(third).filter((_, k) => k % 2 === 0);
        const before = await clicked(page, third, scored);
        const { gain } = await improveQuickly(page);
        const after = await clicked(page, third, scored);
        console.log(`      ${before.toFixed(3)} → ${after.toFixed(3)} of ${scored.length} objects; ${gain}`);
        assert.ok(after > before + 0.02, `${before} → ${after}`);
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
      const page = await pageThatTrains(story.browser, server.url);
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

/** A page that trains itself, and computes itself unless the server's worker is to; whoever serves it. */
async function pageThatTrains(browser: Browser, url: string, { computes = true } = {}): Promise<AnnotatorPage> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  const tab = await context.newPage();
  await tab.route('**/settings.json', async (route) => {
    const response = await route.fetch();
    const { training: _, worker, ...settings } = await response.json();
    await route.fulfill({ response, json: { ...settings, ...(!computes && { worker }) } });
  });
  const page = await AnnotatorPage.over(tab, url);
  await page.ready();
  return page;
}

/** The largest objects, these first. */
function largest(labels: LabelImage): number[] {
  const objects = [...masksFromLabels(labels)].sort(([, a], [, b]) => b.area - a.area);
  return objects.slice(0, 24).map(([id]) => id);
}

/** Clicks objects with the mouse, and commits what looks right; the others are cleared. @returns how many were committed */
async function annotateByClicks(page: AnnotatorPage, labels: LabelImage): Promise<number> {
  const [height = 0, width = 0] = labels.shape;
  let committed = 0;
  for (const id of largest(labels)) {
    if (committed === 10) break;
    const object = maskFromLabels(labels, id);
    await page.click(innermostPixel(object));
    await page.until('what was clicked', ({ prompts, tasks }) => prompts.length > 0 && tasks.length === 0);
    const found = maskFromBitmap(await page.labels('current_object'), [height, width]);
    const isRight = maskIou(object, found) > 0.7;
    if (isRight) {
      committed++;
      await page.press('c');
    } else await page.call('clear_annotations');
    await page.until('the next', ({ prompts }) => prompts.length === 0);
  }
  return committed;
}

/** Mean IoU of objects, each prompted by a point at its innermost pixel. */
async function clicked(page: AnnotatorPage, labels: LabelImage, ids: readonly number[]): Promise<number> {
  const [height = 0, width = 0] = labels.shape;
  let sum = 0;
  for (const id of ids) {
    const object = maskFromLabels(labels, id);
    const [y, x] = innermostPixel(object);
    await page.call('add_point_prompts', [[y + 0.5, x + 0.5]]);
    sum += maskIou(object, maskFromBitmap(await page.labels('current_object'), [height, width]));
    await page.call('clear_annotations');
  }
  return sum / ids.length;
}
