import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BrowserContext, Page } from 'playwright-core';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory } from '../support/browser-story.js';
import { randomInteger, seededRandom } from '../support/random.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/**
 * The page is killed at random moments while somebody annotates with the real model, and opened again: everything
 * committed must be there, whatever was interrupted. In the long run: `MICRO_SAM_KILLS=200 node tests/run.mjs kill-page`.
 */
const KILLS = Number(process.env.MICRO_SAM_KILLS ?? 4);
const LONGEST_DELAY_MS = 1200;

/** Committed objects by id, each with its pixels as text. */
type Objects = Readonly<Record<string, string>>;
type Step = 'prompt' | 'commit' | 'undo' | 'delete' | 'clear';

/** What the page says before and after each step; `saved`: the autosave said so of these objects. */
type Line =
  | { readonly begin: Step; readonly id?: number }
  | { readonly done: Step; readonly objects: Objects; readonly saved: boolean };

const { image, centers } = cellPhantom({ seed: 5, size: [160, 160], cells: 9 });

describe('a page that is killed while annotating', function () {
  this.timeout(120_000 + KILLS * 20_000);
  const kills = Math.ceil(KILLS / 2);
  const here = browserStory();
  let server: RunningServer;

  before(async () => {
    const file = path.join(here.folder, 'cells.tif');
    await writeFile(file, await encodeTiff(image, { axes: 'yx' }));
    server = await startServer(['--port', '0', file]);
  });
  after(() => server?.stop());

  it(`loses nothing committed that the server's folder keeps, ${kills} times (thorough)`, async () => {
    let context: BrowserContext | undefined;
    await killAgainAndAgain(
      11,
      async () => {
        if (!context?.browser()?.contexts().includes(context)) context = await here.browser.newContext();
        return context;
      },
      true,
    );
    await context?.close();
  });

  it(`loses nothing committed that the browser's own storage keeps, ${kills} times (thorough)`, async () => {
    // That storage belongs to the context. Not told of a folder to save in, the page takes the browser's.
    const context = await here.browser.newContext();
    await context.route('**/settings.json', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: { ...(await response.json()), autosave: undefined, leases: undefined } });
    });
    await killAgainAndAgain(12, async () => context);
    await context.close();
  });

  async function killAgainAndAgain(
    seed: number,
    contextFor: () => Promise<BrowserContext>,
    closeContexts = false,
  ): Promise<void> {
    const random = seededRandom(seed);
    let isAllowed = (objects: Objects) => Object.keys(objects).length === 0;
    let steps = 0;
    let committed = 0;
    for (let kill = 0; kill <= kills; kill++) {
      const context = await contextFor();
      const page = await context.newPage();
      const lines: Line[] = [];
      await page.exposeFunction('report', (line: Line) => void lines.push(line));
      const annotator = await AnnotatorPage.over(page, server.url);
      const { message } = await annotator.until('the image', (state) => state.embedding === 'ready', 90);
      assert.doesNotMatch(message?.text ?? '', /could not be read|cannot be saved/);
      const restored = await page.evaluate(committedObjects);
      assert.ok(isAllowed(restored), `after kill ${kill} there is ${JSON.stringify(restored)}`);
      if (kill === kills) {
        await page.close();
        break;
      }
      const work = page.evaluate(annotate, { seed: seed * 1000 + kill, points: centers.map(([y, x]) => [y, x]) });
      let ended: unknown;
      work.catch((error) => {
        ended = error;
      });
      // From when there is something to lose.
      while (lines.length < 2 && ended === undefined) await sleep(5);
      await sleep(randomInteger(random, 0, LONGEST_DELAY_MS));
      assert.equal(ended, undefined, 'it works until it is killed');
      if (closeContexts && random() < 0.3) await context.close();
      else await crash(page);
      isAllowed = afterDeath(restored, lines);
      steps += lines.length;
      committed += lines.filter((line) => 'done' in line && line.done === 'commit').length;
    }
    assert.ok(
      steps > kills * 4 && committed > kills / 2,
      `there was work to lose: ${steps} steps, ${committed} commits`,
    );
  }
});

