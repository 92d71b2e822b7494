import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { labelsToCtc } from '../../src/io/ctc.js';
import { zipFiles } from '../../src/io/stores/zip.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { dropPaths } from '../support/drop.js';
import { dividingCell, phantomTiff } from '../support/stack-phantoms.js';
import { startServer } from '../support/start-server.js';

describe('tracks made elsewhere', function () {
  this.timeout(300_000);
  const story = browserStory();

  it('are dropped on the open series, as a folder or a zip, and are its committed tracks', async () => {
    const truth = dividingCell();
    const labels = { data: Uint32Array.from(truth.labels), shape: truth.shape };
    const image = path.join(story.folder, 'cells.tif');
    await writeFile(image, await phantomTiff(truth, 'tyx'));
    const files = await labelsToCtc(labels, { lineages: [{ 1: [2, 3], 2: [], 3: [] }] });
    const folder = path.join(story.folder, '01_RES');
    await mkdir(folder);
    for (const { name, bytes } of files) await writeFile(path.join(folder, name), bytes);
    const zip = path.join(story.folder, '01_RES.zip');
    await writeFile(zip, await zipFiles(files.map(({ name, bytes }) => ({ name: `01_RES/${name}`, bytes }))));
    const server = await startServer([image]);
    try {
      const page = await AnnotatorPage.open(story.browser, server.url);
      await page.until('the series', (state) => state.image?.name === 'cells.tif', MINUTES);
      const count = new Set(truth.labels.filter((id) => id > 0)).size;
      for (const dropped of [folder, zip]) {
        await dropPaths(page, [dropped]);
        await page.until('its tracks', (state) => state.layers.committed_objects.count === count, MINUTES);
        assert.deepEqual(await page.labels('committed_objects'), labels.data);
        const panel = await page.panel();
        await panel.waitForSelector('.lineage .track.committed');
        await page.press('Control+z');
        await page.until('none, undone', (state) => state.layers.committed_objects.count === 0, MINUTES);
      }
      await page.close();
    } finally {
      await server.stop();
    }
  });
});
