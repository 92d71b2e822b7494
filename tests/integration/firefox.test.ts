import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { memoryBytes } from '../../src/io/bytes.js';
import { type ImageSource, readPlane } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { type Site, serveFolders } from '../support/browser.js';
import { MINUTES } from '../support/browser-story.js';
import { launchFirefoxProfile, withFirefox } from '../support/firefox.js';
import { eventually } from '../support/screen.js';
import { buildOnce, startServer } from '../support/start-server.js';

const GONE = /saved work is probably gone when it is closed/;
const REFUSED = 'SecurityError: Security error when calling GetDirectory';

/** The main story in a real Firefox, and what its private windows say about work that they do not keep. */
describe('in Firefox', function () {
  this.timeout(3 * MINUTES * 1000);
  const centers = cellPhantom().centers as readonly YX[];
  let folder: string;
  let windows: BrowserContext | undefined;

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-firefox-'));
  });
  afterEach(async () => {
    await windows?.close();
    windows = undefined;
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function open(url: string, isPrivate = false): Promise<AnnotatorPage> {
    windows = await launchFirefoxProfile(path.join(folder, isPrivate ? 'private' : 'ordinary'), { isPrivate });
    windows.setDefaultTimeout(120_000);
    return AnnotatorPage.over(windows.pages()[0] ?? (await windows.newPage()), url);
  }

  async function commit(annotator: AnnotatorPage, cell: number, count: number): Promise<void> {
    await annotator.click(centers[cell]);
    await annotator.until('a mask', ({ layers, task }) => layers.current_object.count === 1 && task === null, MINUTES);
    await annotator.press('c');
    await annotator.until(`${count} objects`, ({ layers }) => layers.committed_objects.count === count);
  }

  /** One thread or four of wasm, in a page: longer than others need. */
  async function ready(annotator: AnnotatorPage): Promise<void> {
    await annotator.until('the embedding', ({ embedding }) => embedding === 'ready', MINUTES);
    await annotator.ready();
  }

  async function commitTwo(annotator: AnnotatorPage): Promise<Uint32Array> {
    await commit(annotator, 3, 1);
    await commit(annotator, 5, 2);
    await annotator.until('work that is saved', (state) => state.autosave === 'saved', MINUTES);
    return annotator.labels('committed_objects');
  }

  /** The file that is there once the browser has written it. */
  async function savedImage(downloads: string): Promise<ImageSource> {
    const open = async () => {
      const names = await readdir(downloads).catch(() => []);
      const name = names.find((file) => file.endsWith('.tif'));
      return name && openImage(memoryBytes(await readFile(path.join(downloads, name)), name)).catch(() => undefined);
    };
    return eventually('the file', async () => (await open()) || undefined, MINUTES);
  }

  withFirefox('what is clicked and committed is there after a reload', async () => {
    const server = await startServer(['--port', '0']);
    try {
      const annotator = await open(server.url);
      await ready(annotator);
      const objects = await commitTwo(annotator);
      await annotator.page.reload();
      await ready(annotator);
      await annotator.untilLabels('committed_objects', objects, 'everything there again');
      await annotator.screenshot('firefox');
      assert.deepEqual(annotator.outside, []);
      assert.deepEqual(annotator.errors, []);
    } finally {
      await server.stop();
    }
  });

  describe('with no server to keep the work', () => {
    let site: Site;
    before(async () => {
      await buildOnce();
      site = await serveFolders([['/', 'dist']]);
    });
    after(() => site?.close());

    withFirefox('an ordinary window keeps it, also when Firefox is started anew', async () => {
      const first = await open(site.url);
      await ready(first);
      const objects = await commitTwo(first);
      assert.doesNotMatch(await (await first.panel()).locator('body').innerText(), GONE);
      await windows?.close();
      const second = await open(site.url);
      await ready(second);
      await second.untilLabels('committed_objects', objects, 'everything there again');
    });

    withFirefox('a private window says that it goes when the window does, and saves it as a file', async () => {
      const annotator = await open(site.url, true);
      await ready(annotator);
      const panel = await annotator.panel();
      assert.equal(await panel.evaluate(() => navigator.storage.getDirectory().then(String, String)), REFUSED);
      await panel.getByText(GONE).waitFor();
      await commitTwo(annotator);
      assert.ok(await panel.getByText(GONE).isVisible(), 'it says so still when all is saved');
      await annotator.screenshot('firefox-private');
      await annotator.press('Control+s');
      await panel.getByText('Label image, TIFF').click();
      const labels = await savedImage(path.join(folder, 'private', 'downloads'));
      assert.deepEqual(new Set((await readPlane(labels, 0)).data), new Set([0, 1, 2]));
      await windows?.close();
      const next = await open(site.url, true);
      const { layers } = await next.until('the image', ({ image }) => image !== null, MINUTES);
      assert.equal(layers.committed_objects.count, 0, 'it is gone, as was said');
    });
  });
});
