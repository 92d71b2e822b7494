import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Frame } from 'playwright-core';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage, type State } from '../support/annotator-page.js';
import { browserStory } from '../support/browser-story.js';
import { eventually } from '../support/screen.js';
import { encoderPid, type RunningServer, startServer } from '../support/start-server.js';
import { startWorkerProcess } from '../support/worker-process.js';

/** Automatic segmentation by hand: press A, watch it come, tune it, go through the objects, lose the worker. */
describe('automatic segmentation by hand', function () {
  this.timeout(240_000);
  const { image, labels } = cellPhantom();
  const [height, width] = labels.shape;
  const here = browserStory();
  let server: RunningServer;
  let annotator: AnnotatorPage;
  let panel: Frame;

  before(async () => {
    const file = path.join(here.folder, 'phantom.tif');
    await writeFile(file, await encodeTiff(image, { axes: 'yx' }));
    server = await startServer(['--port', '0', file]);
    annotator = await AnnotatorPage.open(here.browser, server.url);
    await annotator.ready();
    panel = await annotator.panel();
  });
  after(() => server?.stop());

  const count = ({ layers }: State) => layers.auto_segmentation.count;

  it('finds the objects and shows them while they come', async () => {
    await panel.click('.automatic summary:text("Search")');
    await panel.selectOption('[data-choice="mode"]', 'amg');
    await panel.selectOption('[data-choice="points"]', '16');
    await panel.click('.automatic summary:text("Search")');
    const counted = await textsOf('.automatic .count');
    const told = await textsOf('.progress .text');
    const counts = new Set([0]);
    await annotator.press('a');
    const state = await annotator.until(
      'automatic objects',
      (now) => counts.add(count(now)).size > 1 && now.task === null,
      120,
    );
    assert.deepEqual([...counts], [0, count(state)], 'the layer itself is untouched while work is under way');
    assert.ok((await counted()).some((text) => /[1-9].* so far/.test(text)));
    assert.ok((await told()).some((text) => /left|of \d+/.test(text)));
    const truth = new Set(labels.data).size - 1;
    assert.ok(count(state) >= 0.5 * truth, `${count(state)} of ${truth} objects`);
    assert.ok(share(await annotator.labels('auto_segmentation'), labels.data) > 0.5, 'most nuclei are covered');
    assert.equal(state.settings.tool, 'pan', 'the next click chooses an object');
    await annotator.screenshot('automatic-1-result');
  });

  it('a slider changes what counts, and its drag is one step of undo', async () => {
    const before = await annotator.state();
    await dragTo('predIouThresh', 0.8);
    const strict = await annotator.state();
    assert.ok(count(strict) > 0 && count(strict) < count(before), `${count(strict)} of ${count(before)} objects`);
    await annotator.screenshot('automatic-2-strict');
    await dragTo('predIouThresh', 0.3);
    const lax = await annotator.state();
    assert.ok(count(lax) > count(strict), `${count(lax)} objects after ${count(strict)}`);
    await annotator.press('Control+z');
    await annotator.until('the second drag undone', (now) => count(now) === count(strict));
    await annotator.press('Control+z');
    const back = await annotator.until('the first drag undone', (now) => count(now) === count(before));
    assert.deepEqual(ids(back), ids(before), 'the same objects under the same ids');
  });

  it('objects are accepted, rejected, edited, and the rest accepted', async () => {
    const before = await annotator.state();
    const [first, second, third] = await inside();
    await annotator.click(first.at);
    await annotator.until('an object chosen', (now) => now.automatic.chosen === first.id);
    await panel.waitForSelector('.automatic .chosen:visible');
    await annotator.screenshot('automatic-3-chosen');
    await panel.click('[data-command="accept_automatic"]');
    const accepted = await annotator.until('one accepted', (now) => now.layers.committed_objects.count === 1);
    assert.equal(count(accepted), count(before) - 1);
    assert.deepEqual(ids(accepted, 'committed_objects'), [1]);

    await annotator.click(second.at);
    await annotator.until('another chosen', (now) => now.automatic.chosen === second.id);
    await annotator.press('Shift+Y');
    const rejected = await annotator.until('one rejected', (now) => count(now) === count(before) - 2);
    assert.equal(rejected.layers.committed_objects.count, 1);

    await dragTo('stabilityScoreThresh', 0.6);
    const thresholds = await annotator.state();
    assert.equal(thresholds.undo, 'Change thresholds');
    const moved = ids(thresholds);
    assert.ok(!moved.includes(first.id) && !moved.includes(second.id), 'what was dealt with stays away');
    await annotator.press('Control+z');
    await annotator.until('moved back', (now) => count(now) === count(before) - 2);

    await annotator.click(third.at);
    await annotator.until('a third chosen', (now) => now.automatic.chosen === third.id);
    await panel.click('[data-command="edit_automatic"]');
    const edited = await annotator.until('it is the current object', (now) => now.layers.current_object.count === 1);
    assert.equal(count(edited), count(before) - 3);
    await annotator.press('c');
    await annotator.until('it is committed', (now) => now.layers.committed_objects.count === 2);

    await annotator.press('Shift+A');
    const all = await annotator.until('all accepted', (now) => count(now) === 0);
    assert.equal(all.layers.committed_objects.count, count(before) - 1);
    assert.equal(all.settings.tool, 'point', 'the next click is a prompt again');
    await annotator.screenshot('automatic-4-accepted');
    await annotator.press('Control+z');
    const undone = await annotator.until('the rest is back', (now) => count(now) === count(before) - 3);
    assert.equal(undone.layers.committed_objects.count, 2);
  });

  it('cuts the image into tiles and shows them, also when it is reopened, and keeps the objects', async () => {
    const before = await annotator.state();
    await annotator.openSection('image');
    await panel.click('.image-settings summary');
    await panel.selectOption('[data-encoding="tiling"]', 'manual');
    await panel.fill('[aria-label="Side of a tile in pixels"]', '256');
    await panel.fill('[aria-label="Overlap in pixels"]', '32');
    await panel.press('[aria-label="Overlap in pixels"]', 'Enter');
    await panel.waitForSelector('text=2 x 2 tiles');
    await annotator.until('tiles encoded', (now) => now.embedding === 'ready' && now.task === null, 150);
    await panel.check('text=Show tiles in the viewer');
    await annotator.screenshot('automatic-5-tiles');
    await panel.uncheck('text=Show tiles in the viewer');
    await annotator.page.reload();
    await annotator.ready();
    panel = await annotator.panel();
    await annotator.openSection('image');
    await panel.click('.image-settings summary');
    await panel.waitForSelector('text=2 x 2 tiles');
    await panel.selectOption('[data-encoding="tiling"]', 'auto');
    await panel.waitForSelector('text=The image is encoded whole.');
    await panel.click('.image-settings summary');
    const after = await annotator.until('encoded whole again', (now) => now.embedding === 'ready' && now.task === null);
    assert.deepEqual(after.layers, before.layers);
  });

  it('goes on in the page when the worker process dies in the middle, and says so (long)', async () => {
    const before = await annotator.state();
    // A grid that was not run yet: its answers are not there already.
    const running = annotator.call('automatic_segmentation', { mode: 'amg', points_per_side: 18 });
    await panel.waitForFunction(() => /so far/.test(document.querySelector('.automatic .count')?.textContent ?? ''));
    process.kill(encoderPid(server), 'SIGKILL');
    await panel.waitForFunction(() => /web worker/.test(document.querySelector('footer')?.textContent ?? ''));
    assert.match((await panel.textContent('#panel')) ?? '', /went away/);
    await annotator.screenshot('automatic-6-fallback');
    await running;
    const state = await annotator.state();
    assert.equal(state.layers.committed_objects.count, before.layers.committed_objects.count, 'nothing is lost');
    assert.ok(count(state) >= count(before));
    await annotator.screenshot('automatic-7-after-fallback');
    assert.deepEqual(annotator.outside, [], 'nothing left this machine');
  });

  it('takes another worker by the address that is typed in, and is left by that one, too (thorough)', async () => {
    const other = await startWorkerProcess();
    try {
      if (!(await panel.locator('[aria-label="Address of a worker"]').isVisible()))
        await panel.click('.worker-view summary');
      await panel.fill('[aria-label="Address of a worker"]', other.url);
      await panel.press('[aria-label="Address of a worker"]', 'Enter');
      // Both are Node processes of one kind: which of them works shows when one is gone.
      const connecting = async () => (await panel.textContent('.worker-view'))?.includes('Connecting');
      await eventually('the other worker', async () => ((await connecting()) ? undefined : true), 60);
      const running = annotator.call('automatic_segmentation', { mode: 'amg', points_per_side: 12 });
      await panel.waitForFunction(() => /so far/.test(document.querySelector('.automatic .count')?.textContent ?? ''));
      await other.kill();
      await panel.waitForFunction(() => /web worker/.test(document.querySelector('footer .worker')?.textContent ?? ''));
      await running;
      await annotator.screenshot('automatic-8-other-worker');
    } finally {
      await other.kill();
    }
  });

  /** All that an element of the panel says from now on, also what it says for a moment only. */
  async function textsOf(selector: string): Promise<() => Promise<string[]>> {
    const seen = await panel.evaluateHandle((wanted) => {
      const texts = new Set<string>();
      const look = () => texts.add(document.querySelector(wanted)?.textContent ?? '');
      new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
      return texts;
    }, selector);
    return () => seen.evaluate((texts) => [...texts]);
  }

  /** The three largest automatic objects that are roundish, so that their middle is their own. */
  async function inside(): Promise<{ id: number; at: YX }[]> {
    const found = new Map<number, { area: number; y: number; x: number }>();
    const painted = await annotator.labels('auto_segmentation');
    for (let i = 0; i < painted.length; i++) {
      if (painted[i] === 0) continue;
      const entry = found.get(painted[i]) ?? { area: 0, y: 0, x: 0 };
      found.set(painted[i], entry);
      entry.area++;
      entry.y += Math.floor(i / width) + 0.5;
      entry.x += (i % width) + 0.5;
    }
    return [...found]
      .map(([id, { area, y, x }]) => ({ id, area, at: [y / area, x / area] as YX }))
      .filter(({ id, at: [y, x] }) => painted[Math.floor(y) * width + Math.floor(x)] === id)
      .filter(({ at: [y, x] }) => y > 20 && x > 20 && y < height - 20 && x < width - 20)
      .sort((a, b) => b.area - a.area)
      .slice(0, 3);
  }

  /**
   * Drags the thumb of a threshold to a part of its range, in many small moves, each of which changes the objects, and waits
   * until the last one has.
   */
  async function dragTo(threshold: string, fraction: number): Promise<void> {
    const slider = panel.locator(`[data-threshold="${threshold}"]`);
    await slider.scrollIntoViewIfNeeded();
    const box = await slider.boundingBox();
    assert.ok(box, 'the slider is visible');
    const now = await slider.evaluate((element) => {
      const { min, max, value } = element as HTMLInputElement;
      return (Number(value) - Number(min)) / (Number(max) - Number(min));
    });
    const thumb = 16;
    const at = (part: number) => box.x + thumb / 2 + part * (box.width - thumb);
    const { mouse } = annotator.page;
    await mouse.move(at(now), box.y + box.height / 2);
    await mouse.down();
    await mouse.move(at(fraction), box.y + box.height / 2, { steps: 12 });
    const last = Number(await slider.inputValue()); // once it is let go, it shows what the session has
    await mouse.up();
    const shown = panel.locator(`[data-threshold="${threshold}"] + input`);
    await eventually(`${threshold} ${last}`, async () => Number(await shown.inputValue()) === last || undefined, 60);
  }
});

function ids({ layers }: State, name: 'auto_segmentation' | 'committed_objects' = 'auto_segmentation'): number[] {
  return layers[name].objects.map(({ id }) => id);
}

/** Part of the nuclei's pixels that some object covers. */
function share(found: ArrayLike<number>, truth: ArrayLike<number>): number {
  let covered = 0;
  let all = 0;
  for (let i = 0; i < truth.length; i++) {
    if (truth[i] === 0) continue;
    all++;
    if (found[i] !== 0) covered++;
  }
  return covered / all;
}
