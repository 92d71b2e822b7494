import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { build } from 'esbuild';
import sirv from 'sirv';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { docCode, linesOf } from '../support/doc-code.js';
import { checkVolumeLabels, writeVolume } from '../support/small-volume.js';
import { buildOnce } from '../support/start-server.js';

/** The script of docs/scripting.md in a page of its own, which somebody bundles and serves with the package's folder. */
describe('a whole annotation in a page', function () {
  this.timeout(600_000);
  const story = browserStory();
  let server: Server;
  let script: string;

  before(async () => {
    await buildOnce();
    const files = sirv('dist', { dev: true });
    server = createServer((request, response) => {
      const asked = request.url ?? '';
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
      if (asked === '/script.js') return void response.setHeader('content-type', 'text/javascript').end(script);
      if (!asked.startsWith('/micro-sam/'))
        return void response
          .setHeader('content-type', 'text/html')
          .end('<!doctype html><input type="file"><script type="module" src="script.js"></script>');
      request.url = asked.slice('/micro-sam'.length);
      files(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  it('takes a file of the user and gives the labels to save, in under 20 lines', async () => {
    const [, code] = docCode('docs/scripting.md', 'A whole annotation', 'js');
    assert.ok(linesOf(code) < 20);
    const { outputFiles } = await build({
      stdin: { contents: `${code}\ndocument.title = 'ready';`, resolveDir: process.cwd() },
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'browser',
      external: ['fs', 'path'],
      conditions: ['onnxruntime-web-use-extern-wasm'],
      logLevel: 'warning',
    });
    script = outputFiles[0].text;
    const context = await story.browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(MINUTES * 1000);
    const errors: string[] = [];
    page.on('pageerror', ({ message }) => errors.push(message));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.waitForFunction(() => document.title === 'ready').catch(() => assert.fail(errors.join('\n')));
    const stack = path.join(story.folder, 'stack.tif');
    await writeVolume(stack);
    const saved = page.waitForEvent('download');
    await page.locator('input').setInputFiles(stack);
    const download = await saved.catch(() => assert.fail(errors.join('\n') || 'nothing was saved'));
    const labels = path.join(story.folder, download.suggestedFilename());
    await download.saveAs(labels);
    await checkVolumeLabels(labels);
    assert.deepEqual(errors, []);
    await context.close();
  });
});
