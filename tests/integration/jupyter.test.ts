import assert from 'node:assert/strict';
import type { Browser } from 'playwright-core';
import { launchBrowser } from '../support/browser.js';
import { JUPYTER_PACKAGES, type Jupyter, type JupyterApp, startJupyter } from '../support/jupyter.js';
import { NotebookPage } from '../support/notebook-page.js';
import { hasPython, pythonVenv, withPython } from '../support/python.js';
import { type RunningServer, startServer } from '../support/start-server.js';

const TITLES: Readonly<Record<JupyterApp, string>> = {
  jupyterlab: 'JupyterLab',
  notebook: 'Notebook 7',
  nbclassic: 'the classic notebook',
};

describe('in Jupyter', function () {
  this.timeout(900_000);
  let browser: Browser;
  let python: string;
  let server: RunningServer;
  let jupyter: Jupyter | undefined;
  before(async () => {
    if (!hasPython) return;
    python = await pythonVenv(JUPYTER_PACKAGES);
    [browser, server] = await Promise.all([launchBrowser(), startServer(['--port', '0'])]);
  });
  afterEach(() => jupyter?.stop());
  after(() => Promise.all([browser?.close(), server?.stop()]));

  for (const app of Object.keys(TITLES) as JupyterApp[])
    withPython(
      `${TITLES[app]}: takes a numpy array and a point, and gives labels back, each time the cell is run`,
      async () => {
        jupyter = await startJupyter(python, app);
        const context = await browser.newContext({ viewport: { width: 1500, height: 1300 } });
        const notebook = await NotebookPage.open(context, jupyter, app, server.origin);
        for (let time = 0; time < 2; time++) {
          const said = await notebook.segment();
          await notebook
            .shows('cells')
            .finally(() => notebook.page.screenshot({ path: `dist/screenshots/${app}.png` }));
          const [, type, dtype, shape, count, iou] = /RESULT (\w+) (\w+) (\(.*\)) (\d+) ([\d.]+)/.exec(said) ?? [];
          assert.deepEqual([type, dtype, shape, count], ['ndarray', 'uint32', '(256, 256)', '1'], said);
          // Where the object is; how well the model outlines is measured on real images.
          assert.ok(Number(iou) > 0.5, `IoU ${iou}`);
        }
        assert.deepEqual(notebook.errors, []);
        await context.close();
      },
    );
});
