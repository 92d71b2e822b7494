import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { launchBrowser } from '../support/browser.js';
import { startServer } from '../support/start-server.js';
import { atMost, type Figure, median, reported } from './figure.js';

/** From the key N to the next image in a series, with 2,000 files over with 3. */
export default async function bench(): Promise<Figure[]> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-series-'));
  const browser = await launchBrowser();
  try {
    const few = await changeOfImage(browser, path.join(folder, 'few'), 3);
    const many = await changeOfImage(browser, path.join(folder, 'many'), 2000);
    return [
      reported('series_3_ms', few, 'ms'),
      reported('series_2000_ms', many, 'ms'),
      atMost('series_2000_over_3', many / few, 'ratio', 1.2),
    ];
  } finally {
    await browser.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function changeOfImage(browser: Browser, folder: string, files: number): Promise<number> {
  await mkdir(folder);
  const nameOf = (k: number) => `image${String(k).padStart(4, '0')}.tif`;
  const images = await Promise.all(
    [1, 2, 3].map((seed) => encodeTiff(cellPhantom({ seed, size: [128, 128], cells: 4 }).image, { axes: 'yx' })),
  );
  for (let k = 0; k < files; k++) await writeFile(path.join(folder, nameOf(k)), images[k % 3]);
  const server = await startServer([folder, '-o', `${folder}-results`], { command: 'image_series_annotator' });
  try {
    const page = await AnnotatorPage.open(browser, server.url);
    await page.until('the first image', (state) => state.image?.name === nameOf(0) && state.embedding === 'ready', 240);
    await page.call('paint', [
      [40, 40],
      [60, 60],
    ]);
    await page.call('commit');
    const step = async (key: string, at: number) => {
      const start = performance.now();
      await page.press(key);
      await page.until(nameOf(at), (state) => state.image?.name === nameOf(at) && state.embedding === 'ready', 240);
      return performance.now() - start;
    };
    // The three images, and the two after them, which would be encoded beside.
    const last = Math.min(files, 3 + AHEAD) - 1;
    for (let at = 1; at <= last; at++) await step('n', at);
    for (let at = last - 1; at >= 0; at--) await step('Shift+n', at);
    const times: number[] = [];
    for (const [key, at] of [...FORTH_AND_BACK, ...FORTH_AND_BACK, ...FORTH_AND_BACK]) {
      times.push(await step(key, at));
      await page.page.waitForTimeout(500);
    }
    await page.close();
    return median(times);
  } finally {
    await server.stop();
  }
}

/** Images computed ahead of the open one. */
const AHEAD = 2;

const FORTH_AND_BACK = [
  ['n', 1],
  ['n', 2],
  ['Shift+n', 1],
  ['Shift+n', 0],
] as const;
