import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readPlane } from '../../src/io/image.js';
import { openFile } from '../../src/io/node-open.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeLabelPng } from '../../src/io/results/png-writer.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { buildOnce, startServer } from '../support/start-server.js';

/** A folder as people have it, through automatic segmentation, evaluation, the series annotator and back. */
describe('a folder of mixed files (thorough)', function () {
  this.timeout(900_000);
  const story = browserStory();
  const at = (...names: string[]) => path.join(story.folder, ...names);
  const micro = (...args: string[]) =>
    spawnSync(process.execPath, [path.join('dist', 'cli', 'micro-sam.js'), ...args], { encoding: 'utf8' });
  const labelsOf = async (file: string) => {
    const source = await openFile(file);
    const { data } = await readPlane(source, 0);
    await source.close();
    return Uint32Array.from(data);
  };

  it('goes all the way without one wrong pair', async () => {
    await buildOnce();
    await mkdir(at('mixed'));
    const images = ['cells.tif', 'cells2.tif', 'cells10.tif', 'same.tif', 'same.png'];
    for (const [k, name] of images.entries()) {
      const { image } = cellPhantom({ seed: 50 + k, size: [120 + 4 * k, 128], cells: 3 });
      const grey = { data: Uint8Array.from(image.data, (value) => value >> 8), shape: image.shape };
      const bytes = name.endsWith('.png')
        ? encodeLabelPng({ ...grey, data: Uint32Array.from(grey.data) })
        : await encodeTiff(grey);
      await writeFile(at('mixed', name), bytes);
    }
    for (const name of ['._cells.tif', 'Thumbs.db', 'cells_thumb.png', 'notes.txt', 'cells_seg.npy', 'old.czi'])
      await writeFile(at('mixed', name), name.endsWith('czi') ? 'ZISRAWFILE' : 'no image');

    const automatic = ['automatic_segmentation', '-i', at('mixed'), '-o', at('auto'), '--points_per_side', '6'];
    const first = micro(...automatic, '--json');
    const rows: { name: string; status: string; detail: string }[] = JSON.parse(first.stdout);
    assert.deepEqual(
      rows.map(({ name, status }) => `${name} ${status}`),
      ['cells.tif done', 'cells2.tif done', 'cells10.tif done', 'old.czi failed', 'same.png done', 'same.tif done'],
    );
    assert.match(rows[3].detail, /Zeiss CZI.*OME-TIFF/);
    const results = ['cells', 'cells2', 'cells10', 'same_tif', 'same_png'].map((stem) => `${stem}_labels.tif`);
    assert.deepEqual((await readdir(at('auto'))).filter((name) => !name.startsWith('.')).sort(), [...results].sort());
    assert.match(micro(...automatic).stdout, /5 skipped, 1 failed/);
    const scores = (...args: string[]) =>
      (JSON.parse(micro('evaluate', ...args, '--json').stdout) as { rows: { scores: { msa: number } }[] }).rows;
    const itself = scores('--labels', at('auto'), '--predictions', at('auto'));
    assert.deepEqual(
      itself.map(({ scores: { msa } }) => msa),
      [1, 1, 1, 1, 1],
    );

    const server = await startServer(
      ['-i', at('mixed'), '-o', at('corrected'), '--initial_segmentation_folder', at('auto'), '--ignore_unpaired'],
      { command: 'image_series_annotator' },
    );
    try {
      const page = await AnnotatorPage.open(story.browser, server.url);
      for (const name of ['cells.tif', 'cells2.tif', 'cells10.tif', 'same.png', 'same.tif']) {
        const k = images.indexOf(name);
        const state = await page.until(name, ({ image }) => image?.name === name, MINUTES);
        const expected = await labelsOf(at('auto', results[k]));
        const count = new Set(expected).size - 1;
        assert.equal(state.image?.shape[0], 120 + 4 * k);
        await page.until('its objects', ({ layers }) => layers.committed_objects.count === count, MINUTES);
        if (count > 0) assert.deepEqual(await page.labels('committed_objects'), expected, name);
        await page.call('next_image');
      }
      await page.until('the end', (state) => /last image/.test(state.message?.text ?? ''), MINUTES);
      await page.close();
    } finally {
      await server.stop();
    }
    for (const name of (await readdir(at('corrected'))).filter((each) => each.endsWith('.tif')))
      assert.deepEqual(await labelsOf(at('corrected', name)), await labelsOf(at('auto', name)), name);
    const again = scores('--labels', at('auto'), '--predictions', at('corrected'), '--ignore_unpaired');
    assert.ok(again.length >= 3 && again.every(({ scores: { msa } }) => msa === 1), JSON.stringify(again));
  });
});
