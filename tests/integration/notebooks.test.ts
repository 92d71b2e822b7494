import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { launchBrowser } from '../support/browser.js';
import { JUPYTER_PACKAGES, type Jupyter, startJupyter } from '../support/jupyter.js';
import { LabNotebook, type Notebook } from '../support/lab-notebook.js';
import { hasPython, pythonVenv, withPython } from '../support/python.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/**
 * The notebooks of docs/notebooks in a real JupyterLab with ImJoy's extension, run by its menu, against the server of `npm start`
 * with the real model. With SAVE_NOTEBOOKS=1 what the cells give is kept in the notebooks: their pictures.
 */
const FOLDER = path.join('docs', 'notebooks');
const NOWHERE = 'http://127.0.0.1:8765';

describe('notebooks', function () {
  this.timeout(1_800_000);
  let browser: Browser;
  let server: RunningServer;
  let jupyter: Jupyter;
  before(async () => {
    if (!hasPython) return;
    const python = await pythonVenv(JUPYTER_PACKAGES);
    [browser, server, jupyter] = await Promise.all([
      launchBrowser(),
      startServer(['--port', '0']),
      startJupyter(python),
    ]);
    await cp(path.join(FOLDER, 'data'), path.join(jupyter.folder, 'data'), { recursive: true });
  });
  after(async () => {
    await browser?.close();
    await Promise.all([server?.stop(), jupyter?.stop()]);
  });

  /**
   * @param further what is done when all cells have run
   * @returns what its cells print, and how many pictures they show
   */
  async function run(
    name: string,
    further?: (lab: LabNotebook) => Promise<Notebook>,
  ): Promise<{ said: string; pictures: number }> {
    const file = path.join(FOLDER, `${name}.ipynb`);
    const notebook: Notebook = JSON.parse(await readFile(file, 'utf8'));
    const given = JSON.stringify(notebook, (key, value) => (key === 'outputs' ? [] : value));
    assert.ok(given.includes(NOWHERE), 'it says where the server is');
    const here = given.replaceAll(NOWHERE, server.origin).replace('"...\\"', `"${server.token}\\"`);
    await writeFile(
      path.join(jupyter.folder, `${name}.ipynb`),
      here.replace(/"execution_count":\d+/g, '"execution_count":null'),
    );
    const context = await browser.newContext({ viewport: { width: 1500, height: 1300 } });
    const lab = await LabNotebook.open(context, jupyter, `${name}.ipynb`);
    const all = await lab.runAll();
    const { cells } = further ? await further(lab) : all;
    const shown = lab.page.locator('.jp-OutputArea img');
    await shown.last().scrollIntoViewIfNeeded();
    await lab.page.screenshot({ path: `dist/screenshots/notebook-${name}.png` });
    const drawn = await shown.evaluateAll((images) => images.map((image) => (image as HTMLImageElement).naturalWidth));
    const outputs = cells.flatMap((cell) => cell.outputs ?? []);
    const pictures = outputs.filter(({ data }) => data && 'image/png' in data).length;
    assert.ok(drawn.length === pictures && Math.min(...drawn) > 150, `pictures on screen, ${drawn.join()} wide`);
    await context.close();
    if (process.env.SAVE_NOTEBOOKS) {
      let count = 0;
      const kept = notebook.cells.map((cell, k) => ({
        ...cells[k],
        // A cell may have been run several times, and what opens a window does so in a kernel of its own time.
        ...(cell.cell_type === 'code' && {
          execution_count: ++count,
          outputs: cells[k].outputs?.filter(({ data }) => !data || 'image/png' in data),
        }),
        metadata: {},
        source: cell.source,
      }));
      await writeFile(file, `${JSON.stringify({ ...notebook, cells: kept }, null, 1)}\n`);
    }
    return { said: outputs.map(({ text = '' }) => [text].flat().join('')).join('\n'), pictures };
  }

  withPython('quick start: all objects at once, then by a click and a box', async () => {
    const { said, pictures } = await run('quick-start');
    const [, all, clicked] = /objects: (\d+) clicked: (\d+) uint32 \(256, 256\)/.exec(said) ?? assert.fail(said);
    assert.ok(Number(all) > 25 && Number(all) < 65, `${all} objects of 48`);
    assert.deepEqual([clicked, pictures], ['2', 2]);
  });

  withPython('the annotator in a cell: what is kept by a script and by hand is an array', async () => {
    const { said, pictures } = await run('annotator', async (lab) => {
      await lab.runUntil('plugin.labels', /objects: 1 /);
      await lab.clickAndKeep([169, 216]);
      await lab.page.screenshot({ path: 'dist/screenshots/notebook-annotator-by-hand.png' });
      return lab.runUntil('plugin.labels', /objects: 2 /);
    });
    assert.match(said, /^objects: 2 uint32 \(256, 256\)$/m);
    assert.equal(pictures, 2);
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
