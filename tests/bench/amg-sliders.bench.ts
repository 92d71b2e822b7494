import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Browser, Frame } from 'playwright-core';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { launchBrowser } from '../support/browser.js';
import { hasData } from '../support/data.js';
import { readGroundTruth } from '../support/ground-truth.js';
import { mosaic } from '../support/mosaic.js';
import { buildOnce, startServer } from '../support/start-server.js';
import { atMost, type Figure, median, reported } from './figure.js';

/**
 * The sliders of automatic segmentation in the page: from a slider's change, as the panel hears of it, to the frame in
 * which the viewer has drawn the new objects. On 512 x 512 pixels encoded whole, and on 1024 x 1024 in tiles.
 */
export default async (): Promise<Figure[]> => {
  if (!hasData) return [];
  await buildOnce();
  const browser = await launchBrowser();
  try {
    const small = await changes(browser, 512, { points_per_side: 16 });
    const large = await changes(browser, 1024, { points_per_side: 8 }, 29);
    const all = [...small, ...large];
    return [
      atMost('amg_slider_ms', median(large), 'ms', 100),
      reported('amg_slider_512_ms', median(small), 'ms'),
      reported('amg_slider_worst_ms', Math.max(...all), 'ms'),
    ];
  } finally {
    await browser.close();
  }
};

const SLIDERS = ['predIouThresh', 'stabilityScoreThresh', 'boxNmsThresh', 'minObjectSize', 'maxObjectSize'];
/** Steps of each slider, a tenth of its range each, there and back. */
const STEPS = 4;

async function changes(browser: Browser, side: number, grid: object, diameter?: number): Promise<number[]> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-sliders-'));
  const file = path.join(folder, 'nuclei.tif');
  const { pixels } = await readGroundTruth('dsb-cc8862734430');
  await writeFile(file, await encodeTiff(mosaic(pixels, side), { axes: 'yx' }));
  const server = await startServer(['--port', '0', file]);
  try {
    const annotator = await AnnotatorPage.open(browser, server.url);
    await annotator.ready();
    if (diameter !== undefined) await annotator.call('set_image_settings', { object_diameter: diameter });
    await annotator.call('automatic_segmentation', grid);
    const { layers } = await annotator.state();
    const panel = await annotator.panel();
    const viewer = await annotator.viewer();
    await takeNotes(panel, viewer);
    const took: number[] = [];
    for (const threshold of SLIDERS) {
      const slider = panel.locator(`[data-threshold="${threshold}"]`);
      await slider.focus();
      // Away from an end, where a first step changes nothing.
      const away = Number(await slider.inputValue()) > Number(await slider.getAttribute('min')) ? 'PageDown' : 'PageUp';
      const back = away === 'PageDown' ? 'PageUp' : 'PageDown';
      for (let i = 0; i < 2 * STEPS; i++)
        took.push(...(await press(annotator, panel, viewer, i < STEPS ? away : back)));
    }
    console.error(`${side} x ${side}: ${layers.auto_segmentation.count} objects, ${took.length} pictures changed`);
    await annotator.close();
    return took;
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Notes when the panel hears of a slider's change, and when the viewer has drawn objects. Milliseconds since 1970. */
async function takeNotes(panel: Frame, viewer: Frame): Promise<void> {
  await panel.evaluate(() => {
    const times: number[] = [];
    Object.assign(globalThis, { times });
    document.addEventListener('input', () => times.push(performance.timeOrigin + performance.now()), true);
  });
  await viewer.evaluate(() => {
    const times: number[] = [];
    Object.assign(globalThis, { times });
    const { port1, port2 } = new MessageChannel();
    // A message posted while a frame is being made arrives when it has been made.
    port1.onmessage = () => times.push(performance.timeOrigin + performance.now());
    const prototype = CanvasRenderingContext2D.prototype;
    const { putImageData } = prototype;
    prototype.putImageData = function (this: CanvasRenderingContext2D, ...args: unknown[]) {
      port2.postMessage(undefined);
      return Reflect.apply(putImageData, this, args);
    };
  });
}

/** Milliseconds until the last time that the objects were drawn; none if the change changes no object. */
async function press(annotator: AnnotatorPage, panel: Frame, viewer: Frame, key: string): Promise<number[]> {
  const notes = (frame: Frame) => frame.evaluate(() => (globalThis as unknown as { times: number[] }).times.splice(0));
  await notes(viewer);
  await annotator.press(key);
  await annotator.page.waitForTimeout(QUIET_MS);
  const [changed, drawn] = [await notes(panel), await notes(viewer)];
  if (changed.length !== 1) throw new Error(`The slider changed ${changed.length} times at one key.`);
  return drawn.length === 0 ? [] : [drawn[drawn.length - 1] - changed[0]];
}

/** Within this time everything has been drawn. */
const QUIET_MS = 500;
