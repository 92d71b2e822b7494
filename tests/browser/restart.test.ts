import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Dialog } from 'playwright-core';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { listKeys, prefixStore } from '../../src/io/stores/prefix.js';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo } from '../../src/session/state.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { openSaved } from '../support/open-saved.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/** The server goes while its page is open, and comes back: the page goes on, and whatever was done meanwhile is there. */
describe('a server that is started again (thorough)', function () {
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

  it('offers the earlier versions of the work, and what can be rescued of a damaged one', async () => {
    await annotator.page.close();
    await kill();
    await makeHistory(server.autosaveDir);
    await restart();
    const page = await story.browser.contexts()[0].newPage();
    annotator = await AnnotatorPage.over(page, server.url);
    await annotator.ready();
    const before = await annotator.labels('committed_objects');
    const panel = await annotator.panel();
    await annotator.openSection('save');
    await panel.click('[data-command="earlier_versions"]');
    const versions = panel.getByRole('dialog', { name: 'Earlier versions' }).locator('button:has(canvas)');
    await versions.filter({ hasText: 'Rescued from damaged files' }).waitFor();
    await annotator.screenshot('earlier-versions');
    const rows = await versions.evaluateAll((buttons) =>
      buttons.map((button) => {
        const canvas = button.querySelector('canvas')!;
        const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
        return { text: button.textContent ?? '', painted: data.some((value) => value > 0) };
      }),
    );
    assert.ok(rows.length >= 3, JSON.stringify(rows));
    for (const { text, painted } of rows) {
      assert.match(text, /\d+ committed objects?/);
      assert.ok(painted, `a picture of ${text}`);
    }
    assert.ok(rows.filter(({ text }) => /\d+[:.]\d\d/.test(text)).length >= 2, 'times');
    const rescued = versions.filter({ hasText: 'Rescued' });
    const count = Number(/(\d+) committed/.exec(await rescued.innerText())?.[1]);
    await rescued.click();
    await objects(count);
    assert.equal(new Set(await annotator.labels('committed_objects')).size, count + 1);
    await saved();
    await annotator.press('Control+z');
    await annotator.untilLabels('committed_objects', before, 'what was there before');
    await saved();
    await page.close();
  });
});

/** Hours of work: pauses, which leave versions, and a file that is damaged and set aside when its time has come. */
async function makeHistory(autosaveDir: string): Promise<void> {
  const folder = path.join(autosaveDir, 'sessions');
  const [signature] = await readdir(folder);
  const store = prefixStore(folderStore(autosaveDir), 'sessions');
  const image: ImageInfo = {
    name: 'sample',
    axes: 'yx',
    size: [512, 512],
    planes: 1,
    signature: decodeURIComponent(signature),
  };
  const { now } = Date;
  try {
    for (let hour = 1; hour <= 5; hour++) {
      Date.now = () => now() + (hour - 6) * 3_600_000;
      const session = new AnnotationSession();
      const autosave = await openSaved(session, store, image, new DiscAnnotator(image.size, 8));
      // All in one change, of which the damage costs one.
      const other = new AnnotationSession();
      other.open(image, new DiscAnnotator(image.size, 8), session.state);
      for (let k = 0; k < 3; k++) {
        const at = [60 + 80 * hour, 60 + 80 * k] as const;
        const id = `${hour}-${k}`;
        await other.run('put_prompts', { prompts: [{ kind: 'point', id, plane: 0, at, positive: true }] });
        await other.run('commit', { preserveMode: 'none' });
      }
      session.apply({ title: 'Three', change: (before) => ({ ...before, layers: other.state.layers }) });
      await autosave.close();
      if (hour !== 1) continue;
      const keys = await listKeys(store, `${signature}/journal/`);
      const file = path.join(folder, keys.sort().at(-1)!);
      const bytes = await readFile(file);
      bytes[bytes.length - 40] ^= 1;
      await writeFile(file, bytes);
    }
  } finally {
    Date.now = now;
  }
}
