import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import type { Size, YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory } from '../support/browser-story.js';
import { dropPaths } from '../support/drop.js';
import { CELL, cellNear, pyramidStore, tissuePixel, writeFolder } from '../support/pyramid.js';
import { coloursAt, eventually } from '../support/screen.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/** Images that no memory holds, in a real browser: what is on screen, what is read for it, and prompts on them. */
describe('large images', function () {
  this.timeout(480_000);
  const story = browserStory();

  async function withAnnotator(
    files: readonly string[],
    use: (annotator: AnnotatorPage, server: RunningServer) => Promise<void>,
  ): Promise<void> {
    const server = await startServer(['--port', '0', ...files]);
    const annotator = await AnnotatorPage.open(story.browser, server.url);
    try {
      await use(annotator, server);
      // A browser reports chunks that are not there, which is how a sparse image is stored.
      assert.deepEqual(
        annotator.errors.filter((error) => !/status of 404/.test(error)),
        [],
      );
    } finally {
      await annotator.close();
      await server.stop();
    }
  }

  it('shows a pyramid of 20,000 x 20,000 px over HTTP, and segments a cell in the one tile that is encoded (thorough)', async () => {
    const size: Size = [20_000, 20_000];
    const zarr = path.join(story.folder, 'tissue.ome.zarr');
    await writeFolder(await pyramidStore({ size, levels: 6 }), zarr);
    await withAnnotator([zarr], async (annotator, { autosaveDir }) => {
      let chunks = 0;
      annotator.page.on('request', (request) => {
        if (/\/c\/\d+\/\d+$/.test(request.url())) chunks++;
      });
      await annotator.until('the image', ({ image }) => image?.shape[0] === size[0]);
      const middle = cellNear([10_000, 10_000]);
      await eventually('tissue in the middle, nothing at the rim', async () => {
        const [cell, rim] = await coloursAt(annotator, [middle, [500, 500]]);
        return cell[0] > 200 && rim[0] === 0 ? true : undefined;
      });
      await annotator.screenshot('large-1-whole');
      await zoomIn(annotator, middle, 5);
      const between: YX = [middle[0] + 64, middle[1] + 64];
      await eventually('single cells', async () => {
        const [cell, gap] = await coloursAt(annotator, [middle, between]);
        return cell[0] === 255 && gap[0] < 40 ? true : undefined;
      });
      await annotator.screenshot('large-2-cells');
      // 1,600 chunks of full resolution alone; hashed are 64 places, shown a few screens.
      assert.ok(chunks < 400, `${chunks} chunks were read`);

      await annotator.until('ready', ({ embedding }) => embedding === 'ready');
      await annotator.click(middle);
      await annotator.until('a mask', ({ layers }) => layers.current_object.count === 1, 90);
      const { layers } = await annotator.state();
      const area = layers.current_object.objects[0].area;
      const truth = Math.PI * 44 * 44;
      assert.ok(area > 0.7 * truth && area < 1.4 * truth, `the mask has ${area} pixels, the cell ${Math.round(truth)}`);
      await annotator.screenshot('large-3-clicked');
      await eventually('one encoded tile on disk', async () => {
        const tiles = encodedTiles(autosaveDir);
        return tiles === 1 ? tiles : undefined;
      });
    });
  });

  it('shows a dropped pyramid 100,000 px wide (thorough)', async () => {
    const size: Size = [8_000, 100_000];
    const zarr = path.join(story.folder, 'wide.ome.zarr');
    await writeFolder(
      await pyramidStore({ size, levels: 7, tissue: (row, column) => row === 7 && column % 16 < 2 }),
      zarr,
    );
    await withAnnotator([], async (annotator) => {
      await annotator.ready(); // the session has the sample a moment before the viewer listens
      await dropPaths(annotator, [zarr]);
      await annotator.until('the image', ({ image }) => image?.shape[1] === size[1], 240);
      const cell = cellNear([7 * 512 + 200, 50_000 - (50_000 % 8192) + 300]);
      await zoomIn(annotator, cell, 8);
      await eventually('a cell', async () => {
        const [bright, dark] = await coloursAt(annotator, [cell, [cell[0] + 64, cell[1] + 64]]);
        return bright[0] > 200 && dark[0] < 100 ? true : undefined;
      });
    });
  });

  it('shows a plain TIFF without resolution levels (thorough)', async () => {
    const [height, width] = [5_000, 6_000];
    const data = new Uint16Array(height * width);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) data[y * width + x] = x < 3_000 ? tissuePixel(y, x) : 0;
    const file = path.join(story.folder, 'plain.tif');
    await writeFile(file, await encodeTiff({ data, shape: [height, width] }, { compression: 'none' }));
    await withAnnotator([file], async (annotator) => {
      await annotator.until('the image', ({ image }) => image?.shape[0] === height);
      const cell = cellNear([2_500, 1_500]);
      const shown = () =>
        eventually('cells on the left, nothing on the right', async () => {
          const [bright, dark] = await coloursAt(annotator, [cell, [2_500, 4_500]]);
          return bright[0] > 200 && dark[0] === 0 ? true : undefined;
        });
      await shown();
      assert.equal(data[cell[0] * width + cell[1]], CELL);
      await zoomIn(annotator, cell, 3);
      await eventually('a cell', async () => ((await coloursAt(annotator, [cell]))[0][0] === 255 ? true : undefined));
    });
  });
});

/** Doubles the zoom `times`, with the place in the middle of the view. */
async function zoomIn(annotator: AnnotatorPage, [y, x]: YX, times: number): Promise<void> {
  const viewer = await annotator.viewer();
  const { image } = await annotator.state();
  // The session has an image a moment before it is on screen: the wheel would turn over where it lies in the one before.
  await viewer.waitForFunction(([height, width]) => {
    const view = JSON.parse(document.getElementById('map')?.dataset.view ?? '[]');
    return view[3] === width && view[4] === height;
  }, image!.shape);
  for (let i = 0; i < times; i++) {
    await annotator.page.mouse.move(...(await annotator.onScreen([y, x])));
    const before = await viewer.evaluate(() => document.getElementById('map')?.dataset.view);
    await annotator.page.mouse.wheel(0, -500);
    await viewer.waitForFunction((old) => document.getElementById('map')?.dataset.view !== old, before);
    await annotator.shown();
  }
}

/** Embeddings that were kept, counted by their chunks. */
function encodedTiles(autosaveDir: string): number {
  return readdirSync(autosaveDir, { recursive: true }).filter((name) =>
    /features\/\d+\/c\/0\/0\/0\/0$/.test(String(name)),
  ).length;
}
