import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { labelsToCtc } from '../../src/io/results/ctc.js';
import { napariTracks, tracksCsv } from '../../src/io/results/napari-tracks.js';
import { zipFiles } from '../../src/io/stores/zip.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { dropPaths } from '../support/drop.js';
import { dividingCell } from '../support/stack-phantoms.js';
import { startServer } from '../support/start-server.js';

describe('tracks made elsewhere', function () {
  this.timeout(300_000);
  const story = browserStory();

  it('begin the series, or are dropped on it as a folder or a zip, and are its committed tracks', async () => {
    const truth = dividingCell();
    const labels = { data: Uint32Array.from(truth.labels), shape: truth.shape };
    const image = path.join(story.folder, '01');
    await mkdir(image);
    const [frames, ...size] = truth.shape;
    for (let t = 0; t < frames; t++) {
      const data = truth.data.slice(t * size[0] * size[1], (t + 1) * size[0] * size[1]);
      await writeFile(path.join(image, `t00${t}.tif`), await encodeTiff({ data, shape: size }, { axes: 'yx' }));
    }
    const files = await labelsToCtc(labels, { lineages: [{ 1: [2, 3], 2: [], 3: [] }] });
    const folder = path.join(story.folder, '01_RES');
    await mkdir(folder);
    for (const { name, bytes } of files) await writeFile(path.join(folder, name), bytes);
    const zip = path.join(story.folder, '01_RES.zip');
    await writeFile(zip, await zipFiles(files.map(({ name, bytes }) => ({ name: `01_RES/${name}`, bytes }))));
    // As a program without tracking gives them: the objects of each frame numbered anew.
    const frame = truth.shape[1] * truth.shape[2];
    const numbered = truth.labels.map((id, at) => (id === 0 ? 0 : id + 5 * Math.floor(at / frame)));
    const pieces = path.join(story.folder, 'cells_labels.tif');
    await writeFile(pieces, await encodeTiff({ data: numbered, shape: truth.shape }, { axes: 'tyx' }));
    const tracks = napariTracks(labels, [{ 1: [2, 3], 2: [], 3: [] }]);
    const table = path.join(story.folder, 'cells_tracks.csv');
    await writeFile(table, tracksCsv(tracks));
    await writeFile(path.join(story.folder, 'cells_graph.json'), JSON.stringify(tracks.graph));
    const server = await startServer([image, '-k', 't*.tif', '-s', pieces, '-s', table], {
      command: 'annotator_tracking',
    });
    try {
      const page = await AnnotatorPage.open(story.browser, server.url);
      await page.until('the series', (state) => state.image?.name === '01', MINUTES);
      const count = new Set(truth.labels.filter((id) => id > 0)).size;
      await page.until(
        'the tracks it begins with',
        (state) => /Loaded 4 tracks\.$/.test(state.message?.text ?? ''),
        MINUTES,
      );
      assert.deepEqual(await page.labels('committed_objects'), labels.data);
      assert.deepEqual(await page.call('get_lineages'), [{ 1: [2, 3], 2: [], 3: [] }, { 4: [] }]);
      await page.call('undo');
      await page.call('undo');
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
