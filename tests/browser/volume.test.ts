import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { memoryBytes } from '../../src/io/bytes.js';
import { readPlane } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { eventually } from '../support/screen.js';
import { phantomTiff, planeIou, planesWith, SIDE, twoCellsInDepth } from '../support/stack-phantoms.js';
import { startServer } from '../support/start-server.js';

describe('a volume by hand', function () {
  this.timeout(600_000);
  const story = browserStory();

  it('follows a cell through the slices, is told where it ends, and writes what is shown', async () => {
    const truth = twoCellsInDepth();
    const file = path.join(story.folder, 'volume.tif');
    await writeFile(file, await phantomTiff(truth, 'zyx'));
    const server = await startServer([file]);
    try {
      const page = await AnnotatorPage.open(story.browser, server.url);
      await page.ready();
      const panel = await page.panel();
      await page.goToPlane(2);
      await page.click([84, 80]);
      await page.until('a mask in slice 3', (state) => state.layers.current_object.count === 1, MINUTES);
      await page.screenshot('volume-1-clicked');

      const clicked = await page.labels('current_object');
      await page.press('Shift+s');
      await page.press('Control+z');
      const stopped = await page.until(
        'all slices, taken back while they were looked for',
        ({ redo, task, waiting }) => redo === 'Segment all slices' && task === null && waiting === 0,
        MINUTES,
      );
      assert.equal(stopped.prompts.length, 1, 'the click is still there');
      assert.deepEqual(await page.labels('current_object'), clicked);

      await page.press('Shift+s');
      const followed = await page.until(
        'all slices',
        (state) => state.message?.text.includes('slices') === true,
        MINUTES,
      );
      assert.equal(followed.plane, 2, 'the view stays where it is');
      const first = await page.labels('current_object');
      for (const z of [1, 2, 3, 4]) assert.ok(planeIou(first, 1, truth, z, 1) > 0.7, `slice ${z + 1} after one click`);
      assert.ok(planesWith(first, 1, SIDE * SIDE).includes(5), 'it ran into the cell above');
      await page.screenshot('volume-2-followed');

      await page.goToPlane(5);
      await page.press('t');
      await page.until('negative points', (state) => !state.settings.positive);
      await page.click([86, 82]);
      await page.until('the slice is empty', (state) => /stops it there/.test(state.message?.text ?? ''));
      await page.screenshot('volume-3-stopped');
      await page.press('Shift+s');
      await page.until(
        'all slices again',
        (state) => /The object is in slices/.test(state.message?.text ?? ''),
        MINUTES,
      );
      const corrected = await page.labels('current_object');
      assert.deepEqual(planesWith(corrected, 1, SIDE * SIDE), [1, 2, 3, 4]);
      for (const z of [1, 2, 3, 4]) assert.ok(planeIou(corrected, 1, truth, z, 1) > 0.7, `slice ${z + 1} in the end`);
      assert.match((await panel.textContent('.object')) ?? '', /slices 2 to 5/);

      await page.press('Control+z');
      await page.press('Control+z');
      await page.untilLabels('current_object', first, 'undo brings back all slices');
      await page.press('Control+Shift+z');
      await page.press('Control+Shift+z');
      await page.untilLabels('current_object', corrected, 'redo');

      await page.press('c');
      await page.until('a committed object', (state) => state.layers.committed_objects.count === 1);
      assert.deepEqual(await page.labels('committed_objects'), corrected, 'commit writes exactly what was shown');
      await page.goToPlane(3);
      await page.screenshot('volume-4-committed');

      await page.press('o');
      const viewer = await page.viewer();
      /** The row and the colours of the section xz, [slice][column]. */
      const section = () =>
        viewer.evaluate(() => {
          const canvas = document.querySelector<HTMLCanvasElement>('canvas[data-section="xz"]');
          const pixels = canvas?.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height);
          const row = Number(/\d+/.exec(canvas?.closest('figure')?.textContent ?? '')?.[0]) - 1;
          return { row, width: canvas?.width ?? 0, data: [...(pixels?.data ?? [])] };
        });
      await eventually('the section along x with the object', async () => {
        const { row, width, data } = await section();
        const coloured = (k: number) => data[4 * k] !== data[4 * k + 1] || data[4 * k] !== data[4 * k + 2];
        if (width !== SIDE || data.length !== 4 * SIDE * 8 || Math.max(...data.slice(0, 4)) === 0) return undefined;
        for (let z = 0; z < 8; z++)
          for (let x = 0; x < SIDE; x++)
            if (coloured(z * SIDE + x) !== corrected[(z * SIDE + row) * SIDE + x] > 0) return undefined;
        return true;
      });
      await page.screenshot('volume-5-sections');
      const canvas = viewer.locator('canvas[data-section="xz"]');
      const shape = async () => {
        const { width = 1, height = 0 } = (await canvas.boundingBox()) ?? {};
        return height / width;
      };
      const asOpened = await shape();
      await page.openSection('image');
      await panel.click('text=Model and image settings');
      await panel.fill('[aria-label="Side of a pixel"]', '0.5');
      await panel.fill('[aria-label="Distance of two slices"]', '1.5');
      await panel.press('[aria-label="Distance of two slices"]', 'Enter');
      const apart = async (expected: number) => Math.abs((await shape()) / expected - 1) < 0.1 || undefined;
      await eventually('slices three pixels apart', () => apart((3 * 8) / SIDE));
      const table = await page.page.evaluate(async () => {
        const { api } = globalThis as unknown as { api: { getWindow(name: string): Promise<never> } };
        const window: { export(format: string): Promise<{ bytes: ArrayBuffer }[]> } = await api.getWindow('micro-sam');
        return new TextDecoder().decode((await window.export('csv'))[0].bytes);
      });
      const [head, values] = table.split('\r\n').map((line) => line.split(','));
      const voxels = corrected.filter((label) => label > 0).length;
      assert.equal(Number(values[head.indexOf('volume_um3')]), voxels * 0.5 * 0.5 * 1.5);
      await page.call('set_image_settings', { pixel_size: null });
      await eventually('the shape it had', () => apart(asOpened));
      await panel.click('text=Model and image settings');
      const { width = 0, height = 0 } = (await canvas.boundingBox()) ?? {};
      await canvas.click({ position: { x: (width * 146.5) / SIDE, y: (height * 6.5) / 8 } });
      await page.until('the slice that was clicked', (state) => state.plane === 6);
      await viewer.getByText('yz · x 147').waitFor();
      await page.until('a click in a section is a point in its slice', ({ prompts: [point] }) => {
        const { kind, plane, label } = (point ?? {}) as { kind?: string; plane?: number; label?: number };
        return kind === 'point' && plane === 6 && label === 1;
      });
      const edge = viewer.getByRole('separator', { name: 'Size of the sections' });
      const wide = async () => (await canvas.boundingBox())?.width ?? 0;
      const before = await wide();
      await edge.press('ArrowLeft');
      await edge.press('ArrowLeft');
      await eventually('larger sections', async () => (await wide()) > before || undefined);
      await edge.dblclick();
      await viewer.click('#sliders label span');
      await page.press('o');
      await canvas.waitFor({ state: 'hidden' });
      await page.goToPlane(3);

      const download = page.page.waitForEvent('download');
      await page.press('Control+s');
      await panel.click('text=Label image, TIFF');
      const saved = await openImage(memoryBytes(await readFile(await (await download).path()), 'labels.tif'));
      assert.equal(saved.sizes.z, 8);
      const slice = await readPlane(saved, 4);
      assert.deepEqual(Uint32Array.from(slice.data), corrected.slice(4 * SIDE * SIDE, 5 * SIDE * SIDE));
      assert.deepEqual(page.errors, []);
      await page.close();
    } finally {
      await server.stop();
    }
  });
});
