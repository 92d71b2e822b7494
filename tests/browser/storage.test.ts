import assert from 'node:assert/strict';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { memoryBytes } from '../../src/io/bytes.js';
import { readPlane } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/** No room for saved work, or no right to save: said plainly, nothing committed lost, and files can still be saved. */
describe('when work cannot be saved automatically', function () {
  this.timeout(MINUTES * 1000);
  const story = browserStory();
  const centers = cellPhantom().centers as readonly YX[];

  const commit = async (annotator: AnnotatorPage, cell: number, count: number) => {
    await annotator.click(centers[cell]);
    await annotator.until('a mask', (state) => state.layers.current_object.count === 1 && state.task === null);
    await annotator.press('c');
    await annotator.until(`${count} objects`, ({ layers }) => layers.committed_objects.count === count);
  };
  const saved = (annotator: AnnotatorPage) =>
    annotator.until('work that is saved', (state) => state.autosave === 'saved', 90);
  /** What the panel says for as long as it is so. */
  const problem = async (annotator: AnnotatorPage, kind: 'failed' | 'aside'): Promise<string> => {
    await annotator.until('a problem', (state) => state.autosave === kind);
    const line = (await annotator.panel()).locator(`.saved[data-state="${kind}"]`);
    await line.waitFor();
    return line.innerText();
  };

  /** The labels of the file that Ctrl+S gives. */
  async function download(annotator: AnnotatorPage): Promise<Set<number>> {
    await annotator.press('Control+s');
    const panel = await annotator.panel();
    const [file] = await Promise.all([
      annotator.page.waitForEvent('download'),
      panel.getByText('Label image, TIFF').click(),
    ]);
    const source = await openImage(memoryBytes(await readFile(await file.path()), 'labels.tif'));
    return new Set((await readPlane(source, 0)).data);
  }

  /** A page that knows no folder of the server, as in ImJoy. */
  async function openAlone(server: RunningServer, lacking: () => void = () => undefined): Promise<AnnotatorPage> {
    const context = await story.browser.newContext({ viewport: { width: 1400, height: 900 }, acceptDownloads: true });
    await context.route('**/settings.json', async (route) => {
      const response = await route.fetch();
      const { autosave: _, leases: __, ...settings } = await response.json();
      await route.fulfill({ response, json: settings });
    });
    await context.addInitScript(lacking);
    return AnnotatorPage.over(await context.newPage(), server.url);
  }

  describe('of a server', () => {
    let server: RunningServer;
    before(async () => {
      server = await startServer(['--port', '0']);
    });
    after(() => server?.stop());

    it('a full browser storage loses nothing, and what is freed is used (thorough)', async () => {
      const annotator = await openAlone(server);
      await annotator.ready();
      await commit(annotator, 3, 1);
      await saved(annotator);
      const devtools = await annotator.page.context().newCDPSession(annotator.page);
      const { origin } = server;
      await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 1 });
      await commit(annotator, 5, 2);
      assert.match(
        await problem(annotator, 'failed'),
        /^Autosave does not work\. .*full.* Save your objects to a file \(Ctrl\+S\)/,
      );
      await annotator.screenshot('storage-full');
      assert.deepEqual(await download(annotator), new Set([0, 1, 2]));
      await commit(annotator, 8, 3);
      const objects = await annotator.labels('committed_objects');
      await devtools.send('Storage.overrideQuotaForOrigin', { origin });
      await saved(annotator);
      await annotator.page.reload();
      await annotator.ready();
      await annotator.untilLabels('committed_objects', objects, 'everything there again');
      await annotator.close();
    });

    it('a browser whose database never answers keeps nobody from working (thorough)', async () => {
      const annotator = await openAlone(server, () => {
        Object.defineProperty(IDBFactory.prototype, 'open', { value: () => new EventTarget() });
      });
      await annotator.ready();
      await commit(annotator, 3, 1);
      await saved(annotator);
      await annotator.close();
    });

    it('a page that may keep nothing says so at once, and works (thorough)', async () => {
      const annotator = await openAlone(server, () => {
        const refuse = () => {
          throw new DOMException('Access denied.', 'SecurityError');
        };
        Object.defineProperty(StorageManager.prototype, 'getDirectory', { value: async () => refuse() });
        Object.defineProperty(IDBFactory.prototype, 'open', { value: refuse });
        for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get: refuse });
      });
      await annotator.ready();
      const panel = await annotator.panel();
      await commit(annotator, 3, 1);
      await annotator.screenshot('storage-denied');
      const warning = panel.getByText(/your work is lost when the window closes/);
      assert.ok(await warning.isVisible(), 'the warning is where people look');
      assert.deepEqual(await download(annotator), new Set([0, 1]));
      await annotator.close();
    });

    it('a private window of Firefox, which has a database but no files, says that saved work goes with it', async () => {
      const annotator = await openAlone(server, () => {
        const denied = () =>
          Promise.reject(new DOMException('Security error when calling GetDirectory', 'SecurityError'));
        Object.defineProperty(StorageManager.prototype, 'getDirectory', { value: denied });
      });
      const panel = await annotator.panel();
      await panel.getByText(/saved work is probably gone when it is closed/).waitFor();
      await annotator.close();
    });

    it('a page that cannot start says within ten seconds what may be wrong', async () => {
      const context = await story.browser.newContext();
      const page = await context.newPage();
      await page.clock.install();
      await page.route('**/plugin/index.html', () => undefined); // never answered
      const asked = page.waitForRequest('**/plugin/index.html');
      await page.goto(server.url);
      await asked;
      await page.clock.fastForward(10_000);
      await page.getByText(/The annotator is still not open\. .*private windows/).waitFor();
      await context.close();
    });
  });

  it('a folder that cannot be written loses nothing, and is used again when it can (thorough)', async () => {
    const autosaveDir = path.join(story.folder, 'autosave');
    const server = await startServer(['--port', '0'], { autosaveDir });
    try {
      const annotator = await AnnotatorPage.open(story.browser, server.url);
      await annotator.ready();
      await commit(annotator, 3, 1);
      await saved(annotator);
      await rename(autosaveDir, `${autosaveDir}-away`);
      await writeFile(autosaveDir, 'a file where the folder was');
      await commit(annotator, 5, 2);
      assert.match(await problem(annotator, 'aside'), /kept in this browser, and goes to its place automatically/);
      await annotator.screenshot('storage-folder');
      assert.deepEqual(await download(annotator), new Set([0, 1, 2]));
      const objects = await annotator.labels('committed_objects');
      await rm(autosaveDir);
      await rename(`${autosaveDir}-away`, autosaveDir);
      await saved(annotator);
      await annotator.page.reload();
      await annotator.ready();
      await annotator.untilLabels('committed_objects', objects, 'everything there again');
      await annotator.close();
    } finally {
      await server.stop();
    }
  });
});
