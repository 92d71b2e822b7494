import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { steps } from '../../src/evaluation/grid-search.js';
import { readPlane } from '../../src/io/image.js';
import { openFile } from '../../src/io/node-open.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { pyramidStore, writeFolder } from '../support/pyramid.js';

/** The built binary as a user runs it, with the real model, on a folder that also holds a broken file. */
describe('micro-sam command line', function () {
  this.timeout(300_000);
  let folder: string;
  const at = (...parts: string[]) => path.join(folder, ...parts);
  const micro = (...args: string[]) =>
    spawnSync(process.execPath, [path.join('dist', 'cli', 'micro-sam.js'), ...args], { encoding: 'utf8' });

  before(async () => {
    const built = spawnSync(process.execPath, [path.join('plugin', 'build.mjs'), '--quiet'], { encoding: 'utf8' });
    assert.equal(built.status, 0, built.stderr);
    folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-cli-'));
    for (const name of ['images', 'labels']) mkdirSync(at(name));
    for (const seed of [1, 2]) {
      const { image, labels } = cellPhantom({ seed, size: [160, 200], cells: 7 });
      writeFileSync(at('images', `cells${seed}.tif`), await encodeTiff(image));
      writeFileSync(at('labels', `cells${seed}.tif`), await encodeTiff(labels));
    }
    writeFileSync(at('images', 'broken.tif'), 'This is no image.');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('segments a folder, keeps embeddings, and says what became of each file', async () => {
    const args = ['automatic_segmentation', '-i', at('images'), '-o', at('out'), '-e', at('emb')];
    const first = micro(...args, '--points_per_side', '6', '--format', 'tiff,geojson', '--report', '--json');
    assert.equal(first.status, 1, first.stderr); // one file is broken
    const rows: { name: string; status: string; detail: string }[] = JSON.parse(first.stdout);
    assert.deepEqual(
      rows.map((row) => [row.name, row.status]),
      [
        ['broken.tif', 'failed'],
        ['cells1.tif', 'done'],
        ['cells2.tif', 'done'],
      ],
    );
    assert.match(rows[0].detail, /broken\.tif|format/i);
    assert.match(first.stderr, /seconds_left/);
    const labels = await openFile(at('out', 'cells1_labels.tif'));
    const { data, shape } = await readPlane(labels, 0);
    await labels.close();
    assert.deepEqual(shape, [160, 200]);
    assert.ok(new Set(data).size > 3, 'several cells are found');
    assert.ok(existsSync(at('emb', 'cells1.zarr', 'zarr.json')));
    assert.ok(JSON.parse(readFileSync(at('out', 'cells1.geojson'), 'utf8')).features.length > 2);
    const report = readFileSync(at('out', 'report.html'), 'utf8');
    assert.equal(report.match(/<img alt="cells\d: msi_lm" src="data:image\/png/g)?.length, 2);
    assert.match(report, /broken\.tif.*failed/);
    assert.ok(!readdirSync(at('out')).some((name) => name.includes('unfinished')));

    const written = statSync(at('out', 'cells1_labels.tif')).mtimeMs;
    const second = micro(...args, '--points_per_side', '6', '--format', 'tiff,geojson');
    assert.match(second.stdout, /2 skipped, 1 failed/);
    assert.equal(statSync(at('out', 'cells1_labels.tif')).mtimeMs, written);
  });

  it('segments a recording with time and depth time point by time point (thorough)', async () => {
    const { image } = cellPhantom({ size: [96, 112], cells: 4, seed: 3 });
    const plane = Array.from(image.data);
    const data = Uint8Array.from([...plane, ...plane, ...plane.map(() => 0), ...plane]);
    const bytes = await encodeTiff({ data, shape: [2, 2, 96, 112] }, { axes: 'tzyx' });
    writeFileSync(at('recording.tif'), bytes);
    const { status, stdout, stderr } = micro(
      'automatic_segmentation',
      '-i',
      at('recording.tif'),
      '-m',
      'vit_t', // as below: few points, and cells that are drawn
      '-o',
      at('times'),
      '--mode',
      'amg',
      '--points_per_side',
      '6',
      '--json',
    );
    assert.equal(status, 0, stderr);
    assert.match(JSON.parse(stdout)[0].detail, /^[1-9]\d* objects in 2 time points/);
    const found: number[] = [];
    for (const t of [0, 1]) {
      const labels = await openFile(at('times', `recording_t000${t}_labels.tif`));
      assert.deepEqual([labels.sizes.t, labels.sizes.z], [1, 2]);
      for (const z of [0, 1]) found.push(new Set((await readPlane(labels, z)).data).size - 1);
      await labels.close();
    }
    assert.ok(found[0] > 0 && found[0] === found[1], 'one object goes through both slices of a time point');
    assert.deepEqual(found.slice(2), [0, 0], 'alone in one slice of the next, it is dropped, not joined over time');
  });

  it('adds labels to the OME-Zarr that they belong to, and to nothing else', async () => {
    const zarr = at('tissue.zarr');
    await writeFolder(await pyramidStore({ size: [256, 300], levels: 1, tissue: () => true }), zarr);
    const segment = (file: string) =>
      micro(
        'automatic_segmentation',
        '-i',
        file,
        '-m',
        'vit_t', // a grid of 16 points finds little of what is no nucleus with the default model
        '-o',
        at('added'),
        '--mode',
        'amg',
        '--points_per_side',
        '4',
        '--into_image',
        'cells',
      );
    const added = segment(zarr);
    assert.equal(added.status, 0, added.stderr);
    const inside = await openFile(zarr, { key: 'labels/cells' });
    const { data, shape } = await readPlane(inside, 0);
    assert.deepEqual(shape, [256, 300]);
    assert.deepEqual(inside.pixelSize, { y: 0.25, x: 0.25, unit: 'µm' });
    assert.ok(new Set(data).size > 2, 'several cells are found');
    const beside = await openFile(at('added', 'tissue_labels.tif'));
    assert.deepEqual(Array.from(data), Array.from((await readPlane(beside, 0)).data));
    await beside.close();
    assert.match(segment(zarr).stdout, /tissue\.zarr +skipped/);
    rmSync(at('added'), { recursive: true });
    const again = segment(zarr);
    assert.equal(again.status, 1);
    assert.match(again.stdout, /has labels cells already, which would be lost/);
    const refused = segment(at('images', 'cells1.tif'));
    assert.equal(refused.status, 1);
    assert.match(refused.stdout, /cells1\.tif.*OME-Zarr/s);
  });

  it('precomputes embeddings shard by shard and reuses them (thorough)', () => {
    const args = ['precompute_embeddings', '-i', at('images', 'cells*.tif'), '-e', at('shards'), '--half'];
    assert.equal(micro(...args, '--shard', '2/2').status, 0);
    assert.deepEqual(readdirSync(at('shards')), ['cells2.zarr']);
    const all = micro(...args);
    assert.equal(all.status, 0, all.stderr);
    assert.match(all.stdout, /cells1\.tif .*1 computed, 0 reused/);
    assert.match(all.stdout, /cells2\.tif .*0 computed, 1 reused/);
    const features = JSON.parse(readFileSync(at('shards', 'cells1.zarr', 'features', 'zarr.json'), 'utf8'));
    assert.equal(features.data_type, 'float16');
  });

  it('scores predictions side by side and the model itself, with a report (thorough)', () => {
    const result = micro(
      ...['evaluate', '--labels', at('labels'), '--predictions', at('labels'), '--images', at('images', 'cells*.tif')],
      ...['--names', 'perfect', '--mode', 'prompts', '-o', at('report')],
    );
    assert.equal(result.status, 0, result.stderr);
    const lines = result.stdout.trim().split(/\r?\n/);
    const column = (line: string, name: string) => Number(line.split(',')[lines[0].split(',').indexOf(name)]);
    const perfect = lines.find((line) => line.startsWith('cells1,perfect,')) as string;
    assert.equal(column(perfect, 'msa'), 1);
    const box = lines.find((line) => line.startsWith('cells1,"msi_lm, box"')) as string;
    assert.ok(box.includes('0.'), box);
    const html = readFileSync(at('report', 'report.html'), 'utf8');
    assert.ok(html.includes('perfect') && html.includes('data:image/png;base64,'));
    assert.ok(existsSync(at('report', 'scores.csv')));
  });

  it('prints scores that cannot be written, and those that there are when it is stopped', async () => {
    mkdirSync(at('full.csv'), { recursive: true });
    const given = ['evaluate', '--labels', at('labels'), '--images', at('images', 'cells*.tif'), '--mode', 'prompts'];
    assert.match(micro(...given, '-o', at('full.csv')).stderr, /is a \.csv file or a folder/);
    writeFileSync(at('in_the_way'), '');
    const scored = ['evaluate', '--labels', at('labels'), '--predictions', at('labels')];
    const unwritten = micro(...scored, '-o', at('in_the_way', 'scores.csv'));
    assert.equal(unwritten.status, 1);
    assert.match(unwritten.stderr, /cannot be written/);
    assert.match(unwritten.stdout, /^cells1,labels,1,/m);

    const many = Array.from({ length: 30 }, (_, i) => at('many', `cells${i}.tif`));
    mkdirSync(at('many'), { recursive: true });
    for (const file of many) cpSync(at('images', 'cells1.tif'), file);
    mkdirSync(at('many_labels'), { recursive: true });
    for (const file of many) cpSync(at('labels', 'cells1.tif'), at('many_labels', path.basename(file)));
    const child = spawn(process.execPath, [
      path.join('dist', 'cli', 'micro-sam.js'),
      ...['evaluate', '--labels', at('many_labels'), '--images', at('many'), '--mode', 'ais'],
    ]);
    let [out, told] = ['', ''];
    child.stdout.on('data', (text) => {
      out += text;
    });
    child.stderr.on('data', (text) => {
      told += text;
      // Not every image is told of.
      if (!child.killed && /cells([3-9]|1\d):/.test(told)) child.kill('SIGINT');
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 1, told);
    const rows = out.split('\n').filter((line) => /^cells\d+,/.test(line));
    assert.ok(rows.length >= 2 && rows.length < 30, out);
    assert.match(told, new RegExp(`Stopped: these are the scores of ${rows.length} rows`));
  });

  it('refuses a wrong command line with exit code 2 and the usage', () => {
    for (const args of [
      ['automatic_segmentation', '-i', at('images')],
      ['automatic_segmentation', '-i', at('images'), '-o', at('x'), '--mode', 'all'],
      ['automatic_segmentation', '-i', at('images'), '-o', at('x'), '--preset', 'cats'],
      ['automatic_segmentation', '-i', at('images'), '-o', at('x'), '--rule', 'cats'],
      ['automatic_segmentation', '-i', at('images'), '-o', at('x'), '--tile_shape', 'a', 'b'],
      ['precompute_embeddings', '-i', at('nothing*.tif'), '-e', at('x')],
      ['evaluate', '--labels', at('labels'), '--predictions', at('images')],
      ['no_such_command'],
    ]) {
      const { status, stderr } = micro(...args);
      assert.equal(status, 2, `${args.join(' ')}: ${stderr}`);
      assert.match(stderr, /micro-sam|There is no command/);
      if (args[0] !== 'no_such_command')
        assert.match(stderr, /^.+\n\n(micro-sam .+\n)+micro-sam \w+ --help tells the options\.\n$/);
    }
  });

  it('tells what it is and what it runs on', () => {
    const info = JSON.parse(micro('info', '--json').stdout);
    assert.equal(info.models[0].name, 'msi_lm');
    assert.match(info.runtimes[1].provider, /wasm/);
    for (const name of [
      'automatic_segmentation',
      'precompute_embeddings',
      'evaluate',
      'info',
      'worker',
      'annotator_2d',
      'annotator_3d',
      'annotator_tracking',
      'image_series_annotator',
    ]) {
      const help = micro(name, '--help');
      assert.equal(help.status, 0);
      assert.match(help.stdout, new RegExp(`micro-sam ${name}`));
    }
  });
});

describe('grid', () => {
  it('has both ends', () => {
    assert.deepEqual(steps(0.6, 0.7, 0.025), [0.6, 0.625, 0.65, 0.675, 0.7]);
    assert.equal(steps(0.6, 0.95, 0.025).length, 15);
  });
});