/** The renderer dies as by a crash: nothing of the page runs any more, no `unload`, no pending write. */
async function crash(page: Page): Promise<void> {
  const died = page.waitForEvent('crash');
  const devtools = await page.context().newCDPSession(page);
  devtools.send('Page.crash').catch(() => undefined); // never answered
  await died;
  await page.close();
}

/** What may be found afterwards: what was last known to be saved, or anything that was done or begun since. */
function afterDeath(restored: Objects, lines: readonly Line[]): (objects: Objects) => boolean {
  const states: Objects[] = [restored];
  let safe = 0;
  for (const line of lines)
    if ('done' in line) {
      states.push(line.objects);
      if (line.saved) safe = states.length - 1;
    }
  const possible = states.slice(safe).map(canonical);
  const seen = new Set(states.map(canonical));
  const last = lines.at(-1);
  const before = states[states.length - 1];
  return (objects) => {
    const text = canonical(objects);
    if (possible.includes(text)) return true;
    if (!last || !('begin' in last)) return false;
    if (last.begin === 'undo') return seen.has(text);
    const { [String(last.id)]: _removed, ...fewer } = before;
    if (last.begin === 'delete') return text === canonical(fewer);
    const added = Object.keys(objects).filter((id) => !(id in before));
    const { [added[0]]: _added, ...same } = objects;
    return last.begin === 'commit' && added.length === 1 && canonical(same) === canonical(before);
  };
}

function canonical(objects: Objects): string {
  return JSON.stringify(Object.entries(objects).sort(([a], [b]) => Number(a) - Number(b)));
}

/* The functions below run in the page: nothing from outside of them is there. */

interface PageService {
  get_state(): Promise<{ autosave: string | null; layers: Record<string, { count: number }> }>;
  get_layer(name: string, options: object): Promise<{ id: number; box: number[]; runs: number[] }[]>;
  set_settings(settings: object): Promise<void>;
  add_point_prompts(points: number[][]): Promise<string[]>;
  commit(): Promise<unknown>;
  undo(): Promise<void>;
  delete_object(id: number): Promise<void>;
  clear_annotations(): Promise<void>;
}

async function committedObjects(): Promise<Objects> {
  const { api } = globalThis as unknown as { api: { getWindow(name: string): Promise<PageService> } };
  const service = await api.getWindow('micro-sam');
  const objects: Record<string, string> = {};
  for (const { id, box, runs } of await service.get_layer('committed_objects', { as: 'rle' }))
    objects[id] = `${box}:${runs}`;
  return objects;
}

/** Annotates at random until it is stopped from outside. */
async function annotate({ seed, points }: { seed: number; points: number[][] }): Promise<void> {
  const { api, report } = globalThis as unknown as {
    api: { getWindow(name: string): Promise<PageService> };
    report(line: unknown): Promise<void>;
  };
  const service = await api.getWindow('micro-sam');
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const objectsNow = async () => {
    const objects: Record<string, string> = {};
    for (const { id, box, runs } of await service.get_layer('committed_objects', { as: 'rle' }))
      objects[id] = `${box}:${runs}`;
    return objects;
  };
  const step = async (name: string, action: () => Promise<unknown>, id?: number) => {
    await report({ begin: name, id });
    await action().catch(() => undefined); // e.g. an object that hides others and is not committed
    // Sometimes one thing follows another at once, so that changes gather.
    for (let wait = random(3) > 0 ? 40 : 0; wait > 0; wait--) {
      if ((await service.get_state()).autosave === 'saved') break;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const objects = await objectsNow();
    const { autosave } = await service.get_state();
    await report({ done: name, objects, saved: autosave === 'saved' });
  };
  await service.set_settings({ preserve_mode: 'pixels' });
  for (;;) {
    await step('prompt', () => service.add_point_prompts([points[random(points.length)]]));
    await step('commit', () => service.commit());
    const ids = Object.keys(await objectsNow()).map(Number);
    if (random(5) === 0) await step('undo', () => service.undo());
    else if (ids.length > 4) {
      const id = ids[random(ids.length)];
      await step('delete', () => service.delete_object(id), id);
    }
    if (random(4) === 0) await step('clear', () => service.clear_annotations());
  }
}
