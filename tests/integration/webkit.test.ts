import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import type { YX } from '../../src/ndimage/array.js';
import type { State } from '../support/annotator-page.js';
import { serveFolders } from '../support/browser.js';
import { MINUTES } from '../support/browser-story.js';
import { buildOnce, type RunningServer, startServer } from '../support/start-server.js';
import { WebKitPage, withWebKit } from '../support/webkit.js';

/** A real WebKit in a session that keeps nothing: the host page starts, the main story goes, and the words are honest. */
describe('in WebKit', function () {
  this.timeout(3 * MINUTES * 1000);
  const centers = cellPhantom().centers as readonly YX[];
  let page: WebKitPage | undefined;
  afterEach(async () => {
    await page?.close();
    page = undefined;
  });

  const state = (on: WebKitPage) =>
    on.evaluate(async () => {
      const { api } = globalThis as unknown as { api?: { getWindow(name: string): Promise<{ get_state(): State }> } };
      return (await (await api?.getWindow('micro-sam'))?.get_state()) ?? null;
    });

  async function until(on: WebKitPage, what: string, wanted: (state: State) => boolean): Promise<void> {
    let last: State | null = null;
    for (const end = Date.now() + MINUTES * 1000; Date.now() < end; ) {
      last = await state(on).catch(() => null);
      if (last && wanted(last)) return;
    }
    throw new Error(`Not within ${MINUTES} s: ${what}. Last state: ${JSON.stringify(last)?.slice(0, 3000)}`);
  }

  async function click(on: WebKitPage, [y, x]: YX): Promise<void> {
    const [left, top] = await on
      .until(
        'the image on screen',
        (row, column) => {
          const frame = document.querySelector<HTMLIFrameElement>('.window.viewer iframe');
          const view = frame?.contentDocument?.getElementById('map')?.dataset.view;
          if (!frame || !view) return null;
          const [viewLeft, viewTop, resolution, , height] = JSON.parse(view) as number[];
          const { left, top } = frame.getBoundingClientRect();
          return [left + (column - viewLeft) / resolution, top + (viewTop - (height - row)) / resolution] as const;
        },
        y,
        x,
      )
      .then((at) => at as readonly [number, number]);
    await on.click(left, top);
  }

  async function commit(on: WebKitPage, cell: number, count: number): Promise<void> {
    await until(on, 'the embedding', ({ embedding, task }) => embedding === 'ready' && task === null);
    await click(on, centers[cell]);
    await until(on, 'a mask', ({ layers, task }) => layers.current_object.count === 1 && task === null);
    await on.press('c');
    await until(on, `${count} objects`, ({ layers }) => layers.committed_objects.count === count);
  }

  const panelText = (on: WebKitPage) =>
    on.evaluate(
      () => document.querySelector<HTMLIFrameElement>('.window.panel iframe')?.contentDocument?.body.innerText ?? '',
    );

  withWebKit('what is clicked and committed is there after a reload', async () => {
    const server: RunningServer = await startServer(['--port', '0']);
    try {
      page = await WebKitPage.launch();
      await page.goto(server.url);
      await commit(page, 3, 1);
      await commit(page, 5, 2);
      await until(page, 'work that is saved', ({ autosave }) => autosave === 'saved');
      await page.reload();
      await until(page, 'both objects again', ({ layers }) => layers.committed_objects.count === 2);
    } finally {
      await server.stop();
    }
  });

  withWebKit('with no server to keep the work it says where that lies', async () => {
    await buildOnce();
    const site = await serveFolders([['/', 'dist']]);
    try {
      page = await WebKitPage.launch();
      await page.goto(site.url);
      await commit(page, 3, 1);
      await until(page, 'work that is saved', ({ autosave }) => autosave === 'saved');
      assert.match(await panelText(page), /saved in this browser; a private window forgets it when it is closed/);
      await page.reload();
      await until(page, 'the object again', ({ layers }) => layers.committed_objects.count === 1);
    } finally {
      await site.close();
    }
  });

  withWebKit('a page that cannot start says within ten seconds what may be wrong', async () => {
    await buildOnce();
    const site = await serveFolders([['/', 'dist']]);
    // Everything but the panel, which is never answered.
    const front = createServer(async (request, response) => {
      if (request.url?.startsWith('/plugin/index.html')) return;
      const answer = await fetch(new URL(request.url ?? '/', site.url));
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
      response.end(new Uint8Array(await answer.arrayBuffer()));
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    try {
      page = await WebKitPage.launch();
      void page.goto(`http://127.0.0.1:${(front.address() as AddressInfo).port}/`).catch(() => undefined);
      const text = await page.until('a word about it', () => document.getElementById('late')?.textContent);
      assert.match(text ?? '', /The annotator is still not open\. .*private windows/);
    } finally {
      front.closeAllConnections();
      front.close();
      await site.close();
    }
  });
});
