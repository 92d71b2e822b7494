import assert from 'node:assert/strict';
import type { Browser } from 'playwright-core';
import { cellPhantom } from '../../src/io/phantom.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { launchBrowser } from '../support/browser.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/** What goes wrong around the annotator: each time a plain message, work that goes on, and nothing committed lost. */
describe('the annotator when things go wrong', function () {
  this.timeout(180_000);
  const { centers } = cellPhantom();
  let browser: Browser;
  let server: RunningServer;

  before(async () => {
    server = await startServer(['--port', '0']);
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  it('offers to reopen a viewer that was closed, which then shows everything', async () => {
    const annotator = await AnnotatorPage.open(browser, server.url);
    await annotator.ready();
    const before = await annotator.labels('committed_objects');
    const viewer = await annotator.viewer();
    await annotator.page.evaluate(async () => {
      const { api } = globalThis as unknown as { api: { getWindow(name: string): Promise<{ close(): unknown }> } };
      await (await api.getWindow('Viewer')).close();
    });
    const panel = await annotator.panel();
    const reopen = panel.getByText('Reopen the viewer');
    await reopen.waitFor();
    assert.match((await annotator.state()).message?.text ?? '', /viewer was closed. Nothing is lost/);
    assert.ok(viewer.isDetached());
    await reopen.click();
    await annotator.ready();
    await annotator.click(centers[3] as [number, number]);
    await annotator.until('a mask after a click', (state) => state.layers.current_object.count === 1);
    assert.deepEqual(await annotator.labels('committed_objects'), before);
    await annotator.screenshot('viewer-reopened');
    await annotator.call('clear_annotations');
    await annotator.close();
  });
});
