import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Browser, Frame } from 'playwright-core';
import type { Size, YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { launchBrowser } from '../support/browser.js';
import { cellNear, inTheMiddle, pyramidStore, tissuePixel, writeFolder } from '../support/pyramid.js';
import { randomInteger, seededRandom } from '../support/random.js';
import { startServer } from '../support/start-server.js';
import { atMost, type Figure, median, reported } from './figure.js';

/**
 * A sparse pyramid of 20,000 x 20,000 px in the annotator's page, over HTTP from `npm start`: from the call that opens it
 * to the right pixels on screen, the same for each of 100 random pans, and the memory of the page afterwards.
 */
const SIZE: Size = [20_000, 20_000];
const STEPS = 100;

export default async (): Promise<Figure[]> => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-large-'));
  const zarr = path.join(folder, 'tissue.ome.zarr');
  await writeFolder(await pyramidStore({ size: SIZE, levels: 6 }), zarr);
  const server = await startServer(['--port', '0', zarr]);
  const browser = await launchBrowser();
  try {
    const annotator = await AnnotatorPage.open(browser, server.url);
    await annotator.until('the image', ({ image }) => image?.shape[0] === SIZE[0], 120);
    const viewer = await annotator.viewer();
    await viewer.waitForFunction(() => document.getElementById('map')?.dataset.view !== undefined);
    const opens: number[] = [];
    for (let i = 0; i < 3; i++) opens.push(await open(annotator, viewer));
    const pans = await walk(annotator, viewer);
    const megabytes = await pageMemory(browser);
    return [
      atMost('large_open_ms', Math.min(...opens), 'ms', 1000),
      atMost('large_pan_ms', median(pans), 'ms', 150),
      reported('large_pan_slowest_ms', Math.max(...pans), 'ms'),
      ...(megabytes === undefined ? [] : [atMost('large_page_mb', megabytes, 'MB', 800)]),
    ];
  } finally {
    await browser.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
};

/** Another image first, then the pyramid again: until a place in the middle has its colour. */
async function open(annotator: AnnotatorPage, viewer: Frame): Promise<number> {
  const small = { _rtype: 'ndarray', _rdtype: 'uint8', _rshape: [8, 8] };
  await annotator.page.evaluate(async (image) => {
    const { api } = globalThis as unknown as { api: { getWindow(name: string): Promise<never> } };
    const service: Record<string, (...args: unknown[]) => Promise<unknown>> = await api.getWindow('micro-sam');
    await service.open_image({ ...image, _rvalue: new Uint8Array(64).buffer });
  }, small);
  await annotator.until('the small image', ({ embedding }) => embedding === 'ready');
  const shown = untilShown(viewer, [cellNear([10_000, 10_000]), [300, 300]], [255, 0]);
  const panel = await annotator.panel();
  const start = performance.now();
  await reopen(annotator, panel);
  await shown;
  return performance.now() - start;
}

async function reopen(annotator: AnnotatorPage, panel: Frame): Promise<void> {
  const url = await panel.evaluate(() =>
    performance
      .getEntriesByType('resource')
      .map(({ name }) => name)
      .find((name) => name.includes('/files/')),
  );
  const root = /^.*\/files\/[^/]+\/[^/]+\//.exec(url ?? '')?.[0];
  if (!root) throw new Error('The page has asked for no file.');
  void annotator.call('open_image', root);
}

/** Drags the image by up to half a screen, at a zoom at which single cells are seen. */
async function walk(annotator: AnnotatorPage, viewer: Frame): Promise<number[]> {
  const random = seededRandom(11);
  const tissue = inTheMiddle(SIZE);
  const box = await (await viewer.frameElement()).boundingBox();
  if (!box) throw new Error('The viewer is not on screen.');
  const [width, height] = [Math.min(box.width, 700), box.height];
  const centre = [box.x + width / 2, box.y + height / 2] as const;
  for (let i = 0; i < 4; i++) {
    await annotator.page.mouse.move(...(await annotator.onScreen([10_000, 10_000])));
    await annotator.page.mouse.wheel(0, -500);
    await annotator.page.waitForTimeout(400);
  }
  const times: number[] = [];
  let [offsetX, offsetY] = [0, 0];
  for (let step = 0; step < STEPS; step++) {
    // Back towards the middle as often as away from it.
    const towards = (offset: number) =>
      randomInteger(random, 60, 260) * (offset > 0 ? -1 : offset < 0 ? 1 : random() < 0.5 ? 1 : -1);
    const [dx, dy] = [towards(offsetX), towards(offsetY)];
    offsetX += dx;
    offsetY += dy;
    await annotator.page.mouse.move(...centre);
    await annotator.page.mouse.down({ button: 'middle' });
    await annotator.page.mouse.move(centre[0] + dx, centre[1] + dy, { steps: 3 });
    const start = performance.now();
    await annotator.page.mouse.up({ button: 'middle' });
    const places = await placesOnScreen(viewer, [width, height], random);
    await untilShown(
      viewer,
      places,
      places.map(([y, x]) =>
        tissue(Math.floor(y / 512), Math.floor(x / 512)) ? (tissuePixel(y, x) > 1000 ? 255 : 19) : 0,
      ),
    );
    times.push(performance.now() - start);
  }
  return times;
}

/** Image pixels spread over the screen, well inside or outside of cells. */
async function placesOnScreen(viewer: Frame, [width, height]: Size, random: () => number): Promise<YX[]> {
  const text = await viewer.evaluate(() => document.getElementById('map')?.dataset.view);
  const [left, top, resolution] = JSON.parse(text ?? '[]') as number[];
  const places: YX[] = [];
  while (places.length < 12) {
    const x = Math.floor(left + (0.05 + 0.9 * random()) * width * resolution);
    const y = Math.floor(SIZE[0] - top + (0.05 + 0.9 * random()) * height * resolution);
    const [cy, cx] = cellNear([y, x]);
    const distance = Math.hypot(y - cy, x - cx);
    if (distance < 32 || distance > 56) places.push([y, x]);
  }
  return places;
}

/** Resolves in the frame after which the viewer's image layer has these grey levels there. */
function untilShown(viewer: Frame, places: readonly YX[], levels: readonly number[]): Promise<void> {
  return viewer.evaluate(
    ([wanted, expected]) =>
      new Promise<void>((resolve, reject) => {
        const end = performance.now() + 30_000;
        const look = () => {
          const canvas = document.querySelector<HTMLCanvasElement>('.pixel-layer canvas');
          const view = JSON.parse(document.getElementById('map')?.dataset.view ?? '[]') as number[];
          const [left, top, resolution, , height] = view;
          const context = canvas?.getContext('2d');
          // Read back at once: each reading costs a frame.
          const pixels = height === 20_000 && context?.getImageData(0, 0, context.canvas.width, context.canvas.height);
          const right =
            pixels &&
            wanted.every(([y, x], i) => {
              const column = Math.floor((x + 0.5 - left) / resolution);
              const row = Math.floor((top - (height - y - 0.5)) / resolution);
              return Math.abs(pixels.data[4 * (row * pixels.width + column)] - expected[i]) < 60;
            });
          if (right) resolve();
          else if (performance.now() > end) reject(new Error('The right pixels did not come on screen.'));
          else requestAnimationFrame(look);
        };
        look();
      }),
    [places, levels] as const,
  );
}

/** Memory of the process that holds the page and all its frames; unknown where there is no /proc. */
async function pageMemory(browser: Browser): Promise<number | undefined> {
  const client = await browser.newBrowserCDPSession();
  const { processInfo } = await client.send('SystemInfo.getProcessInfo');
  await client.detach();
  try {
    const sizes = processInfo
      .filter(({ type }) => type === 'renderer')
      .map(({ id }) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1]) / 1024);
    return Math.max(...sizes);
  } catch {
    return undefined;
  }
}
