import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { memoryBytes } from '../../src/io/bytes.js';
import '../../src/io/node-file.js';
import { openImage } from '../../src/io/open.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { launchBrowser, type Site, serveFolders } from '../support/browser.js';
import { encodeJpeg } from '../support/jpeg-encoder.js';
import { encodeWebp } from '../support/webp-encoder.js';

/** The same file has the same pixels in a page as in Node: embeddings are recognised by the pixels they belong to. */
describe('images in a page', () => {
  let browser: Browser;
  let site: Site;
  let page: Page;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'images-'));
    await build({
      stdin: { contents: "export { openImage } from './src/io/open.js';", resolveDir: process.cwd(), loader: 'ts' },
      outdir: folder,
      entryNames: 'entry',
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'browser',
      target: 'chrome110',
      external: ['fs', 'path'],
      logLevel: 'warning',
    });
    writeFileSync(path.join(folder, 'index.html'), '<!doctype html><title>images</title>');
    const noise = Uint8Array.from({ length: 64 * 48 * 3 }, (_, i) => (i * 7919) % 256);
    writeFileSync(path.join(folder, 'colour.jpg'), encodeJpeg(noise, 64, 48, 3, 80));
    writeFileSync(path.join(folder, 'lossless.webp'), await encodeWebp(true));
    writeFileSync(path.join(folder, 'lossy.webp'), await encodeWebp(false));
    const stack = { data: Uint16Array.from(noise.subarray(0, 3000), (v) => v * 255), shape: [3, 25, 40] };
    writeFileSync(path.join(folder, 'stack.tif'), await encodeTiff(stack));
    site = await serveFolders([['/', folder]]);
    browser = await launchBrowser();
    page = await browser.newPage();
    await page.goto(`${site.url}index.html`);
  });

  after(async () => {
    await browser?.close();
    await site?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const name of ['colour.jpg', 'lossless.webp', 'lossy.webp', 'stack.tif'])
    it(`${name} by address and as a File`, async () => {
      const { readFile } = await import('node:fs/promises');
      const bytes = new Uint8Array(await readFile(path.join(folder, name)));
      const expected = await (await openImage(memoryBytes(bytes, name))).readRegion({});
      const inPage = await page.evaluate(async (file) => {
        const { openImage: open } = await import(`${location.origin}/entry.js`);
        const blob = await (await fetch(file)).blob();
        const images = [await open(`${location.origin}/${file}`), await open(new File([blob], file))];
        return Promise.all(
          images.map(async (image) => {
            const { data, shape } = await image.readRegion({});
            return { data: Array.from(data as ArrayLike<number>), shape };
          }),
        );
      }, name);
      for (const { data, shape } of inPage) {
        assert.deepEqual(shape, expected.shape);
        assert.equal(data.length, expected.data.length);
        // Canvases keep colours multiplied by alpha; only this picture has partly transparent pixels.
        if (name !== 'lossless.webp') assert.deepEqual(data, Array.from(expected.data));
        else assert.ok(data.every((value, i) => Math.abs(value - expected.data[i]) <= 1));
      }
    });
});
