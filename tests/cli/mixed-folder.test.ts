import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeLabelPng } from '../../src/io/results/png-writer.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { buildOnce } from '../support/start-server.js';

/** A folder as people have it, through automatic segmentation and evaluation. */
describe('a folder of mixed files', function () {
  this.timeout(900_000);
  let folder: string;
  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-mixed-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));
  const at = (...names: string[]) => path.join(folder, ...names);
  const micro = (...args: string[]) =>
    spawnSync(process.execPath, [path.join('dist', 'cli', 'micro-sam.js'), ...args], { encoding: 'utf8' });
  it('goes all the way without one wrong pair', async () => {
    await buildOnce();
    await mkdir(at('mixed'));
    const images = ['cells.tif', 'cells2.tif', 'cells10.tif', 'same.tif', 'same.png'];
    for (const [k, name] of images.entries()) {
      const { image } = cellPhantom({ seed: 50 + k, size: [120 + 4 * k, 128], cells: 3 });
      const grey = { data: Uint8Array.from(image.data, (value) => value >> 8), shape: image.shape };
      const bytes = name.endsWith('.png')
        ? encodeLabelPng({ ...grey, data: Uint32Array.from(grey.data) })
        : await encodeTiff(grey);
      await writeFile(at('mixed', name), bytes);
    }
    for (const name of ['._cells.tif', 'Thumbs.db', 'cells_thumb.png', 'notes.txt', 'cells_seg.npy', 'old.czi'])
      await writeFile(at('mixed', name), name.endsWith('czi') ? 'ZISRAWFILE' : 'no image');

    const automatic = ['automatic_segmentation', '-i', at('mixed'), '-o', at('auto'), '--points_per_side', '6'];
    const first = micro(...automatic, '--json');
    const rows: { name: string; status: string; detail: string }[] = JSON.parse(first.stdout);
    assert.deepEqual(
      rows.map(({ name, status }) => `${name} ${status}`),
      ['cells.tif done', 'cells2.tif done', 'cells10.tif done', 'old.czi failed', 'same.png done', 'same.tif done'],
    );
    assert.match(rows[3].detail, /Zeiss CZI.*OME-TIFF/);
    const results = ['cells', 'cells2', 'cells10', 'same_tif', 'same_png'].map((stem) => `${stem}_labels.tif`);
    assert.deepEqual((await readdir(at('auto'))).filter((name) => !name.startsWith('.')).sort(), [...results].sort());
    assert.match(micro(...automatic).stdout, /5 skipped, 1 failed/);
    const scores = (...args: string[]) =>
      (JSON.parse(micro('evaluate', ...args, '--json').stdout) as { rows: { scores: { msa: number } }[] }).rows;
    const itself = scores('--labels', at('auto'), '--predictions', at('auto'));
    assert.deepEqual(
      itself.map(({ scores: { msa } }) => msa),
      [1, 1, 1, 1, 1],
    );
  });
});
