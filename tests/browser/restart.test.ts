import assert from 'node:assert/strict';
import path from 'node:path';
import type { Dialog } from 'playwright-core';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/** The server goes while its page is open, and comes back: the page goes on, and whatever was done meanwhile is there. */
describe('a server that is started again', function () {
  this.timeout(4 * MINUTES * 1000);
  const story = browserStory();
  const centers = cellPhantom().centers as readonly YX[];
  let server: RunningServer;
  let annotator: AnnotatorPage;

  const start = async (port = '0') => {
    const [autosaveDir, dataHome] = ['autosave', 'data'].map((name) => path.join(story.folder, name));
    server = await startServer(['--port', port], { autosaveDir, dataHome });
  };
  const kill = () => server.stop('SIGKILL');
  const restart = () => start(new URL(server.url).port);
  after(() => server?.stop());

  const objects = (count: number) =>
    annotator.until(`${count} objects`, ({ layers }) => layers.committed_objects.count === count, 90);
  const saved = () => annotator.until('it is saved', ({ autosave }) => autosave === 'saved', 90);
  const keptInBrowser = async () => {
    await annotator.until('it is kept in the browser', ({ autosave }) => autosave === 'aside', 90);
    const line = (await annotator.panel()).locator('.saved[data-state="aside"]');
    assert.match(await line.innerText(), /server does not answer.*start it again.*kept in this browser/);
  };
  const segment = async (cell: number, count: number) => {
    await annotator.press('1'); // positive point
    await annotator.click(centers[cell]);
    await annotator.until(
      'a mask',
      ({ layers, tasks }) => layers.current_object.count === 1 && tasks.length === 0,
      120,
    );
    await annotator.press('c');
    await objects(count);
  };
  /** Without a model. */
  const paint = async ([y, x]: YX, count: number) => {
    await (await annotator.panel()).click('[data-tool="brush"]');
    await annotator.until('the brush', (state) => state.settings.tool === 'brush');
    await annotator.drag([[y, x], [y, x + 20]]); // biome-ignore format: one stroke
    await annotator.until('a painted object', ({ layers }) => layers.current_object.count === 1);
    await annotator.press('c');
    await objects(count);
  };

  it('saves and segments again in the page that stayed open, with what was done meanwhile; closing that asks', async () => {
    await start();
    annotator = await AnnotatorPage.open(story.browser, server.url);
    await annotator.ready();
    await segment(3, 1);
    await saved();
    await kill();
    await paint([20, 20], 2);
    await keptInBrowser();
    const asked = new Promise<Dialog>((resolve) => annotator.page.once('dialog', resolve));
    void annotator.page.reload().catch(() => undefined); // refused
    const dialog = await asked;
    assert.equal(dialog.type(), 'beforeunload');
    await dialog.dismiss();
    await objects(2);
    await restart();
    await saved();
    await annotator.until('the image is still its own', ({ read_only }) => read_only === null);
    await (await annotator.panel()).click('[data-tool="point"]');
    await segment(5, 3);
    await saved();
    const labels = await annotator.labels('committed_objects');
    await annotator.page.reload();
    await annotator.ready();
    await annotator.untilLabels('committed_objects', labels, 'everything there again');
  });

  it('takes back what a page kept that was closed before', async () => {
    await kill();
    await paint([20, 200], 4);
    await keptInBrowser();
    const labels = await annotator.labels('committed_objects');
    await annotator.page.close();
    await restart();
    const page = await story.browser.contexts()[0].newPage();
    annotator = await AnnotatorPage.over(page, server.url);
    await annotator.ready();
    await annotator.untilLabels('committed_objects', labels, 'what was kept in the browser');
    const { message } = await annotator.state();
    assert.match(message?.text ?? '', /kept in this browser and is there now/);
    await saved();
  });
});
