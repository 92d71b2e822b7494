import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { hasPython, NOTEBOOK_PACKAGES, pythonVenv, withPython } from '../support/python.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/**
 * The notebooks of docs/notebooks against the server of `npm start` with the real model. With SAVE_NOTEBOOKS=1 what the cells
 * give is kept in the notebooks: their pictures.
 */
const FOLDER = path.join('docs', 'notebooks');
const NOWHERE = '"http://127.0.0.1:8765", "..."';

interface Output {
  readonly output_type: string;
  readonly text?: string | readonly string[];
  readonly evalue?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

interface Cell {
  readonly cell_type: string;
  source: string;
  readonly outputs?: readonly Output[];
}

interface Notebook {
  readonly cells: readonly Cell[];
}

describe('notebooks', function () {
  this.timeout(1_800_000);
  let python: string;
  let server: RunningServer;
  let folder: string;
  before(async () => {
    if (!hasPython) return;
    [python, server] = await Promise.all([pythonVenv(NOTEBOOK_PACKAGES), startServer(['--port', '0'])]);
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-notebooks-'));
    await cp(path.join(FOLDER, 'data'), path.join(folder, 'data'), { recursive: true });
  });
  after(async () => {
    await server?.stop();
    if (folder) await rm(folder, { recursive: true });
  });

  /** @returns what its cells print, and how many pictures they show */
  async function run(name: string): Promise<{ said: string; pictures: number }> {
    const file = path.join(FOLDER, `${name}.ipynb`);
    const [given, done] = [`${name}.ipynb`, `${name}-done.ipynb`].map((one) => path.join(folder, one));
    const notebook: Notebook = JSON.parse(await readFile(file, 'utf8'));
    const [first] = notebook.cells.filter(({ cell_type }) => cell_type === 'code');
    assert.ok(first.source.includes(NOWHERE), 'the first cell says where the server is');
    const source = first.source;
    first.source = source.replace(NOWHERE, `"${server.origin}", "${server.token}"`);
    await writeFile(given, JSON.stringify(notebook));
    await promisify(execFile)(python, ['tests/integration/run_notebook.py', given, done]);
    first.source = source;
    const { cells }: Notebook = JSON.parse(await readFile(done, 'utf8'));
    const outputs = cells.flatMap((cell) => cell.outputs ?? []);
    for (const { output_type, evalue } of outputs) assert.notEqual(output_type, 'error', evalue);
    if (process.env.SAVE_NOTEBOOKS) {
      const kept = notebook.cells.map((cell, k) => ({ ...cells[k], metadata: {}, source: cell.source }));
      await writeFile(file, `${JSON.stringify({ ...notebook, cells: kept }, null, 1)}\n`);
    }
    return {
      said: outputs.map(({ text = '' }) => [text].flat().join('')).join('\n'),
      pictures: outputs.filter(({ data }) => data && 'image/png' in data).length,
    };
  }

  withPython('quick start: all objects at once, then by a click and a box', async () => {
    const { said, pictures } = await run('quick-start');
    const [, all, clicked] = /objects: (\d+) clicked: (\d+) uint32 \(256, 256\)/.exec(said) ?? assert.fail(said);
    assert.ok(Number(all) > 25 && Number(all) < 65, `${all} objects of 48`);
    assert.deepEqual([clicked, pictures], ['2', 2]);
  });

  withPython('automatic segmentation: modes, thresholds, measurements', async () => {
    const { said, pictures } = await run('automatic-segmentation');
    const [, ais, apg, large] =
      /objects: \{'ais': (\d+), 'apg': (\d+)\} large: (\d+)/.exec(said)?.map(Number) ?? assert.fail(said);
    for (const count of [ais, apg]) assert.ok(count > 25 && count < 65, `${count} objects of 48`);
    assert.ok(large < ais, `${large} large ones`);
    assert.equal(pictures, 3);
  });

  withPython('volume: an object is followed through the slices', async () => {
    const { said, pictures } = await run('volume');
    const [, iou] = /shape: \(8, 120, 122\) IoU with the reference: ([\d.]+)/.exec(said) ?? assert.fail(said);
    assert.ok(Number(iou) > 0.6, `IoU ${iou}`);
    assert.ok(pictures >= 2);
  });

  withPython('tracking: two cells are followed through time', async () => {
    const { said, pictures } = await run('tracking');
    assert.match(said, /^1 frames 0 to 4$/m);
    assert.match(said, /tracks: 2 files: 6 /);
    assert.equal(pictures, 2);
  });

  withPython('evaluation: scores of a segmentation by comparison with a reference', async () => {
    const { said, pictures } = await run('evaluation');
    const [, msa] = /^msa +([\d.]+)$/m.exec(said) ?? assert.fail(said);
    assert.ok(Number(msa) > 0.4, `msa ${msa}`);
    assert.equal(pictures, 2);
  });

  withPython('finetuning: a model trained on a part segments the rest', async () => {
    const { said, pictures } = await run('finetuning');
    const [, before, after] = /instances: ([\d.]+) before, ([\d.]+) after/.exec(said)?.map(Number) ?? assert.fail(said);
    assert.ok(after >= before, 'the best weights are kept, those of before among them');
    const [, f1] = /^f1 ([\d.]+)$/m.exec(said) ?? assert.fail(said);
    assert.ok(Number(f1) > 0.5, `f1 ${f1}`);
    assert.equal(pictures, 2);
  });
});
