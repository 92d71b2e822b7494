import assert from 'node:assert/strict';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import sirv from 'sirv';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { buildOnce } from '../support/start-server.js';

/**
 * dist/ as a web server hands out any folder: without a word about isolation, with its own 404, and behind a proxy that has
 * it below some path of another host, as JupyterHub and institutes do.
 */
describe('dist/ copied to a host of files (thorough)', function () {
  this.timeout(600_000);
  const story = browserStory();
  const PREFIX = '/~lab/proxy/8000/';
  const servers: Server[] = [];
  let url: string;
  const missing: string[] = [];

  before(async () => {
    await buildOnce();
    const files = sirv('dist', { dev: true });
    const host = await listening(
      createServer((asked, response) =>
        files(asked, response, () => {
          missing.push(asked.url ?? '');
          response.writeHead(404, { 'content-type': 'text/html' }).end('<!doctype html>There is no such page.');
        }),
      ),
    );
    const proxy = await listening(
      createServer((asked, response) => {
        if (!asked.url?.startsWith(PREFIX)) {
          missing.push(`beside the prefix: ${asked.url}`);
          response.writeHead(404).end();
          return;
        }
        const path = asked.url.slice(PREFIX.length - 1);
        const headers = { ...asked.headers, host: `127.0.0.1:${host}` };
        const onwards = request({ host: '127.0.0.1', port: host, path, method: asked.method, headers }, (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
        });
        onwards.on('error', () => response.destroy());
        asked.pipe(onwards);
      }),
    );
    url = `http://127.0.0.1:${proxy}${PREFIX}`;
  });
  after(() => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function listening(server: Server): Promise<number> {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  it('opens the sample, computes in one thread, says so, and segments what is clicked', async () => {
    const page = await AnnotatorPage.open(story.browser, url);
    const { image } = await page.until(
      'the sample',
      (state) => state.image !== null && state.embedding === 'ready',
      MINUTES,
    );
    assert.equal(await page.page.evaluate(() => globalThis.crossOriginIsolated), false);
    assert.match((await (await page.panel()).locator('body').textContent()) ?? '', /one thread/);
    const [height, width] = (image?.shape ?? []).slice(-2);
    await page.click([height >> 1, width >> 1]);
    await page.until('a mask after a click', ({ layers }) => layers.current_object.count === 1, MINUTES);
    assert.deepEqual(page.outside, [], 'nothing is asked of other hosts');
    assert.deepEqual(missing, ['/settings.json']);
  });
});
