import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { strToU8, zipSync } from 'fflate';
import type { Browser } from 'playwright-core';
import { readPlane } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { sizeOf, type TypedArray, type YX } from '../../src/ndimage/array.js';
import { AnnotatorPage, type State } from '../support/annotator-page.js';
import { cutTiff, pngOfSize, smallPng } from '../support/bad-files.js';
import { launchBrowser } from '../support/browser.js';
import { checkPicture } from '../support/check-picture.js';
import { dataItems, dataPath, withData } from '../support/data.js';
import { dropPaths } from '../support/drop.js';
import { openItem } from '../support/formats.js';
import { hdf5Sample } from '../support/hdf5-sample.js';
import { writeFolder } from '../support/pyramid.js';
import { randomInteger, seededRandom } from '../support/random.js';
import { POSITIONS, recording, SLICES } from '../support/recordings.js';
import { type Colour, coloursAt, eventually, sizeOnScreen } from '../support/screen.js';
import { type RunningServer, startServer } from '../support/start-server.js';
import { madePlate } from '../support/zarr-builder.js';

/** Files of every kind, dropped on the annotator by the browser itself: what is on screen, and what is said of bad ones. */
describe('dropping files (thorough)', function () {
  this.timeout(120_000);
  let browser: Browser;
  let server: RunningServer;
  let annotator: AnnotatorPage;
  let folder: string;

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-formats-'));
    [browser, server] = await Promise.all([launchBrowser(), startServer(['--port', '0'])]);
    annotator = await AnnotatorPage.open(browser, server.url);
    await annotator.ready();
    await annotator.call('set_settings', { hover_preview: false });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Drops and waits until another image is open. */
  async function drop(...paths: string[]) {
    const before = (await annotator.state()).image?.signature;
    await dropPaths(annotator, paths);
    if (severalImages(paths)) await (await annotator.panel()).getByText('As one image').click();
    const { image } = await annotator.until(
      `${paths.map((file) => path.basename(file))} to open`,
      (state) => state.image !== null && state.image.signature !== before,
      60,
    );
    assert.ok(image);
    await eventually('the image on screen', async () => {
      const size = await sizeOnScreen(annotator);
      return size[0] === image.shape[0] && size[1] === image.shape[1] ? size : undefined;
    });
    return image;
  }

  async function write(name: string, bytes: Uint8Array): Promise<string> {
    const file = path.join(folder, name);
    await writeFile(file, bytes);
    return file;
  }

  describe('of the test data', () => {
    for (const file of [
      'a_lm2d/stardist/img2d.tif',
      'a_lm2d/omnipose/caulo_15.tif',
      'a_lm2d/dsb2018/0402a81e7526.png',
      'a_lm2d/dsb2018/0d3640c1f1b8.png',
      'b_em/gala/train_image.tif',
      'c_lm3d/qcanet/8_cell_stage.tif',
      'd_tracking/laptrack_c2c12/images.tif',
      'd_tracking/usiigaci_t98g/01',
      'e_formats/image-js-tiff/float32.tif',
      'e_formats/exampletiffs/shapes_lzw_planar.tif',
      'e_formats/ome-tiff/4D-series.ome.tif',
      'e_formats/viv/viv-multi-channel.ome.tif',
      'e_formats/stardist/histo.jpg',
      'e_formats/nifti/anatomical.nii',
    ])
      withData(file, async () => {
        const item = dataItems().find((candidate) => candidate.file === file);
        assert.ok(item, 'in the manifest');
        const axes = item.axes ?? 'YXC'.slice(0, item.shape.length);
        const lengths = new Map([...axes].map((axis, i) => [axis, item.shape[i]]));
        const image = await drop(dataPath(file));
        assert.deepEqual(image.shape, [lengths.get('Y'), lengths.get('X')]);
        // Of a recording with time and depth, the slices of one time point.
        const [slices, times] = [lengths.get('Z') ?? 1, lengths.get('T') ?? 1];
        assert.equal(image.planes, slices > 1 ? slices : times);
        await checkPicture(annotator, file);
        if (LOOKED_AT.has(file)) await annotator.screenshot(`format-${path.basename(file)}`);
      });

    for (const [file, shape] of [
      ['e_formats/ome-zarr/blobs_image_v05.ome.zarr', undefined],
      ['e_formats/zarrita-v2/2d.chunked.i2', [2, 2]],
      ['e_formats/zarrita-v3/2d.chunked.ragged.i2', [3, 3]],
    ] as const)
      withData(`${file}, a folder`, async () => {
        const image = await drop(dataPath(file));
        const source = await openItem(file);
        assert.deepEqual(image.shape, shape ?? [source.sizes.y, source.sizes.x]);
        await checkPicture(annotator, file);
        await source.close();
      });

    withData('the files of a time series, chosen one by one', async () => {
      const frames = ['a_lm2d/usiigaci/set03_phase.tif', 'a_lm2d/usiigaci/set12_phase.tif'].map(dataPath);
      const image = await drop(...frames);
      assert.deepEqual([image.axes, image.planes], ['tyx', 2]);
    });
  });

  withData('an electron micrograph of 16 bits in a narrow range of them, in the contrast of its values', async () => {
    const source = await openItem('b_em/axondeepseg/rat4_data12_SEM.png');
    const plane = await source.readRegion({ box: [150, 200, 550, 600] });
    await source.close();
    const random = seededRandom(16);
    const data = Uint16Array.from(plane.data, (value) => 20_000 + value * 11 + Math.floor(random() * 200));
    const image = await drop(await write('micrograph.tif', await encodeTiff({ data, shape: plane.shape })));
    assert.deepEqual(image.shape, plane.shape);
    const sorted = data.slice().sort();
    const [low, high] = [0.01, 0.99].map((part) => sorted[Math.floor(part * sorted.length)]);
    assert.ok(low > 20_000 && high < 23_100);
    const [height, width] = plane.shape;
    const places = Array.from(
      { length: 40 },
      (): YX => [randomInteger(random, 0, height), randomInteger(random, 0, width)],
    );
    const expected = places.map(([y, x]) => {
      const part = (data[y * width + x] - low) / (high - low);
      return 255 * Math.min(1, Math.max(0, part));
    });
    assert.ok(expected.some((grey) => grey > 60 && grey < 200));
    await eventually('greys between the 1st and the 99th percentile', async () => {
      const colours = await coloursAt(annotator, places);
      return colours.every(([red], i) => Math.abs(red - expected[i]) < 6) ? true : undefined;
    });
    await annotator.screenshot('format-em-16-bit');
  });

  it('an HDF5 of several datasets asks which one', async () => {
    const file = await write('several.h5', hdf5Sample());
    const before = (await annotator.state()).image?.signature;
    await dropPaths(annotator, [file]);
    const sheet = (await annotator.panel()).getByRole('dialog', { name: 'Which image?' });
    await sheet.getByRole('button', { name: 'raw', exact: true }).waitFor();
    assert.deepEqual(await sheet.locator('.menu button').allTextContents(), ['big', 'exported/mask', 'raw']);
    await sheet.getByRole('button', { name: 'raw', exact: true }).click();
    const { image } = await annotator.until('the stack', (state) => state.image?.signature !== before, 60);
    assert.deepEqual([image?.shape, image?.planes], [[6, 8], 2]);
  });

  it('an .npz of several arrays shows the first and offers the others', async () => {
    const npy = (shape: string, length: number) => {
      const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape}), }`.padEnd(117);
      return Uint8Array.of(...strToU8('\x93NUMPY\x01\x00', true), 118, 0, ...strToU8(`${header}\n`), ...noise(length));
    };
    const noise = (length: number) => Array.from({ length }, (_, i) => (i * 31) % 251);
    const file = await write('two.npz', zipSync({ 'first.npy': npy('20, 30', 600), 'second.npy': npy('25, 35', 875) }));
    assert.deepEqual((await drop(file)).shape, [20, 30]);
    const sheet = (await annotator.panel()).getByRole('dialog', { name: 'Which image?' });
    await sheet.getByRole('button', { name: 'second' }).click();
    await annotator.until('the other array', ({ image }) => image?.shape[0] === 25, 60);
  });

  it('a plate, a series of its fields of view', async () => {
    const plate = path.join(folder, 'screen.zarr');
    await writeFolder(memoryStore('plate', madePlate(2)), plate);
    await pressWhenLayersAreGone('KeyN');
    await dropPaths(annotator, [plate]);
    const isOpen = (field: string) => (state: State) => state.image?.name === `screen.zarr ${field}`;
    await annotator.until('the next field', isOpen('A1 field 1'));
    const list = (await annotator.panel()).locator('.series li');
    await list.and((await annotator.panel()).locator('[data-state="work"]')).waitFor();
    assert.equal(await list.count(), 3);
    await list.first().click();
    await annotator.until('the first field again', isOpen('A1 field 0'));
  });

  it('files of recordings among others, one after the other: each recording once and whole', async () => {
    const files = new Map([...recording(POSITIONS, 'first'), ...recording(SLICES, 'stack.companion.ome')]);
    const paths: string[] = [];
    for (const [name, bytes] of files) paths.push(await write(name, bytes));
    await dropPaths(annotator, paths);
    await (await annotator.panel()).getByText('One after the other').click();
    for (const [name, planes] of [
      ['s_MMStack_Pos0.ome.tif', 3],
      ['s_MMStack_Pos1.ome.tif', 2],
      ['stack.companion.ome', 3],
    ]) {
      const { image } = await annotator.until(`${name}`, (state) => state.image?.name === name);
      assert.equal(image?.planes, planes, `${name}`);
      await annotator.call('next_image');
    }
    await annotator.until('the end', (state) => /last image/.test(state.message?.text ?? ''));
  });

  /** A key at the moment in which the layers of one image make way for those of the next. */
  async function pressWhenLayersAreGone(code: string): Promise<void> {
    await (await annotator.viewer()).evaluate((pressed) => {
      const list = document.getElementById('layers') as HTMLElement;
      new MutationObserver((_, observer) => {
        if (list.childElementCount > 0) return;
        observer.disconnect();
        document.dispatchEvent(new KeyboardEvent('keydown', { code: pressed, key: 'n' }));
      }).observe(list, { childList: true });
    }, code);
  }

  describe('several channels', () => {
    it('are added up in their colours, each with controls, which are remembered', async () => {
      // Channel c is bright in the c-th third.
      const [height, width] = [30, 90];
      const data = Uint16Array.from({ length: 3 * height * width }, (_, i) => {
        const channel = Math.floor(i / (height * width));
        return Math.floor((i % width) / 30) === channel ? 5000 : 100;
      });
      const names = ['DAPI', 'Actin', 'Tubulin'];
      const bytes = await encodeTiff(
        { data, shape: [3, height, width] },
        { axes: 'cyx', description: 'ome', channelNames: names },
      );
      const file = await write('three.ome.tif', bytes);
      await drop(file);
      const thirds: YX[] = [
        [15, 15],
        [15, 45],
        [15, 75],
      ];
      const viewer = await annotator.viewer();
      const channels = viewer.locator('#channels fieldset');
      await eventually('three controls', async () => ((await channels.count()) === 3 ? true : undefined));
      assert.match((await channels.nth(1).textContent()) ?? '', /Actin/);
      const shown = (what: string, wanted: (colours: Colour[]) => boolean) =>
        eventually(what, async () => {
          const colours = await coloursAt(annotator, thirds);
          return wanted(colours) ? colours : undefined;
        });
      const first = await shown('every channel bright in its own third', (colours) =>
        colours.every((colour) => Math.max(...colour) === 255),
      );
      assert.equal(new Set(first.map(String)).size, 3, `three colours, got ${JSON.stringify(first)}`);

      await viewer.click('#toggle-sidebar');
      await channels.nth(1).locator('input[type=checkbox]').uncheck();
      await shown('the second third dark', ([, second]) => Math.max(...second) === 0);
      await channels.nth(0).locator('input[type=color]').fill('#3366cc');
      await shown('the new colour', ([colour]) => String(colour) === '51,102,204');

      await drop(await write('other.tif', await encodeTiff({ data: new Uint8Array(600).fill(3), shape: [20, 30] })));
      await drop(file);
      await shown('what was chosen', ([colour, dark]) => String(colour) === '51,102,204' && Math.max(...dark) === 0);
    });

    it('five of them, as floats', async () => {
      const data = Float32Array.from({ length: 5 * 400 }, (_, i) => Math.sin(i));
      const bytes = await encodeTiff({ data, shape: [5, 20, 20] }, { axes: 'cyx', description: 'ome' });
      await drop(await write('five.ome.tif', bytes));
      const controls = (await annotator.viewer()).locator('#channels fieldset');
      await eventually('five controls', async () => ((await controls.count()) === 5 ? true : undefined));
    });
  });

  describe('odd images', () => {
    const odd: readonly (readonly [title: string, data: TypedArray, shape: readonly number[]])[] = [
      ['constant', new Uint16Array(900).fill(7), [30, 30]],
      ['one pixel wide', Uint8Array.from({ length: 200 }, (_, i) => i), [200, 1]],
      ['one pixel high', Uint8Array.from({ length: 200 }, (_, i) => 200 - i), [1, 200]],
      ['one pixel', Uint8Array.of(5), [1, 1]],
      [
        'NaN and infinities',
        Float32Array.from({ length: 400 }, (_, i) => [Number.NaN, Infinity, -Infinity, i][i % 4]),
        [20, 20],
      ],
      ['nothing but NaN', new Float32Array(400).fill(Number.NaN), [20, 20]],
    ];
    for (const [title, data, shape] of odd)
      it(title, async () => {
        const image = await drop(await write(`${title.replaceAll(' ', '-')}.tif`, await encodeTiff({ data, shape })));
        assert.deepEqual(image.shape, shape);
        assert.equal(sizeOf(image.shape), data.length);
        if (ANNOTATED.has(title)) await annotate(image.shape);
      });

    /** A click is answered, by a mask or by what keeps it from being one, and what is painted becomes an object. */
    async function annotate(shape: readonly number[]): Promise<void> {
      await annotator.ready();
      const middle = shape.map((length) => Math.floor(length / 2));
      await annotator.click([middle[0] + 0.5, middle[1] + 0.5]);
      await annotator.until('the click', ({ prompts, task }) => prompts.length === 1 && task === null);
      await annotator.call('clear_annotations');
      await annotator.call('paint', [middle], { tool: 'brush', radius: 1 });
      await annotator.call('commit');
      await annotator.until('an object', ({ layers }) => layers.committed_objects.count === 1);
      const labels = await annotator.labels('committed_objects');
      assert.equal(labels.length, sizeOf(shape));
      assert.equal(labels[middle[0] * shape[1] + middle[1]], 1);
    }

    it('a PNG by the name of a TIFF', async () => {
      const png = await smallPng();
      assert.deepEqual((await drop(await write('named.tif', png))).shape, [3, 4]);
    });
  });

  describe('what cannot be opened', () => {
    const bad: readonly (readonly [title: string, name: string, bytes: () => Promise<Uint8Array>, says: RegExp])[] = [
      ['an empty file', 'empty.tif', async () => new Uint8Array(0), /empty\.tif.*empty/],
      ['a cut TIFF', 'cut.tif', cutTiff, /cut\.tif.*(truncated|damaged)/s],
      ['a cut PNG', 'cut.png', async () => (await smallPng()).slice(0, 40), /cut\.png.*(truncated|damaged)/s],
      ['no pixels', 'none.png', () => pngOfSize(0, 0), /0 x 0/],
      ['a huge header', 'huge.png', () => pngOfSize(1_000_000, 1_000_000), /huge\.png/],
      [
        'a format that is not read',
        'cells.czi',
        async () => new TextEncoder().encode('ZISRAWFILE'.padEnd(600, '\0')),
        /CZI/,
      ],
      ['text', 'notes.txt', async () => new TextEncoder().encode('These are not pixels.\n'.repeat(40)), /notes\.txt/],
    ];
    for (const [title, name, bytes, says] of bad)
      it(`${title}: a message, and everything else stays`, async () => {
        const { image, message: old } = await annotator.state();
        await dropPaths(annotator, [await write(name, await bytes())]);
        const state = await annotator.until(
          'a message',
          ({ message }) => message?.level === 'error' && message !== old,
          20,
        );
        assert.match(state.message?.text ?? '', says);
        assert.deepEqual(state.image, image);
        await annotator.call('clear_annotations');
      });

    it('loses nothing that was committed, and measures it in the unit of the file', async () => {
      const data = Uint16Array.from({ length: 2400 }, (_, i) => 100 + i);
      const pixelSize = { y: 0.5, x: 0.5, unit: 'µm' };
      const bytes = await encodeTiff({ data, shape: [40, 60] }, { axes: 'yx', pixelSize });
      const image = await drop(await write('work.tif', bytes));
      await annotator.call('paint', [[20, 20]], { tool: 'brush', radius: 6 });
      await annotator.call('commit');
      await annotator.until('an object', ({ layers }) => layers.committed_objects.count === 1);
      const labels = await annotator.labels('committed_objects');
      await dropPaths(annotator, [await write('broken.tif', await cutTiff())]);
      const state = await annotator.until('a message', ({ message }) => message?.level === 'error', 20);
      assert.equal(state.image?.signature, image.signature);
      assert.deepEqual(await annotator.labels('committed_objects'), labels);

      const pixels = labels.reduce((count, label) => count + (label > 0 ? 1 : 0), 0);
      const table = new TextDecoder().decode(await save(/csv|table/i));
      const [heads, values] = table.split('\r\n').map((line) => line.split(','));
      const column = (name: RegExp) => Number(values[heads.findIndex((head) => name.test(head))]);
      assert.ok(pixels > 50);
      assert.equal(column(/^area_(µm|um)2$/), pixels * 0.25, table);
      const mean = data.reduce((sum, value, i) => sum + (labels[i] > 0 ? value : 0), 0) / pixels;
      assert.ok(Math.abs(column(/mean/) - mean) < 1e-6, table);
      for (const item of [/ImageJ|Label image, TIFF/, /OME-TIFF/]) {
        const saved = await openImage(await save(item));
        assert.deepEqual(saved.pixelSize, pixelSize);
        assert.deepEqual(Uint32Array.from((await readPlane(saved, 0)).data), labels);
      }
    });

    /** Chooses an item of the panel's menu and gives the bytes that the browser saves. */
    async function save(item: RegExp): Promise<Uint8Array> {
      const panel = await annotator.panel();
      await panel.click('[data-command="export_labels"]');
      const download = annotator.page.waitForEvent('download');
      await panel.locator('dialog button').filter({ hasText: item }).first().click();
      return readFile(await (await download).path());
    }
  });
});

/** Of the odd images, those on which somebody works too: each takes a run of the encoder. */
const ANNOTATED: ReadonlySet<string> = new Set(['one pixel high', 'NaN and infinities']);

/** Pictures of these are kept, for people to look at. */
const LOOKED_AT: ReadonlySet<string> = new Set([
  'a_lm2d/stardist/img2d.tif',
  'b_em/gala/train_image.tif',
  'e_formats/stardist/histo.jpg',
  'e_formats/viv/viv-multi-channel.ome.tif',
]);

/** Several files, or a folder of them that is no zarr: the annotator asks what they are. */
function severalImages(paths: readonly string[]): boolean {
  return (
    paths.length > 1 || (statSync(paths[0]).isDirectory() && readdirSync(paths[0]).some((name) => /\.tif$/.test(name)))
  );
}
