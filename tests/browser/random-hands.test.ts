import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { randomInteger, seededRandom } from '../support/random.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/**
 * The same clicks and keys at random, with the real model: once each waiting for what the one before has brought about,
 * once as fast as they come. Both must end in the same objects. In the long run, on a slow machine:
 * `SLOWDOWN=6 MICRO_SAM_HANDS=50 node tests/run.mjs browser/random-hands`.
 */
const HANDS = Number(process.env.MICRO_SAM_HANDS ?? 1);
const FIRST = Number(process.env.MICRO_SAM_FIRST_HAND ?? 1);
const STEPS = 10;

type Act = { readonly wait: number } & (
  | { readonly at: YX; readonly button: 'left' | 'right' }
  | { readonly key: string }
);

const { image, centers } = cellPhantom({ seed: 5, size: [160, 160], cells: 9 });

describe('a hand at random in the browser (thorough)', function () {
  this.timeout(300_000 + HANDS * 600_000);
  const here = browserStory();
  let server: RunningServer;
  let page: AnnotatorPage;

  before(async () => {
    const file = path.join(here.folder, 'cells.tif');
    await writeFile(file, await encodeTiff(image, { axes: 'yx' }));
    server = await startServer(['--port', '0', file]);
    page = await AnnotatorPage.open(here.browser, server.url);
    await page.ready();
  });
  after(async () => {
    await page?.close();
    await server?.stop();
  });

  it('makes the same objects fast and slowly', async () => {
    for (let seed = FIRST; seed < FIRST + HANDS; seed++) {
      const acts = sequence(seed);
      const slow = await play(acts, false);
      const fast = await play(acts, true);
      assert.deepEqual(fast, slow, `hand ${seed}: ${JSON.stringify(acts)}`);
      if (HANDS > 1)
        console.log(`      hand ${seed}: ${slow.committed.length} objects, ${slow.prompts.length} prompts`);
    }
    assert.deepEqual(page.errors, []);
  });

  async function play(acts: readonly Act[], fast: boolean) {
    await page.call('set_settings', { hover_preview: false, tool: 'point', positive: true });
    await page.call('clear_annotations');
    for (const { id } of (await page.state()).layers.committed_objects.objects) await page.call('delete_object', id);
    await settled();
    for (const act of acts) {
      if ('key' in act) await page.press(act.key);
      else await page.page.mouse.click(...(await page.onScreen(act.at)), { button: act.button });
      await (fast ? page.page.waitForTimeout(act.wait) : settled());
    }
    await settled();
    const { layers, prompts } = JSON.parse(await page.call<string>('export_session'));
    const masks = (objects: readonly { readonly masks: unknown }[]) =>
      objects.map((object) => JSON.stringify(object.masks));
    return {
      committed: masks(layers.committed_objects),
      current: masks(layers.current_object),
      prompts: prompts.map(({ id: _, ...prompt }: { id: string }) => prompt),
    };
  }

  /** Nothing is at work, and nothing that a moment ago was still on its way has changed anything. */
  async function settled(): Promise<void> {
    for (let before = ''; ; ) {
      const { tasks, waiting, ...state } = await page.until(
        'nothing at work',
        (s) => s.waiting === 0 && s.tasks.length === 0,
        MINUTES,
      );
      const now = JSON.stringify([tasks, waiting, state]);
      if (now === before) return;
      before = now;
      await page.page.waitForTimeout(200);
    }
  }
});

/** Steps are taken back only as far as the sequence has clicked: what was before is not its own. */
function sequence(seed: number): Act[] {
  const random = seededRandom(seed);
  const int = (below: number) => randomInteger(random, 0, below);
  let clicks = 0;
  return Array.from({ length: STEPS }, (_, k): Act => {
    const wait = int(4) === 0 ? 0 : int(400);
    const [y, x] = centers[int(centers.length)];
    const at: YX = [y + int(9) - 4, x + int(9) - 4];
    const choice = random();
    if (k === 0 || choice < 0.4) {
      clicks++;
      return { wait, at, button: 'left' };
    }
    if (choice < 0.5) return { wait, at: [at[0] + 6, at[1] + 6], button: 'right' };
    if (choice < 0.7) return { wait, key: 'c' };
    const key = ['t', 'x', 'r', 'Delete', 'Control+z', 'Control+Shift+z'][int(6)];
    if (key === 'Control+z' && clicks-- <= 0) return { wait, key: 'x' };
    return { wait, key };
  });
}
