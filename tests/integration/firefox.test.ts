import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
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
import { phantomTiff, twoCellsInDepth } from '../support/stack-phantoms.js';
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

  withFirefox(
    'a cell of a volume is followed, sections take a click, automatic objects are accepted, all of it is saved',
    async () => {
      const file = path.join(folder, 'volume.tif');
      await writeFile(file, await phantomTiff(twoCellsInDepth(), 'zyx'));
      const server = await startServer([file, '--port', '0']);
      try {
        const annotator = await open(server.url);
        const panel = await annotator.panel();
        const committed = (count: number) =>
          annotator.until(
            `${count} objects`,
            ({ layers, task }) => layers.committed_objects.count === count && task === null,
            MINUTES,
          );
        await ready(annotator);
        await annotator.goToPlane(2);
        await annotator.click([84, 80]);
        await annotator.until('a mask', ({ layers }) => layers.current_object.count === 1, MINUTES);
        await annotator.press('Shift+s');
        await annotator.until('all slices', ({ message }) => / slices/.test(message?.text ?? ''), MINUTES);
        await annotator.press('c');
        await committed(1);

        await annotator.press('o');
        const viewer = await annotator.viewer();
        const section = viewer.locator('canvas[data-section="xz"]');
        await section.click();
        await annotator.until('a point in a slice', ({ prompts }) => prompts.length === 1, MINUTES);
        await annotator.press('Shift+c');
        await annotator.until('nothing begun', ({ prompts, task }) => prompts.length === 0 && task === null, MINUTES);
        await annotator.press('o');

        await annotator.press('a');
        await annotator.until(
          'automatic objects',
          ({ layers, task }) => layers.auto_segmentation.count > 0 && task === null,
          MINUTES,
        );
        await annotator.screenshot('firefox-volume');
        await annotator.press('Shift+a');
        await annotator.until('all of them decided', ({ layers }) => layers.auto_segmentation.count === 0, MINUTES);
        const { layers } = await annotator.state();

        await annotator.press('Control+s');
        await panel.getByText('Label image, TIFF').click();
        const labels = await savedImage(path.join(folder, 'ordinary', 'downloads'));
        const saved = new Set<number>();
        for (let z = 0; z < labels.sizes.z; z++) for (const id of (await readPlane(labels, z)).data) saved.add(id);
        saved.delete(0);
        assert.equal(saved.size, layers.committed_objects.count);
        assert.deepEqual(annotator.errors, []);
      } finally {
        await server.stop();
      }
    },
  );

  withFirefox('fingers and a right button do what they do elsewhere', async () => {
    const server = await startServer(['--port', '0']);
    try {
      const annotator = await open(server.url);
      await ready(annotator);
      const [x, y] = await annotator.onScreen(centers[3]);
      const viewer = await annotator.viewer();
      const frame = await (await viewer.frameElement()).boundingBox();
      // Firefox takes no touches from outside; those that its page would be given are made in it.
      await viewer.evaluate(
        ([left, top]) => {
          const target = document.querySelector('#map .ol-viewport') as HTMLElement;
          for (const type of ['pointerdown', 'pointerup'])
            target.dispatchEvent(
              new PointerEvent(type, {
                pointerType: 'touch',
                pointerId: 7,
                isPrimary: true,
                clientX: left,
                clientY: top,
                bubbles: true,
                button: 0,
              }),
            );
        },
        [x - (frame?.x ?? 0), y - (frame?.y ?? 0)],
      );
      await annotator.until('a mask', ({ layers }) => layers.current_object.count === 1, MINUTES);
      await annotator.page.mouse.click(...(await annotator.onScreen([20, 20])), { button: 'right' });
      await annotator.until('a negative point', ({ prompts }) =>
        prompts.some((one) => 'label' in one && one.label === 0),
      );
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
