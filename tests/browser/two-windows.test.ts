import assert from 'node:assert/strict';
import path from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/** One image in several windows: one saves, the others say so and can go on; nothing that was shown as saved is lost. */
describe('one image in two windows', function () {
  this.timeout(2 * MINUTES * 1000);
  const story = browserStory();
  const centers = cellPhantom().centers as readonly YX[];

  const commit = async (annotator: AnnotatorPage, cell: number, count: number) => {
    await annotator.page.bringToFront();
    await annotator.click(centers[cell]);
    await annotator.until('a mask', ({ layers, tasks }) => layers.current_object.count === 1 && tasks.length === 0);
    await annotator.press('c');
    await annotator.until(`${count} objects`, ({ layers }) => layers.committed_objects.count === count);
  };
  const choose = async (annotator: AnnotatorPage, title: string) => {
    await (await annotator.panel()).getByRole('button', { name: title }).click();
  };
  const shows = (annotator: AnnotatorPage, count: number, readOnly: boolean) =>
    annotator.until(
      `${count} objects, ${readOnly ? 'read-only' : 'to be changed'}`,
      ({ layers, read_only, embedding }) =>
        embedding === 'ready' && layers.committed_objects.count === count && (read_only !== null) === readOnly,
      90,
    );

  it('on two servers of one folder: one saves, the other takes over, or works on a copy (thorough)', async () => {
    const autosaveDir = path.join(story.folder, 'autosave');
    const servers = [await startServer(['--port', '0'], { autosaveDir })];
    servers.push(await startServer(['--port', '0', '--no-worker'], { autosaveDir }));
    try {
      const one = await AnnotatorPage.open(story.browser, servers[0].url);
      await one.ready();
      await commit(one, 3, 1);
      await one.until('it is saved', ({ autosave }) => autosave === 'saved');
      const two = await AnnotatorPage.open(story.browser, servers[1].url);
      await two.ready({ readOnly: true });
      await shows(two, 1, true);
      await two.screenshot('two-windows');
      await (await two.panel()).getByRole('button', { name: 'Dismiss' }).click();
      await two.until('the message is gone', ({ message }) => message === null);
      await two.click(centers[5]);
      await two.until('it says why again', ({ message }) => message?.code === 'read_only');
      assert.equal((await two.state()).prompts.length, 0);

      await choose(two, 'Take over');
      await shows(two, 1, false);
      await shows(one, 1, true);
      await commit(two, 5, 2);
      await two.until('it is saved', ({ autosave }) => autosave === 'saved');

      await choose(one, 'Work on a copy');
      await shows(one, 1, false);
      await commit(one, 8, 2);
      const copy = await one.until('it is saved aside', ({ autosave }) => autosave === 'aside');
      assert.equal(copy.layers.committed_objects.count, 2);
      await one.close();

      const three = await AnnotatorPage.open(story.browser, servers[0].url);
      await three.ready({ readOnly: true });
      await shows(three, 2, true);
      await two.close();
      await shows(three, 2, false);
      assert.deepEqual(await three.labels('committed_objects').then((labels) => new Set(labels)), new Set([0, 1, 2]));
      await three.close();
    } finally {
      await stop(servers);
    }
  });

  it('in two tabs that save in the browser: the second takes over, and gets the image when the first is closed (thorough)', async () => {
    const server = await startServer(['--port', '0']);
    try {
      const context = await aloneContext();
      const one = await AnnotatorPage.over(await context.newPage(), server.url);
      await one.ready();
      await commit(one, 3, 1);
      await one.until('it is saved', ({ autosave }) => autosave === 'saved');
      const two = await AnnotatorPage.over(await context.newPage(), server.url);
      await shows(two, 1, true);
      await choose(two, 'Take over');
      await shows(two, 1, false);
      await shows(one, 1, true);
      await commit(two, 5, 2);
      await two.until('it is saved', ({ autosave }) => autosave === 'saved');
      await two.page.close();
      await shows(one, 2, false);
      await context.close();
    } finally {
      await server.stop();
    }
  });

  /** Whose pages know no folder of the server, as in ImJoy. */
  async function aloneContext(): Promise<BrowserContext> {
    const context = await story.browser.newContext({ viewport: { width: 1400, height: 900 } });
    await context.route('**/settings.json', async (route) => {
      const response = await route.fetch();
      const { autosave: _, leases: __, ...settings } = await response.json();
      await route.fulfill({ response, json: settings });
    });
    return context;
  }
});

function stop(servers: readonly RunningServer[]): Promise<unknown> {
  return Promise.all(servers.map((server) => server.stop()));
}
