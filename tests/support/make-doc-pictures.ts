import { mkdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { decode, encode } from 'fast-png';
import type { Browser, Page } from 'playwright-core';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from './annotator-page.js';
import { launchBrowser } from './browser.js';
import { volumePhantom } from './phantom-stack.js';
import { startServer } from './start-server.js';

/**
 * Makes the pictures of docs/ and of the README from the annotator itself, on the sample image, by mouse and keyboard:
 *
 *     npx esbuild tests/support/make-doc-pictures.ts --bundle --platform=node --format=esm --packages=external \
 *       --outfile=dist/make-doc-pictures.mjs && node dist/make-doc-pictures.mjs
 */
const FOLDER = path.join('docs', 'images');
const WINDOW = { width: 1120, height: 720 };

async function makePictures(): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  const [browser, server] = await Promise.all([launchBrowser(), startServer(['--port', '0'])]);
  try {
    const context = await browser.newContext({ viewport: WINDOW, acceptDownloads: true });
    const annotator = await AnnotatorPage.over(await context.newPage(), server.url);
    await annotator.ready();
    const picture = async (name: string) => {
      // On the edge of the panel, so that neither tooltip nor cursor is in the picture.
      await annotator.page.mouse.move(785, 4);
      await annotator.page.waitForTimeout(700);
      await savePicture(annotator.page, name);
    };
    const cells = roomyCells();
    const masked = (what: string) =>
      annotator.until(what, ({ layers, task }) => layers.current_object.count > 0 && task === null);
    const commit = async () => {
      await annotator.press('c');
      await annotator.until('committed', ({ layers, prompts }) => layers.current_object.count + prompts.length === 0);
    };
    await picture('opened');

    await annotator.click(cells[0].at);
    await masked('a mask');
    await picture('clicked');

    await annotator.press('t');
    await annotator.click([cells[0].box[0] - 8, cells[0].box[1] - 4]);
    await annotator.until('two prompts', ({ prompts, task }) => prompts.length === 2 && task === null);
    await annotator.press('t');
    await picture('corrected');
    await commit();

    await annotator.press('p');
    for (const { box } of cells.slice(1, 4)) {
      await annotator.drag([
        [box[0] - 2, box[1] - 2],
        [box[2] + 2, box[3] + 2],
      ]);
      await masked('a mask from a box');
      await commit();
    }
    await annotator.drag([
      [cells[4].box[0] - 2, cells[4].box[1] - 2],
      [cells[4].box[2] + 2, cells[4].box[3] + 2],
    ]);
    await masked('a mask from a box');
    await picture('box');
    await commit();
    await annotator.press('p');

    await annotator.altClick(cells[0].at);
    await annotator.until('the first object again', ({ editing }) => editing !== null);
    await picture('picked');
    await commit();

    for (const { at } of cells.slice(5, 9)) {
      await annotator.click(at);
      await masked('a mask');
      await commit();
    }
    await annotator.click(cells[9].at);
    await masked('a mask');
    await picture('annotator');
    await commit();
    await annotator.press('Control+s');
    await (await annotator.panel()).getByText('Label image, TIFF').waitFor();
    await picture('saving');
    await annotator.press('Escape');

    await annotator.press('a');
    await annotator.until(
      'automatic objects',
      ({ layers, task }) => layers.auto_segmentation.count > 0 && task === null,
    );
    await picture('automatic');
    await annotator.press('Shift+a');
    await annotator.until('all accepted', ({ layers }) => layers.auto_segmentation.count === 0);
    const panel = await annotator.panel();
    await panel.locator('.object-list > summary').click();
    await panel.getByLabel('Filter the objects').fill('size > 1000');
    await panel.locator('.objects .row').first().click();
    await annotator.press('1');
    await annotator.until('a class', ({ layers }) =>
      layers.committed_objects.objects.some((object) => object.object_class === 1),
    );
    await panel.locator('.object-list').evaluate((table) => table.scrollIntoView());
    await picture('table');
    await context.close();
    await makeVolumePicture(browser);
  } finally {
    await server.stop();
    await browser.close();
  }
}

