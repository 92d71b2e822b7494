import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Frame } from 'playwright-core';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { servedStory } from '../support/browser-story.js';

/** What an annotator needs for every object is in view and does not move, in windows of all sizes, light and dark. */

const STEPS = ['segment_object', 'commit', 'undo', 'redo'];
const WINDOWS = [
  { width: 1280, height: 720 },
  { width: 1400, height: 900 },
  { width: 2560, height: 1440 },
  { width: 640, height: 360 }, // 1280 x 720 at 200 %
  { width: 480, height: 640 }, // a cell of a notebook
];

/** Inside a nucleus of the sample image. */
const NUCLEUS: YX = [314, 408];

describe('workbench', function () {
  this.timeout(300_000);
  const story = servedStory();

  async function open(viewport: { width: number; height: number }) {
    const context = await story.browser.newContext({ viewport, reducedMotion: 'reduce' });
    context.setDefaultTimeout(120_000);
    const page = await AnnotatorPage.over(await context.newPage(), story.server.url);
    await page.ready();
    return page;
  }

  /** Where each step's button is in the panel's window; fails if a part of it is out of sight. */
  async function stepsIn(panel: Frame): Promise<string> {
    const places = await panel.evaluate((steps) => {
      const found = steps.map((step) => document.querySelector(`[data-command="${step}"]`)!.getBoundingClientRect());
      return found.map(({ top, left, bottom, right }) => ({
        at: [top, left, bottom, right].map(Math.round),
        visible: top >= 0 && left >= 0 && bottom <= innerHeight && right <= innerWidth,
      }));
    }, STEPS);
    for (const [k, { at, visible }] of places.entries()) assert.ok(visible, `${STEPS[k]} lies at ${at}`);
    return JSON.stringify(places.map(({ at }) => at));
  }

  it('keeps segment, commit and undo in view and in place in windows of all sizes', async () => {
    const page = await open(WINDOWS[0]);
    const panel = await page.panel();
    for (const viewport of WINDOWS) {
      await page.page.setViewportSize(viewport);
      await panel.waitForFunction((width) => top!.innerWidth === width, viewport.width);
      const opened = await stepsIn(panel);
      const same = async (when: string) =>
        assert.equal(await stepsIn(panel), opened, `${when}, ${viewport.width} wide`);
      await page.call('add_point_prompts', [NUCLEUS], [1]);
      await page.until('a mask', ({ layers }) => layers.current_object.count === 1);
      await panel.waitForSelector('.object:not(.none)');
      await same('with a current object');
      await page.screenshot(`workbench-${viewport.width}`);
      await page.call('load_objects', new Uint8Array([1, 2, 3])).catch(() => undefined); // says that it cannot
      await panel.click('[data-command="commit"]');
      await page.until('an object', ({ layers }) => layers.committed_objects.count === 1);
      await same('after a message and a commit');
      await panel.click('[data-command="undo"]');
      await page.until('a mask again', ({ layers }) => layers.committed_objects.count === 0);
      await page.call('clear_annotations');
      await page.until('nothing', ({ layers, prompts }) => layers.current_object.count + prompts.length === 0);
      await panel.waitForSelector('.object.none');
      await same('after an undo');
    }
    await page.close();
  });

  it('has no serious fault of accessibility, light and dark', async () => {
    const page = await open({ width: 1280, height: 720 });
    const viewer = await page.viewer();
    await viewer.click('#toggle-sidebar');
    await page.click(NUCLEUS);
    await page.until('a mask', ({ layers }) => layers.current_object.count === 1);
    const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    const frames = [page.page.mainFrame(), await page.panel(), viewer];
    for (const frame of frames) await frame.evaluate(axe); // not as a script tag: the page allows none from elsewhere
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.page.emulateMedia({ colorScheme });
      await page.screenshot(`workbench-${colorScheme}`);
      for (const frame of frames) {
        const faults = await frame.evaluate(async () => {
          const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
          const { violations } = await axe.run(document, { iframes: false, resultTypes: ['violations'] });
          return violations
            .filter(({ impact }) => impact === 'serious' || impact === 'critical')
            .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
        });
        assert.deepEqual(faults, [], `${colorScheme}: ${frame.url()}`);
      }
    }
    await page.close();
  });
});
