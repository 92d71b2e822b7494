import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import sirv from 'sirv';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { buildOnce } from '../support/start-server.js';

/** dist/ as a web server hands out any folder: below some path, without a word about isolation, and with its own 404. */
describe('dist/ copied to a host of files', function () {
  this.timeout(600_000);
  const story = browserStory();
  const PREFIX = '/~lab/tools/annotator/';
  let server: Server;
  let url: string;
  const missing: string[] = [];

  before(async () => {
    await buildOnce();
    const files = sirv('dist', { dev: true });
    server = createServer((request, response) => {
      const asked = request.url ?? '';
      const notFound = () => {
        missing.push(asked);
        response.writeHead(404, { 'content-type': 'text/html' }).end('<!doctype html>There is no such page.');
      };
      if (!asked.startsWith(PREFIX)) return notFound();
      request.url = asked.slice(PREFIX.length - 1);
      files(request, response, notFound);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${PREFIX}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  it('opens the sample, computes in one thread, and says so', async () => {
    const page = await AnnotatorPage.open(story.browser, url);
    await page.until('the sample', ({ image, embedding }) => image !== null && embedding === 'ready', MINUTES);
    assert.equal(await page.page.evaluate(() => globalThis.crossOriginIsolated), false);
    assert.match((await (await page.panel()).locator('body').textContent()) ?? '', /one thread/);
    assert.deepEqual(page.outside, [], 'nothing is asked of other hosts');
    assert.deepEqual(missing, [`${PREFIX}settings.json`]);
  });
});