/** A cell of a volume in all its slices, with sections. */
async function makeVolumePicture(browser: Browser): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-pictures-'));
  const file = path.join(folder, 'volume.tif');
  const { image } = volumePhantom({ seed: 5, size: [256, 320], planes: 12 });
  await writeFile(file, await encodeTiff(image, { axes: 'zyx' }));
  const server = await startServer([file, '--port', '0']);
  try {
    const context = await browser.newContext({ viewport: WINDOW });
    const annotator = await AnnotatorPage.over(await context.newPage(), server.url);
    await annotator.ready();
    await annotator.press('o');
    for (const at of [
      [70, 50],
      [190, 155],
    ] as const) {
      await annotator.click(at);
      await annotator.until('a mask', ({ layers, task }) => layers.current_object.count > 0 && task === null);
      await annotator.press('Shift+s');
      await annotator.until(
        'all slices',
        ({ message, task }) => / slices/.test(message?.text ?? '') && task === null,
        240,
      );
      if (at[0] === 70) await annotator.press('c');
    }
    await annotator.page.mouse.move(785, 4);
    await annotator.page.waitForTimeout(1000);
    await savePicture(annotator.page, 'volume');
    await context.close();
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** As a PNG of 256 colours, a fraction of the size of the browser's. */
async function savePicture(page: Page, name: string): Promise<void> {
  const { data, width, height, channels } = decode(await page.screenshot());
  const colors = Uint32Array.from({ length: width * height }, (_, i) => {
    const at = i * channels;
    return (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
  });
  const { palette, indices } = paletteOf(colors);
  const pixels = Uint8Array.from(colors, (color) => indices.get(color) ?? 0);
  await writeFile(
    path.join(FOLDER, `${name}.png`),
    encode({ data: pixels, width, height, channels: 1, depth: 8, palette }),
  );
}

/** The frequent colours as they are, then again and again the one that is farthest from all so far, weighed by its pixels. */
function paletteOf(colors: Uint32Array): { palette: number[][]; indices: Map<number, number> } {
  const counts = new Map<number, number>();
  for (const color of colors) counts.set(color, (counts.get(color) ?? 0) + 1);
  const all = [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([color, count]) => ({ color, count, error: Infinity, index: 0 }));
  const palette: number[][] = [];
  while (palette.length < Math.min(256, all.length)) {
    const weight = ({ error, count }: (typeof all)[number]) => error * Math.sqrt(count);
    const next = palette.length < 64 ? all[palette.length] : all.reduce((a, b) => (weight(b) > weight(a) ? b : a));
    const [r, g, b] = [next.color >> 16, (next.color >> 8) & 255, next.color & 255];
    for (const entry of all) {
      const error =
        (r - (entry.color >> 16)) ** 2 + (g - ((entry.color >> 8) & 255)) ** 2 + (b - (entry.color & 255)) ** 2;
      if (error < entry.error) Object.assign(entry, { error, index: palette.length });
    }
    palette.push([r, g, b]);
  }
  return { palette, indices: new Map(all.map(({ color, index }) => [color, index])) };
}

interface Cell {
  readonly at: YX;
  readonly box: readonly [y0: number, x0: number, y1: number, x1: number];
}

/** Cells of the sample image, largest first, whose boxes do not meet. */
function roomyCells(): Cell[] {
  const { labels } = cellPhantom();
  const [height, width] = labels.shape;
  const found = new Map<number, { n: number; y: number; x: number; box: [number, number, number, number] }>();
  labels.data.forEach((id, i) => {
    if (id === 0) return;
    const [y, x] = [Math.floor(i / width), i % width];
    const cell = found.get(id) ?? { n: 0, y: 0, x: 0, box: [y, x, y, x] };
    const { box } = cell;
    found.set(id, {
      n: cell.n + 1,
      y: cell.y + y + 0.5,
      x: cell.x + x + 0.5,
      box: [Math.min(box[0], y), Math.min(box[1], x), Math.max(box[2], y + 1), Math.max(box[3], x + 1)],
    });
  });
  const cells = [...found.values()].sort((a, b) => b.n - a.n);
  const apart = ({ box: a }: Cell, { box: b }: Cell) =>
    a[2] + 6 < b[0] || b[2] + 6 < a[0] || a[3] + 6 < b[1] || b[3] + 6 < a[1];
  const chosen: Cell[] = [];
  for (const { n, y, x, box } of cells) {
    const cell = { at: [y / n, x / n] as const, box };
    const inside = box[0] > 12 && box[1] > 12 && box[2] < height - 12 && box[3] < width - 12;
    if (inside && chosen.every((other) => apart(cell, other))) chosen.push(cell);
  }
  return chosen;
}

await makePictures();
