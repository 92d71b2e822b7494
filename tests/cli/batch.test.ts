import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type BatchItem, reportBatch, runBatch } from '../../src/cli/batch/batch.js';
import { expandInputs, listInputs } from '../../src/cli/batch/inputs.js';
import { duration, ProgressLine } from '../../src/cli/batch/progress-line.js';
import { ResultFolder } from '../../src/cli/batch/result-records.js';
import { ofShard, parseShard } from '../../src/cli/batch/shard.js';
import { UsageError } from '../../src/cli/command.js';
import { SamError } from '../../src/errors.js';
import { stemOf } from '../../src/io/folder/file-names.js';
import { openFile } from '../../src/io/node-open.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { writeFolder } from '../support/pyramid.js';
import { madePlate } from '../support/zarr-builder.js';

describe('shards', () => {
  it('together hold every item once', () => {
    const items = Array.from({ length: 17 }, (_, i) => i);
    const parts = [1, 2, 3, 4].map((i) => ofShard(items, parseShard(`${i}/4`)));
    assert.deepEqual(
      parts.flat().sort((a, b) => a - b),
      items,
    );
  });

  it('come from Slurm and Kubernetes', () => {
    const slurm = { SLURM_ARRAY_TASK_ID: '7', SLURM_ARRAY_TASK_MIN: '5', SLURM_ARRAY_TASK_COUNT: '4' };
    assert.deepEqual(parseShard('auto', slurm), { index: 2, count: 4 });
    assert.deepEqual(parseShard('auto', { JOB_COMPLETION_INDEX: '0', JOB_COMPLETIONS: '3' }), { index: 0, count: 3 });
  });

  it('are refused when they make no sense', () => {
    for (const text of ['0/3', '4/3', '1', 'a/b', '1/0']) assert.throws(() => parseShard(text), UsageError, text);
    assert.throws(() => parseShard('auto', {}), UsageError);
    const stepped = { SLURM_ARRAY_TASK_ID: '8', SLURM_ARRAY_TASK_MIN: '0', SLURM_ARRAY_TASK_COUNT: '3' };
    assert.throws(() => parseShard('auto', stepped), UsageError);
  });
});

describe('inputs', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'inputs-'));
    mkdirSync(path.join(folder, 'sub', 'deep.zarr'), { recursive: true });
    for (const name of ['b.tif', 'a.png', 'notes.txt', 'sub/c.tif', 'sub/c_seg.tif'])
      writeFileSync(path.join(folder, name), '');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  const names = async (inputs: string[], pattern?: string) =>
    (await expandInputs(inputs, pattern)).map((file) => path.relative(folder, file).split(path.sep).join('/'));

  it('tell what is left out, but not the labels of images and the images of labels where both are paired', async () => {
    const both = mkdtempSync(path.join(os.tmpdir(), 'both-'));
    for (const name of ['c.tif', 'c_labels.tif', 'c_labels.png', 'thumb.png']) writeFileSync(path.join(both, name), '');
    const told = async (options: Parameters<typeof listInputs>[1]) => {
      const lines: string[] = [];
      const found = await listInputs([both], { ...options, log: (line) => lines.push(line) });
      return [found.map(({ name }) => name), lines.join('')];
    };
    const labels = 'c_labels.png (belongs to c.tif), c_labels.tif (belongs to c.tif)';
    assert.deepEqual(await told({}), [['c.tif'], `Left out: ${labels}, thumb.png (a thumbnail).`]);
    assert.deepEqual(await told({ pairs: true }), [['c.tif'], 'Left out: thumb.png (a thumbnail).']);
    const [, said] = await told({ role: 'labels', pairs: true });
    assert.equal(said, 'Left out: c_labels.png (the same labels as c_labels.tif), thumb.png (a thumbnail).');
    rmSync(both, { recursive: true });
  });

  it('are files, folders and patterns, sorted and without duplicates', async () => {
    assert.deepEqual(await names([folder]), ['a.png', 'b.tif']);
    assert.deepEqual(await names([path.join(folder, 'sub')]), ['sub/c.tif', 'sub/deep.zarr']);
    assert.deepEqual(await names([folder], '*.tif'), ['b.tif']);
    assert.deepEqual(await names([path.join(folder, '**', '*.{tif,png}')]), ['a.png', 'b.tif', 'sub/c.tif']);
    assert.deepEqual(await names([path.join(folder, 'a.png'), folder]), ['a.png', 'b.tif']);
    assert.deepEqual(await names([path.join(folder, 'sub', 'c?seg.tif')]), ['sub/c_seg.tif']);
  });

  it('that match nothing are an error that names them', async () => {
    await assert.rejects(expandInputs([path.join(folder, 'absent.tif')]), /absent\.tif/);
    await assert.rejects(expandInputs([]), UsageError);
  });

  it('are the fields of a plate, each under its own name', async () => {
    await writeFolder(memoryStore('plate', madePlate(3)), path.join(folder, 'plate', 'screen.zarr'));
    const fields = ['A/1/0', 'A/1/1', 'B/12/0'].map((key) => `plate/screen.zarr/${key}`);
    assert.deepEqual(await names([path.join(folder, 'plate')]), fields);
    const [field] = await expandInputs([path.join(folder, fields[1])]);
    assert.equal(stemOf(field), 'screen_A_1_1');
    const image = await openFile(field);
    assert.deepEqual([image.name, image.axes], ['screen.zarr/A/1/1', 'zyx']);
    await image.close();
  });

  it('may be links that lead nowhere, pipes and folders that look like files: each fails by itself', async () => {
    const strange = mkdtempSync(path.join(os.tmpdir(), 'strange-'));
    try {
      symlinkSync('loop.tif', path.join(strange, 'loop.tif'));
      symlinkSync('/nowhere.tif', path.join(strange, 'nowhere.tif'));
      assert.equal(spawnSync('mkfifo', [path.join(strange, 'pipe.tif')]).status, 0);
      mkdirSync(path.join(strange, 'folder.tif'));
      mkdirSync(path.join(strange, 'data.n5'));
      writeFileSync(path.join(strange, 'data.n5', 'attributes.json'), '{"n5":"2.5.1"}');
      const inputs = await expandInputs([strange]);
      assert.equal(inputs.length, 5);
      assert.deepEqual(await expandInputs([path.join(strange, 'data.n5')]), [path.join(strange, 'data.n5')]);
      assert.equal(ResultFolder.open(path.join(strange, 'out'), inputs.map(named)).nameOf(inputs[0]), 'data');
      for (const [name, expected] of [
        ['loop.tif', /a link to itself/],
        ['nowhere.tif', /There is no file/],
        ['pipe.tif', /is not a file/],
        ['folder.tif', /not a zarr/],
        ['data.n5', /N5.*OME-Zarr/],
      ] as const)
        await assert.rejects(openFile(path.join(strange, name)), (error) => {
          return error instanceof SamError && error.code !== 'internal' && expected.test(error.message);
        });
      assert.ok(!ResultFolder.open(path.join(strange, 'out'), inputs.map(named)).has(inputs[4], ['tiff']));
    } finally {
      rmSync(strange, { recursive: true, force: true });
    }
  });
  const named = (file: string) => ({ file, name: path.basename(file) });

  it('have stems without image extensions', () => {
    assert.deepEqual(['a/x.ome.tif', 'y.nii.gz', 'z.v2.png', 'w.zarr'].map(stemOf), ['x', 'y', 'z.v2', 'w']);
  });
});

