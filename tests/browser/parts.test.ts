import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Request } from 'playwright-core';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/** What a page loads, and when; and a page whose server gives no more than the beginning of it. */
describe('the parts of the page', function () {
  this.timeout(4 * MINUTES * 1000);
  const story = browserStory();
  const [center] = cellPhantom().centers as readonly YX[];
  const LATER = /\/chunks\/later-\w+\.js$/;
  let server: RunningServer;

  before(async () => {
    server = await startServer(['--port', '0']);
  });
  after(() => server?.stop());

  it('come when they are needed: before the image is shown no more than dist/sizes.json counts, the rest by itself', async () => {
    const { initial } = JSON.parse(readFileSync('dist/sizes.json', 'utf8')) as { initial: string[] };
    const context = await story.browser.newContext({ viewport: { width: 1400, height: 900 } });
    await context.addInitScript(() => {
      const titled = () => {
        if (!document.querySelector('#panel h1')?.textContent?.startsWith('sample')) return;
        performance.mark('image shown');
        watch.disconnect();
      };
      const watch = new MutationObserver(titled);
      watch.observe(document, { subtree: true, childList: true, characterData: true });
    });
    const page = await context.newPage();
    const asked: string[] = [];
    page.on('request', (request) => {
      const { pathname } = new URL(request.url());
      if (/^\/(plugin|host)\/.*\.(js|css)$/.test(pathname)) asked.push(`dist${pathname}`);
    });
    const annotator = await AnnotatorPage.over(page, server.url);
    const panel = await annotator.panel();
    await panel.waitForFunction(() => performance.getEntriesByName('image shown').length > 0, undefined, {
      timeout: MINUTES * 1000,
    });
    // By itself: nothing is called, since what answers scripts is in it.
    await panel.waitForFunction(
      () => performance.getEntriesByType('resource').some(({ name }) => /\/chunks\/later-\w+\.js$/.test(name)),
      undefined,
      { timeout: MINUTES * 1000 },
    );
    const [shown, later] = await panel.evaluate(() => [
      performance.getEntriesByName('image shown')[0].startTime,
      performance.getEntriesByType('resource').find(({ name }) => /\/chunks\/later-\w+\.js$/.test(name))?.startTime ??
        0,
    ]);
    assert.ok(later > shown, `${later} ms, the image ${shown} ms`);
    const ours = asked.filter((file) => !/imjoy-/.test(file) && !LATER.test(file));
    const uncounted = ours.filter((file) => !initial.includes(file));
    assert.deepEqual(uncounted, [], 'all that was loaded is counted');
    await context.close();
  });

  it('that cannot be loaded are told of and tried again; clicks, commits, undo and saving do without', async () => {
    const annotator = await AnnotatorPage.over(
      await (await story.browser.newContext({ viewport: { width: 1400, height: 900 } })).newPage(),
      'about:blank',
    );
    const { page } = annotator;
    let given = false;
    // As if the server had gone once the page was there: what is asked before, and what is loaded then.
    const isLater = (request: Request) => LATER.test(request.url()) || request.method() === 'HEAD';
    await page.route('**/plugin/**', (route) =>
      isLater(route.request()) && !given ? route.abort() : route.continue(),
    );
    await page.goto(server.url);
    const panel = await annotator.panel();
    const text = (selector: string, wanted: RegExp) =>
      panel.locator(selector, { hasText: wanted }).waitFor({ timeout: 2 * MINUTES * 1000 });
    await text('h1', /sample-nuclei/);
    await annotator.shown([512, 512]);
    await annotator.click(center);
    await text('.object h2', /object/);
    await panel.locator('.object:not(.none) .facts', { hasText: /px/ }).waitFor();
    await annotator.press('c');
    await text('.object-list summary', /^1 committed object$/);
    await text('.saved[data-state="saved"]', /saved/);
    await annotator.press('Control+z');
    await panel.locator('.object-list summary', { hasText: '1 committed' }).waitFor({ state: 'hidden' });
    await annotator.press('Control+Shift+z');
    await text('.object-list summary', /^1 committed object$/);

    await annotator.press('Control+s');
    await text('.message', /start it and try again.*Your work is kept\. A part of the panel could not be loaded/);
    const shown = await panel.$eval('.message', (message) => {
      const words = document.createTreeWalker(message, NodeFilter.SHOW_TEXT).nextNode() as Text;
      const range = document.createRange();
      range.setStart(words, 0);
      range.setEnd(words, words.data.indexOf('page.') + 'page.'.length);
      return range.getBoundingClientRect().bottom <= message.closest('.news')!.getBoundingClientRect().bottom;
    });
    assert.ok(shown, 'what to do is read without scrolling');
    await panel.locator('.object-list summary').click();
    await panel.locator('.object-list:not([open])').waitFor();

    given = true;
    await annotator.press('Control+s');
    await panel.getByRole('button', { name: /^Label image, TIFF/ }).waitFor();
    const download = page.waitForEvent('download');
    await panel.getByRole('button', { name: /^Label image, TIFF/ }).click();
    assert.equal((await download).suggestedFilename(), 'sample-nuclei_labels.tif');
    await panel.locator('.object-list summary').click();
    await panel.locator('.object-list .row').waitFor();
    await page.context().close();
  });
});
