import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Frame } from 'playwright-core';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage, type State } from '../support/annotator-page.js';
import { servedStory } from '../support/browser-story.js';

/** What an annotator needs for every object is in view and does not move, in windows of all sizes, light and dark. */

const STEPS = ['segment_object', 'commit', 'undo', 'redo'].map((step) => `[data-command="${step}"]`);
/** Beside the steps: tools, what the panel says, the current object with its masks to choose from. */
const PLACES = [...STEPS, '.tools', '.label-switch', '.news', '.object', '.candidates'];
const WINDOWS = [
  { width: 1280, height: 720 },
  { width: 1400, height: 900 },
  { width: 2560, height: 1440 },
  { width: 640, height: 360 }, // 1280 x 720 at 200 %
  { width: 480, height: 640 }, // a cell of a notebook
  { width: 420, height: 600 },
];

/** What opens a sheet: all keys, all commands, opening, saving. */
const SHEETS = ['?', 'Control+k', 'Control+o', 'Control+s'];

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

  /** Where each of them is in the panel's window; fails if a part of it is out of sight. */
  async function placesOf(panel: Frame, selectors: readonly string[]): Promise<string> {
    const places = await panel.evaluate((selectors) => {
      const floor = document.querySelector('.steps')!.getBoundingClientRect().top;
      return selectors.map((selector) => {
        const element = document.querySelector(selector)!;
        const { top, left, bottom, right } = element.getBoundingClientRect();
        const end = element.closest('.steps') ? innerHeight : floor;
        return {
          at: [top, left, bottom, right].map(Math.round),
          visible: top >= 0 && left >= 0 && bottom <= end && right <= innerWidth && bottom > top,
        };
      });
    }, selectors);
    for (const [k, { at, visible }] of places.entries()) assert.ok(visible, `${selectors[k]} lies at ${at}`);
    return JSON.stringify(places.map(({ at }) => at));
  }

  it('keeps tools, current object, segment, commit and undo in view and in place in windows of all sizes', async () => {
    const page = await open(WINDOWS[0]);
    const panel = await page.panel();
    for (const viewport of WINDOWS) {
      await page.page.setViewportSize(viewport);
      await panel.waitForFunction((width) => top!.innerWidth === width, viewport.width);
      const opened = await placesOf(panel, STEPS);
      const same = async (when: string) =>
        assert.equal(await placesOf(panel, STEPS), opened, `${when}, ${viewport.width} wide`);
      await page.call('add_point_prompts', [NUCLEUS], [1]);
      await page.until('a mask', ({ layers }) => layers.current_object.count === 1);
      await panel.waitForSelector('.candidates button');
      await same('with a current object');
      await page.call('set_settings', { tool: 'brush' });
      await panel.waitForSelector('.of-tool input[type="number"]');
      await same('with a brush in hand');
      await page.call('set_settings', { tool: 'point' });
      await placesOf(panel, PLACES);
      const cut = await panel.$$eval('.candidates button', (buttons) =>
        buttons.filter((button) => button.scrollWidth > button.clientWidth).map(({ textContent }) => textContent),
      );
      assert.deepEqual(cut, [], `${viewport.width} wide`);
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
    await page.click(NUCLEUS);
    await page.until('a mask', ({ layers }) => layers.current_object.count === 1);
    await page.press('c');
    await page.until('an object', ({ layers }) => layers.committed_objects.count === 1);
    const before = await viewer.evaluate(() => document.getElementById('map')?.dataset.view);
    await viewer.click('#toggle-sidebar'); // the image moves
    await viewer.waitForFunction((old) => document.getElementById('map')?.dataset.view !== old, before);
    await page.shown();
    await page.click(NUCLEUS);
    await page.until('a mask', ({ layers }) => layers.current_object.count === 1);
    await (await page.panel()).evaluate(() => {
      for (const details of document.querySelectorAll('details')) details.open = true;
    });
    const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    const panel = await page.panel();
    const frames = [page.page.mainFrame(), panel, viewer];
    for (const frame of frames) await frame.evaluate(axe); // not as a script tag: the page allows none from elsewhere
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.page.emulateMedia({ colorScheme });
      await page.screenshot(`workbench-${colorScheme}`);
      for (const frame of frames) assert.deepEqual(await faultsOf(frame), [], `${colorScheme}: ${frame.url()}`);
      for (const key of SHEETS) {
        await page.press(key);
        await panel.waitForSelector('dialog[open]');
        assert.deepEqual(await faultsOf(panel), [], `${colorScheme}: the sheet of ${key}`);
        await page.screenshot(`sheet-${colorScheme}-${SHEETS.indexOf(key)}`);
        await page.press('Escape');
        await panel.waitForSelector('dialog', { state: 'detached' });
      }
    }
    await page.close();
  });

  it('has one sheet at a time: with the viewer in hand, the key of another one puts it in the place of the first', async () => {
    const page = await open({ width: 1280, height: 720 });
    const panel = await page.panel();
    const dialogs = () => panel.$$eval('dialog', (all) => all.map((dialog) => dialog.getAttribute('aria-label')));
    for (const [key, title] of [
      ['?', 'Keys'],
      ['?', 'Keys'],
      ['Control+o', 'Open image'],
      ['Control+k', 'All commands'],
    ] as const) {
      await page.click(NUCLEUS); // the viewer has the focus
      const opened = await panel.evaluateHandle(() => document.querySelector('dialog'));
      await page.press(key);
      await panel.waitForFunction((last) => ![null, last].includes(document.querySelector('dialog')), opened);
      assert.deepEqual(await dialogs(), [title]);
    }
    await page.press('Escape');
    await panel.waitForSelector('dialog', { state: 'detached' });
    await page.close();
  });

  it('takes what is typed into the list of commands, and zooms after a sheet is closed', async () => {
    const page = await open({ width: 1280, height: 720 });
    await page.click(NUCLEUS);
    const area = (state: State) => state.layers.current_object.objects[0]?.area ?? 0;
    const before = area(await page.until('a mask', (state) => area(state) > 0));
    await page.press('Control+k');
    const panel = await page.panel();
    await panel.waitForSelector('dialog[open] input:focus');
    await page.page.keyboard.type('qqq');
    await panel.getByText('No command found for "qqq".').waitFor();
    await page.press('Control+a');
    await page.page.keyboard.type('grow');
    await panel.getByText('No command found').waitFor({ state: 'hidden' });
    await page.press('Enter');
    await page.until('a larger object', (state) => area(state) > before);
    const viewer = await page.viewer();
    const view = () => viewer.evaluate(() => document.getElementById('map')?.dataset.view);
    for (const key of ['+', '-', '+', '-', '+', '-']) {
      await page.press('Control+k');
      await (await page.panel()).waitForSelector('dialog[open] input:focus');
      const shown = await view();
      await page.press('Escape');
      await page.press(key); // at once, before the page is painted without the sheet
      await viewer.waitForFunction((last) => document.getElementById('map')?.dataset.view !== last, shown);
    }
    await page.close();
  });
});

/** What axe-core finds in a frame that is serious. */
function faultsOf(frame: Frame): Promise<string[]> {
  return frame.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run(document, { iframes: false, resultTypes: ['violations'] });
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
  });
}
