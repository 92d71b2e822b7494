import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { memoryBytes } from '../../src/io/bytes.js';
import { readPlane } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import type { YX, YXYX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { dataItems, dataPath, withData } from '../support/data.js';
import { encoderPid, type RunningServer, startServer } from '../support/start-server.js';

/** The whole story of the annotator, by hand: server, page, mouse, keyboard, files, a crash in between. */
interface Truth {
  readonly labels: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
}

interface Target {
  readonly id: number;
  /** A pixel well inside. */
  readonly at: YX;
  readonly box: YXYX;
}

describe('annotating by hand', function () {
  this.timeout(MINUTES * 1000);
  const here = browserStory();

  it('goes from a phantom to a label image, through a crash', async () => {
    const { image, labels } = cellPhantom();
    const file = path.join(here.folder, 'phantom.tif');
    await writeFile(file, await encodeTiff(image, { axes: 'yx' }));
    await story(file, { labels: labels.data, height: labels.shape[0], width: labels.shape[1] }, 'phantom', 0.75);
  });

  withData('goes from real nuclei to a label image, through a crash (long)', async () => {
    const item = dataItems().find(({ id }) => id === 'dsb-0532c64c2fd0');
    assert.ok(item?.labels, 'the image is in the data folder');
    const source = await openImage(memoryBytes(await readFile(dataPath(item.labels)), 'labels.png'));
    const { data, shape } = await readPlane(source, 0);
    await story(dataPath(item.file), { labels: data, height: shape[0], width: shape[1] }, 'nuclei', 0.7);
  });

  async function story(file: string, truth: Truth, name: string, leastIou: number): Promise<void> {
    const server = await startServer(['--port', '0', file]);
    try {
      const annotator = await AnnotatorPage.open(here.browser, server.url);
      await annotator.ready();
      await annotator.screenshot(`${name}-1-opened`);
      const [a, b, c] = targets(truth);

      await annotator.click(a.at);
      await annotator.until('a mask after a click', (state) => state.layers.current_object.count === 1);
      const first = await annotator.labels('current_object');
      assert.ok(iou(first, truth, a.id) >= leastIou, `IoU ${iou(first, truth, a.id)} after one click`);
      await annotator.screenshot(`${name}-2-clicked`);

      await annotator.press('t');
      await annotator.until('negative points', (state) => !state.settings.positive);
      await annotator.click(background(truth, a));
      await annotator.until('two prompts', (state) => state.prompts.length === 2 && state.task === null);
      const labelled = (await annotator.state()).prompts.map((prompt) => 'label' in prompt && prompt.label);
      assert.deepEqual(labelled, [1, 0]);
      assert.ok(iou(await annotator.labels('current_object'), truth, a.id) >= leastIou - 0.1);
      await annotator.screenshot(`${name}-3-negative`);
      await annotator.press('c');
      await annotator.until('a committed object', (state) => state.layers.committed_objects.count === 1);

      await annotator.click([-3, truth.width / 2]);
      await annotator.until('a word about it', (state) => /outside the image/.test(state.message?.text ?? ''));
      assert.equal((await annotator.state()).prompts.length, 0);
      await annotator.press('p');
      // With the commit, points are positive again.
      await annotator.until('the box tool', (state) => state.settings.tool === 'box' && state.settings.positive);
      const [y0, x0, y1, x1] = b.box;
      await annotator.drag([
        [y0 - 1, x0 - 1],
        [y1 + 1, x1 + 1],
      ]);
      await annotator.until('a mask after a box', (state) => state.layers.current_object.count === 1);
      assert.ok(iou(await annotator.labels('current_object'), truth, b.id) >= leastIou);
      await annotator.press('c');
      await annotator.until('two committed objects', (state) => state.layers.committed_objects.count === 2);
      const beforeUndo = await annotator.labels('committed_objects');

      await annotator.press('Control+z');
      await annotator.until('the commit undone', (state) => state.layers.committed_objects.count === 1);
      await annotator.press('Control+Shift+z');
      await annotator.until('the commit redone', (state) => state.layers.committed_objects.count === 2);
      assert.deepEqual(await annotator.labels('committed_objects'), beforeUndo);

      const panel = await annotator.panel();
      await panel.click('[data-tool="ellipse"]');
      await annotator.until('the ellipse', (state) => state.settings.tool === 'ellipse');
      await annotator.drag([
        [c.box[0] - 1, c.box[1] - 1],
        [c.box[2] + 1, c.box[3] + 1],
      ]);
      const drawn = await annotator.until('a third mask', (state) => state.layers.current_object.count === 1);
      assert.equal(drawn.prompts[0].kind, 'ellipse');
      assert.ok(iou(await annotator.labels('current_object'), truth, c.id) >= leastIou);
      await annotator.screenshot(`${name}-4-ellipse`);
      await panel.click('[data-tool="brush"]');
      await annotator.until('the brush', (state) => state.settings.tool === 'brush');
      await annotator.drag([c.at, [c.box[0] - 3, c.at[1]]]);
      const area = drawn.layers.current_object.objects[0].area;
      await annotator.until('a larger object', ({ layers }) => layers.current_object.objects[0]?.area > area);
      await annotator.screenshot(`${name}-5-brushed`);
      await panel.click('[data-command="commit"]');
      await annotator.until('three committed objects', (state) => state.layers.committed_objects.count === 3);

      await panel.click('[data-tool="point"]');
      await annotator.until('the point tool', (state) => state.settings.tool === 'point');
      await annotator.altClick(a.at);
      const picked = await annotator.until('the first object picked', (state) => state.editing !== null);
      assert.equal(picked.layers.current_object.count, 1);
      assert.equal(picked.prompts.length, 2, 'its prompts are back');
      await annotator.press('c');
      await annotator.until('it is committed again', (state) => state.editing === null);
      const committed = await annotator.labels('committed_objects');
      assert.equal(new Set(committed).size, 4, 'three objects and the background');

      const download = annotator.page.waitForEvent('download');
      await annotator.press('Control+s');
      await panel.click('text=Label image, TIFF');
      const saved = await readFile(await (await download).path());
      const written = await readPlane(await openImage(memoryBytes(saved, 'labels.tif')), 0);
      assert.deepEqual(written.shape, [truth.height, truth.width]);
      assert.deepEqual(Uint32Array.from(written.data), committed);
      await annotator.screenshot(`${name}-6-saved`);

      await annotator.until('everything saved', (state) => state.autosave === 'saved');
      assert.deepEqual(annotator.outside, [], 'nothing left this machine');
      await annotator.close();
      const again = await AnnotatorPage.open(here.browser, server.url);
      await again.ready();
      assert.deepEqual(await again.labels('committed_objects'), committed);
      await again.screenshot(`${name}-7-restored`);
      assert.deepEqual(again.outside, []);
      assert.deepEqual([...annotator.errors, ...again.errors], []);
      await again.close();
    } finally {
      await server.stop();
    }
  }

  it('goes on in the page when the encoder process is killed in mid-encode, and says so (thorough)', async () => {
    let server: RunningServer | undefined;
    try {
      server = await startServer(['--port', '0']);
      const annotator = await AnnotatorPage.open(here.browser, server.url);
      await annotator.until('encoding', (state) => state.embedding === 'computing');
      process.kill(encoderPid(server), 'SIGKILL');
      const state = await annotator.until('the embedding all the same', (s) => s.embedding === 'ready', 150);
      assert.equal(state.image?.name, 'sample-nuclei');
      const panel = await annotator.panel();
      await panel.waitForFunction(() => /web worker/.test(document.querySelector('footer')?.textContent ?? ''));
      assert.match((await panel.textContent('#panel')) ?? '', /went away/);
      await annotator.click([163, 105]);
      await annotator.until('a mask', (s) => s.layers.current_object.count === 1);
      await annotator.screenshot('fallback');
      await annotator.close();
    } finally {
      await server?.stop();
    }
  });
});

/** The three largest objects that touch neither the border nor another object. */
function targets({ labels, width, height }: Truth): Target[] {
  const found = new Map<number, { area: number; y: number; x: number; box: [number, number, number, number] }>();
  const touching = new Set<number>();
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const id = labels[y * width + x];
      if (id === 0) continue;
      const entry = found.get(id) ?? { area: 0, y: 0, x: 0, box: [y, x, y + 1, x + 1] };
      found.set(id, entry);
      entry.area++;
      entry.y += y + 0.5;
      entry.x += x + 0.5;
      const { box } = entry;
      entry.box = [Math.min(box[0], y), Math.min(box[1], x), Math.max(box[2], y + 1), Math.max(box[3], x + 1)];
      for (let dy = -5; dy <= 5; dy++)
        for (let dx = -5; dx <= 5; dx++) {
          const [r, c] = [y + dy, x + dx];
          if (r < 0 || c < 0 || r >= height || c >= width) touching.add(id);
          else if (labels[r * width + c] !== 0 && labels[r * width + c] !== id) touching.add(id);
        }
    }
  return [...found]
    .filter(([id]) => !touching.has(id))
    .sort(([, p], [, q]) => q.area - p.area)
    .slice(0, 3)
    .map(([id, { area, y, x, box }]) => ({ id, at: [y / area, x / area], box }));
}

/** A background pixel a little outside of the object's box. */
function background({ labels, width, height }: Truth, { box }: Target): YX {
  for (let distance = 6; distance < 60; distance++)
    for (const [y, x] of [
      [box[0] - distance, box[1] - distance],
      [box[2] + distance, box[3] + distance],
      [box[0] - distance, box[3] + distance],
      [box[2] + distance, box[1] - distance],
    ])
      if (y >= 2 && x >= 2 && y < height - 2 && x < width - 2 && labels[Math.floor(y) * width + Math.floor(x)] === 0)
        return [y + 0.5, x + 0.5];
  throw new Error('There is no background around the object.');
}

function iou(mask: Uint32Array, { labels }: Truth, id: number): number {
  let intersection = 0;
  let union = 0;
  for (let i = 0; i < mask.length; i++) {
    const [a, b] = [mask[i] !== 0, labels[i] === id];
    if (a && b) intersection++;
    if (a || b) union++;
  }
  return intersection / union;
}
