import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory } from '../support/browser-story.js';
import { startServer } from '../support/start-server.js';

describe('objects of another program', function () {
  this.timeout(300_000);
  const story = browserStory();
  const { image, labels } = cellPhantom({ seed: 31, size: [160, 160], cells: 6 });
  const truth = Uint32Array.from(labels.data);

  before(async () => {
    const { folder } = story;
    for (const part of ['images', 'labels']) await mkdir(path.join(folder, part));
    const other = cellPhantom({ seed: 32, size: [160, 160], cells: 6 }).image;
    for (const [name, pixels] of [
      ['a.tif', image],
      ['b.tif', other],
    ] as const)
      await writeFile(path.join(folder, 'images', name), await encodeTiff(pixels, { axes: 'yx' }));
    await writeFile(path.join(folder, 'labels', 'a_seg.tif'), await encodeTiff(labels, { axes: 'yx' }));
    const shifted = { ...labels, data: labels.data.map((id) => (id === 0 ? 0 : id + 100)) };
    await writeFile(path.join(folder, 'labels', 'b_seg.tif'), await encodeTiff(shifted, { axes: 'yx' }));
  });

  it('begin an image, and take the place of what is there as one step of undo', async () => {
    const seg = path.join(story.folder, 'labels', 'a_seg.tif');
    const server = await startServer([path.join(story.folder, 'images', 'a.tif'), '-s', seg]);
    try {
      const page = await AnnotatorPage.open(story.browser, server.url);
      const { layers, message } = await page.until('objects', (state) => state.layers.committed_objects.count === 6);
      assert.match(message?.text ?? '', /^6 objects of the labels/);
      assert.deepEqual(await page.labels('committed_objects'), truth);
      await page.ready();
      const panel = await page.panel();
      const load = async (file: string) => {
        await panel.click('[data-command="load_objects"]');
        await panel.setInputFiles('dialog input[type="file"]', file);
      };
      await load(path.join(story.folder, 'labels', 'b_seg.tif'));
      await page.until('the other objects', (state) => state.layers.committed_objects.objects[0].id > 100);
      await page.screenshot('load-objects');
      await page.press('Control+z');
      await page.until(
        'those before',
        (state) => state.layers.committed_objects.objects[0].id === layers.committed_objects.objects[0].id,
      );

      const small = path.join(story.folder, 'small.tif');
      await writeFile(small, await encodeTiff({ data: new Uint16Array(12).fill(1), shape: [3, 4] }, { axes: 'yx' }));
      await load(small);
      await page.until('the reason', (state) =>
        /shape \[3,4\]; the image has \[160,160\]/.test(state.message?.text ?? ''),
      );
      await page.close();
    } finally {
      await server.stop();
    }
  });

  it('begin each image of a series, until somebody worked on it (thorough)', async () => {
    const server = await startServer(
      [path.join(story.folder, 'images'), '--initial_segmentation_folder', path.join(story.folder, 'labels')],
      { command: 'image_series_annotator' },
    );
    try {
      const page = await AnnotatorPage.open(story.browser, server.url);
      await page.until('objects of the first', (state) => state.layers.committed_objects.count === 6);
      await page.ready();
      await page.call('delete_object', 1);
      await page.until('one less', (state) => state.layers.committed_objects.count === 5);
      await page.press('n');
      await page.until(
        'objects of the second',
        ({ image: open, layers }) => open?.name === 'b.tif' && layers.committed_objects.objects[0]?.id > 100,
      );
      await page.press('Shift+n');
      const back = await page.until('the first again', ({ image: open }) => open?.name === 'a.tif');
      assert.equal(back.layers.committed_objects.count, 5);
      await page.close();
    } finally {
      await server.stop();
    }
  });
});
