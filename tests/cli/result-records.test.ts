import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runBatch } from '../../src/cli/batch/batch.js';
import { listInputs } from '../../src/cli/batch/inputs.js';
import { pairInputs } from '../../src/cli/batch/pairs.js';
import { ProgressLine } from '../../src/cli/batch/progress-line.js';
import { type ResultBatch, resultItems } from '../../src/cli/batch/result-items.js';
import { readPlane } from '../../src/io/image.js';
import { openFile } from '../../src/io/node-open.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { dataPath, withData } from '../support/data.js';

describe('results of a batch', () => {
  let root: string;
  /** Of the last run. */
  let details: string[] = [];
  const at = (...names: string[]) => path.join(root, ...names);
  beforeEach(() => {
    root = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-results-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const image = async (file: string, value: number) => {
    mkdirSync(path.dirname(at(file)), { recursive: true });
    writeFileSync(at(file), await encodeTiff({ data: new Uint8Array(12).fill(value), shape: [3, 4] }));
  };
  /** Labels are the pixels themselves. */
  const run = async (given: string[], options: Partial<ResultBatch> & { during?: () => Promise<void> } = {}) => {
    const inputs = await listInputs(
      given.map((file) => at(file)),
      { output: at('out') },
    );
    const batch = { folder: at('out'), command: 'test', formats: ['tiff'] as const, ...options };
    const items = resultItems(inputs, batch, async ({ input }, write) => {
      const source = await openFile(input.file);
      const { data, shape } = await readPlane(source, 0);
      await source.close();
      await options.during?.();
      await write({ name: source.name, labels: { data: Uint32Array.from(data), shape } });
      return 'done';
    });
    const rows = await runBatch(items, {
      force: options.force,
      progress: new ProgressLine({ write: () => undefined }),
    });
    details = rows.map(({ detail }) => detail);
    return rows.map(({ name, status }) => `${name} ${status}`);
  };
  const results = () =>
    readdirSync(at('out'))
      .filter((name) => !name.startsWith('.'))
      .sort();
  const firstOf = async (name: string) => {
    const source = await openFile(at('out', name));
    const { data } = await readPlane(source, 0);
    await source.close();
    return data[0];
  };

  it('of an image of another run is neither taken for its own nor replaced', async () => {
    await image('a/same.tif', 1);
    await image('b/same.tif', 2);
    assert.deepEqual(await run(['a']), ['same.tif done']);
    assert.deepEqual(await run(['b']), ['same.tif done']);
    assert.deepEqual(results(), ['b_same_labels.tif', 'same_labels.tif']);
    assert.deepEqual([await firstOf('same_labels.tif'), await firstOf('b_same_labels.tif')], [1, 2]);
    assert.deepEqual(await run(['a', 'b']), ['a/same.tif skipped', 'b/same.tif skipped']);
  });

  it('that nobody noted is not replaced but by force', async () => {
    await image('a/x.tif', 1);
    await image('out/x_labels.tif', 9);
    assert.deepEqual(await run(['a']), ['x.tif failed']);
    assert.equal(await firstOf('x_labels.tif'), 9);
    assert.deepEqual(await run(['a'], { force: true }), ['x.tif done']);
    assert.equal(await firstOf('x_labels.tif'), 1);
    assert.deepEqual(await run(['a']), ['x.tif skipped']);
  });

  it('are made again when the image is another now, a file is gone, or a format is new', async () => {
    await image('a/x.tif', 1);
    await run(['a']);
    await image('a/x.tif', 3);
    assert.deepEqual(await run(['a']), ['x.tif done']);
    assert.equal(await firstOf('x_labels.tif'), 3);
    rmSync(at('out', 'x_labels.tif'));
    assert.deepEqual(await run(['a']), ['x.tif done']);
    assert.deepEqual(await run(['a'], { formats: ['tiff', 'csv'] }), ['x.tif done']);
    assert.deepEqual(await run(['a'], { formats: ['csv'] }), ['x.tif skipped']);
    assert.deepEqual(results(), ['x_labels.tif', 'x_objects.csv']);
  });

  it('made with other settings are neither taken for its own nor replaced but by force', async () => {
    await image('a/x.tif', 1);
    await image('a/y.tif', 2);
    const ais = { model_type: 'msi_lm', files: '1', mode: 'ais' };
    await run(['a/x.tif'], { settings: ais });
    assert.deepEqual(await run(['a'], { settings: ais }), ['x.tif skipped', 'y.tif done']);
    const others = [
      [{ ...ais, mode: 'amg' }, '--mode ais'],
      [{ ...ais, series: '1' }, 'without --series 1'],
      [{ ...ais, mirror: 'true' }, 'without --mirror'],
      [{ ...ais, files: '2' }, 'the model msi_lm was another one then'],
      [{ ...ais, model_type: 'vit_t', files: '3' }, '--model_type msi_lm'],
    ] as const;
    for (const [settings, told] of others) {
      assert.deepEqual(await run(['a'], { settings }), ['x.tif failed', 'y.tif failed']);
      for (const detail of details) assert.ok(detail.includes(`was made with other settings (${told}).`), detail);
    }
    const [[amg]] = others;
    assert.deepEqual(await run(['a'], { settings: amg, force: true }), ['x.tif done', 'y.tif done']);
    assert.deepEqual(await run(['a'], { settings: amg }), ['x.tif skipped', 'y.tif skipped']);
  });

  it('in a format that only an earlier image or other settings were written in are not taken for those of now', async () => {
    await image('a/x.tif', 1);
    const [before, now] = [{ mode: 'ais' }, { mode: 'amg' }];
    await run(['a'], { formats: ['tiff', 'csv'], settings: before });
    await image('a/x.tif', 2);
    assert.deepEqual(await run(['a'], { settings: before }), ['x.tif done']);
    assert.deepEqual(await run(['a'], { formats: ['tiff', 'csv'], settings: before }), ['x.tif done']);
    await run(['a'], { settings: now, force: true });
    assert.deepEqual(await run(['a'], { formats: ['csv'], settings: now }), ['x.tif done']);
  });

  it('of an image that was replaced while it was worked on are made again', async () => {
    await image('a/x.tif', 1);
    assert.deepEqual(await run(['a'], { during: () => image('a/x.tif', 2) }), ['x.tif done']);
    assert.equal(await firstOf('x_labels.tif'), 1);
    assert.deepEqual(await run(['a']), ['x.tif done']);
    assert.equal(await firstOf('x_labels.tif'), 2);
  });

  it('are found again when the images have moved, but not for a copy of them', async () => {
    await image('a/x.tif', 1);
    await run(['a']);
    renameSync(at('a'), at('moved'));
    assert.deepEqual(await run(['moved']), ['x.tif skipped']);
    cpSync(at('moved'), at('copy'), { recursive: true });
    assert.deepEqual(await run(['copy']), ['x.tif done']);
    assert.deepEqual(results(), ['copy_x_labels.tif', 'x_labels.tif']);
  });

  withData('of f_reports: three images of one name have three results', async () => {
    cpSync(dataPath('f_reports/same_names'), at('in'), { recursive: true });
    assert.deepEqual(await run(['in/a', 'in/b']), ['same.png done', 'a/same.tif done', 'b/same.tif done']);
    assert.deepEqual(results(), ['a_same_png_labels.tif', 'a_same_tif_labels.tif', 'b_same_tif_labels.tif']);
  });

  withData('of f_reports: images meet their own labels, and the companion of macOS is no image', async () => {
    const images = await listInputs([dataPath('f_reports/pairs_images')]);
    const labels = await listInputs([dataPath('f_reports/pairs_labels')], { role: 'labels' });
    assert.deepEqual(
      pairInputs(images, labels, { ones: 'images', others: 'label images' }).map((pair) =>
        pair.map(({ name }) => name),
      ),
      ['cells', 'cells2', 'cells10'].map((stem) => [`${stem}.tif`, `${stem}_labels.tif`]),
    );
    assert.deepEqual(
      (await listInputs([dataPath('f_reports/hidden_files')])).map(({ name }) => name),
      ['t0.tif'],
    );
  });
});

describe('inputs', () => {
  it('may have brackets and spaces in their folders, and be addresses', async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam [1] {x}-'));
    try {
      for (const name of ['t10.tif', 't2.tif', 'x[1].tif', 'x1.tif']) writeFileSync(path.join(folder, name), '');
      const names = async (...given: string[]) => (await listInputs(given)).map(({ name }) => name);
      assert.deepEqual(await names(folder), ['t2.tif', 't10.tif', 'x[1].tif', 'x1.tif']);
      assert.deepEqual(await names(path.join(folder, 't*.tif')), ['t2.tif', 't10.tif']);
      assert.deepEqual(await names(path.join(folder, 'x[1].tif')), ['x[1].tif']);
      assert.deepEqual(
        (await listInputs([folder], { pattern: 'x[12].tif' })).map(({ name }) => name),
        ['x1.tif'],
      );
      const addresses = ['https://example.org/a/one%20cell.tif?key=1', 'https://example.org/b/two.zarr/'];
      assert.deepEqual(await listInputs(addresses), [
        { file: addresses[0], name: 'a/one cell.tif', single: true },
        { file: addresses[1], name: 'b/two.zarr', single: true },
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