describe('batch', () => {
  const quiet = () => new ProgressLine({ write: () => undefined });
  const item = (name: string, run: BatchItem['run'], exists = false): BatchItem => ({
    name,
    run,
    exists: () => exists,
  });

  it('goes on after a failing file and says what happened to each', async () => {
    const rows = await runBatch(
      [
        item('good', async () => '3 objects'),
        item('bad', async () => {
          throw new SamError('invalid_image', 'The file is empty.');
        }),
        item('old', async () => assert.fail('must not run'), true),
        item('last', async () => '1 object'),
      ],
      { progress: quiet() },
    );
    assert.deepEqual(
      rows.map(({ name, status, detail }) => [name, status, detail]),
      [
        ['good', 'done', '3 objects'],
        ['bad', 'failed', 'The file is empty.'],
        ['old', 'skipped', 'output exists'],
        ['last', 'done', '1 object'],
      ],
    );
  });

  it('works on several files at the same time, and tells of them in their order', async () => {
    let [running, most] = [0, 0];
    const said: number[] = [];
    const progress = new ProgressLine({ write: () => undefined });
    progress.update = ({ done }) => void said.push(done);
    const rows = await runBatch(
      [30, 1, 10, 1].map((delay, i) =>
        item(`file ${i}`, async ({ onProgress }) => {
          most = Math.max(most, ++running);
          onProgress?.({ done: 1, total: 2, message: 'half' });
          await new Promise((resolve) => setTimeout(resolve, delay));
          running--;
          if (i === 1) throw new SamError('invalid_image', 'It is empty.');
          return 'done';
        }),
      ),
      { atOnce: () => 3, progress },
    );
    assert.equal(most, 3);
    assert.deepEqual(
      rows.map(({ name, status }) => [name, status]),
      [
        ['file 0', 'done'],
        ['file 1', 'failed'],
        ['file 2', 'done'],
        ['file 3', 'done'],
      ],
    );
    assert.deepEqual(
      said,
      said.toSorted((a, b) => a - b),
    );
    assert.equal(said.at(-1), 4);
  });

  it('does not begin further files once it is interrupted', async () => {
    const controller = new AbortController();
    const rows = await runBatch(
      [
        item('first', async () => {
          controller.abort();
          controller.signal.throwIfAborted();
          return '';
        }),
        item('second', async () => assert.fail('must not run')),
      ],
      { signal: controller.signal, progress: quiet() },
    );
    assert.deepEqual(
      rows.map((row) => row.status),
      ['cancelled', 'cancelled'],
    );
  });

  it('exits with 1 if anything failed', () => {
    const log = console.log;
    console.log = () => undefined;
    try {
      const row = { name: 'a', detail: '', seconds: 1 };
      assert.equal(
        reportBatch([
          { ...row, status: 'done' },
          { ...row, status: 'skipped' },
        ]),
        0,
      );
      assert.equal(
        reportBatch([
          { ...row, status: 'done' },
          { ...row, status: 'failed' },
        ]),
        1,
      );
    } finally {
      console.log = log;
    }
  });

  it('tells the time left', () => {
    const written: string[] = [];
    let now = 0;
    const line = new ProgressLine(
      { write: (text: string) => written.push(text), isTTY: true, columns: 80 },
      false,
      () => now,
    );
    line.start();
    now = 10_000;
    line.update({ done: 1, total: 4, message: 'working' });
    assert.match(written[0], /25 %.*working, 30 s left/);
    assert.deepEqual([5, 75, 3700].map(duration), ['5 s', '1 min 15 s', '1 h 1 min']);
  });
});
