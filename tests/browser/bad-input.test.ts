import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { MINUTES, servedStory } from '../support/browser-story.js';
import { dropAt, dropPaths } from '../support/drop.js';
import { startServer } from '../support/start-server.js';

/** What goes wrong around the annotator: each time a plain message, work that goes on, and nothing committed lost. */
describe('the annotator when things go wrong', function () {
  this.timeout(MINUTES * 1000);
  const story = servedStory();
  const { centers } = cellPhantom();

  it('ten thousand points are refused before they are drawn, and the next click works (thorough)', async () => {
    const annotator = await AnnotatorPage.open(story.browser, story.server.url);
    await annotator.ready();
    const points = Array.from({ length: 10_000 }, (_, k) => [5 * Math.floor(k / 100) + 1, 5 * (k % 100) + 1]);
    await assert.rejects(annotator.call('add_point_prompts', points), /invalid_prompt: .*at most 1000 are possible/);
    const { prompts, message } = await annotator.state();
    assert.deepEqual(prompts, []);
    assert.match(message?.text ?? '', /10000 prompts .*switch Batched on/);
    await (await annotator.panel()).getByText(/There would be 10000 prompts/).waitFor();
    for (const [call, said] of [
      [() => annotator.call('add_point_prompts', [[-5, 3]]), /outside the image of 512 x 512/],
      [() => annotator.call('add_box_prompts', [[5, 3, 5, 3]]), /covers no pixel.* Draw it around the object/],
      [() => annotator.call('add_box_prompts', [[600, 600, 700, 700]]), /covers no pixel/],
    ] as const)
      await assert.rejects(call(), said);
    await annotator.click(centers[3] as [number, number]);
    await annotator.until('a mask after a click', (state) => state.layers.current_object.count === 1);
    await annotator.call('clear_annotations');
    // Else the next window begins with what a closed page had not yet taken back.
    await annotator.until('nothing left to save', ({ autosave }) => autosave === 'saved', MINUTES);
    await annotator.close();
  });

  async function smallFile(name: string): Promise<string> {
    const file = path.join(story.folder, name);
    await writeFile(file, await encodeTiff(cellPhantom({ size: [64, 80], cells: 2 }).image));
    return file;
  }

  for (const [given, edited] of [
    ['the sample', (script: string) => script],
    ['the image that its window is given', givenAnImage],
  ] as const)
    it(`a file dropped before there are any windows is opened, and not ${given}`, async () => {
      const page = await (await story.browser.newContext({ viewport: { width: 1400, height: 900 } })).newPage();
      await page.route('**/host/host.js', async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, body: edited(await response.text()) });
      });
      let release: () => void = () => undefined;
      const dropped = new Promise<void>((resolve) => (release = resolve));
      await page.route('**/plugin/main.js', async (route) => {
        await dropped;
        await route.continue();
      });
      const loading = AnnotatorPage.over(page, story.server.url);
      await page.locator('.window.panel.loading iframe').waitFor({ state: 'attached' });
      await dropAt(page, [700, 450], [await smallFile('early.tif')]);
      release();
      const annotator = await loading;
      await annotator.until('the file', ({ image }) => image?.name === 'early.tif', MINUTES);
      await annotator.ready();
      assert.equal((await annotator.state()).image?.name, 'early.tif');
      assert.deepEqual(annotator.errors, []);
      await annotator.close();
    });

  it('a file dropped on the viewer before anybody listens to it is opened', async () => {
    const context = await story.browser.newContext({ viewport: { width: 1400, height: 900 } });
    await context.addInitScript(deafViewer);
    const annotator = await AnnotatorPage.over(await context.newPage(), story.server.url);
    const viewer = await annotator.viewer();
    await viewer.locator('.ol-viewport').waitFor({ state: 'attached' });
    await dropPaths(annotator, [await smallFile('unheard.tif')]);
    await viewer.getByText('is opened as soon as the annotator is ready').waitFor();
    await viewer.evaluate(() => (window as unknown as { hear(): void }).hear());
    await annotator.until('the file', ({ image }) => image?.name === 'unheard.tif', MINUTES);
    await annotator.ready();
    assert.deepEqual(annotator.errors, []);
    await annotator.close();
  });

  it('a viewer that does not answer and a sample without internet are told, and what is there works (thorough)', async () => {
    const alone = await startServer(['--port', '0', '--viewer', 'http://127.0.0.1:1']);
    try {
      const annotator = await AnnotatorPage.open(story.browser, alone.url);
      await annotator.page
        .getByText('http://127.0.0.1:1 does not answer; the built-in viewer is shown instead.')
        .waitFor();
      await annotator.ready();
      await annotator.page.route('https://**', (route) => route.abort('internetdisconnected'));
      await annotator.press('Control+o');
      const panel = await annotator.panel();
      await panel.getByText('Coins').click();
      await panel.getByText(/The sample "Coins" could not be loaded: .* The sample "Nuclei" works without/).waitFor();
      assert.equal((await annotator.state()).image?.name, 'sample-nuclei');
      await annotator.close();
    } finally {
      await alone.stop();
    }
  });

  it('offers to reopen a viewer that was closed, which then shows everything (thorough)', async () => {
    const annotator = await AnnotatorPage.open(story.browser, story.server.url);
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
    // Else the next window begins with what a closed page had not yet taken back.
    await annotator.until('nothing left to save', ({ autosave }) => autosave === 'saved', MINUTES);
    await annotator.close();
  });
});

/** The host page, which opens the plugin's window with an image, as other plugins do. */
function givenAnImage(script: string): string {
  const image =
    '{ _rtype: "ndarray", _rvalue: new Uint8Array(6400).fill(9).buffer, _rshape: [80, 80], _rdtype: "uint8" }';
  const edited = script.replace(/config:\{settings:\w+\}/, (config) => `${config},data:{image:${image},name:"given"}`);
  assert.notEqual(edited, script);
  return edited;
}

/** In the page: what is sent to the viewer's window waits there until `hear` is called, as on a machine kept busy. */
function deafViewer(): void {
  if (!location.pathname.includes('/plugin/viewer/')) return;
  let held: MessageEvent[] | undefined = [];
  window.addEventListener(
    'message',
    (event) => {
      if (!held) return;
      held.push(event);
      event.stopImmediatePropagation();
    },
    { capture: true },
  );
  const hear = () => {
    const waiting = held ?? [];
    held = undefined;
    for (const { data, origin, source, ports } of waiting)
      window.dispatchEvent(new MessageEvent('message', { data, origin, source, ports: [...ports] }));
  };
  Object.assign(window, { hear });
}
