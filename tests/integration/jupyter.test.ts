import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { Browser } from 'playwright-core';
import { launchBrowser } from '../support/browser.js';
import { JUPYTER_PACKAGES, type Jupyter, serveLibraries, startJupyter } from '../support/jupyter.js';
import { hasPython, pythonVenv, withPython } from '../support/python.js';
import { eventually } from '../support/screen.js';
import { type RunningServer, startServer } from '../support/start-server.js';

/** The code of the README in a notebook of a real JupyterLab: an array goes out, its labels come back. */
const IMAGE = `import numpy as np
y, x = np.mgrid[:256, :256]
cell = np.hypot(y - 120, x - 84) < 30
image = np.where(cell, 220, 40).astype(np.uint8)`;

const RESULT = `labels = getattr(plugin, "labels", None)
if labels is not None:
    both, either = ((labels > 0) & cell).sum(), ((labels > 0) | cell).sum()
    print("RESULT", type(labels).__name__, labels.dtype, labels.shape, labels.max(), round(both / either, 3))`;

describe('in Jupyter', function () {
  this.timeout(900_000);
  let browser: Browser;
  let jupyter: Jupyter;
  let server: RunningServer;
  before(async () => {
    if (!hasPython) return;
    const python = await pythonVenv(JUPYTER_PACKAGES);
    [browser, jupyter, server] = await Promise.all([
      launchBrowser(),
      startJupyter(python),
      startServer(['--port', '0']),
    ]);
  });
  after(async () => {
    await browser?.close();
    await Promise.all([jupyter?.stop(), server?.stop()]);
  });

  withPython('opens in the notebook, takes a numpy array and a point, and gives labels back', async () => {
    const readme = await readFile('README.md', 'utf8');
    const code = /```python\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    assert.ok(code.includes('http://127.0.0.1:8765'), 'the README has the code');
    const context = await browser.newContext({ viewport: { width: 1500, height: 1300 } });
    context.setDefaultTimeout(120_000);
    await serveLibraries(context);
    const page = await context.newPage();
    const errors: string[] = [];
    const log: string[] = [];
    page.on('pageerror', ({ message }) => errors.push(message));
    page.on('console', (message) => log.push(message.text()));
    await page.goto(
      jupyter.notebook('cells.ipynb', [IMAGE, code.replace('http://127.0.0.1:8765', server.origin), RESULT]),
    );
    await page.waitForFunction(() => 'connectPlugin' in globalThis);
    // The extension knows the notebook's kernel when its button has a picture.
    await page.locator('.jp-NotebookPanel-toolbar img[src*="imjoy"]').waitFor({ state: 'attached' });
    await page.locator('.jp-Cell').first().locator('.cm-content').click();
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.press('Shift+Enter');
    // The annotator stands in the cell's output; what it does it does while the kernel is free.
    const result = page.locator('.jp-OutputArea-output', { hasText: /RESULT \w/ });
    const computed = async () => {
      await page.keyboard.press('Control+Enter');
      await page.waitForTimeout(1000);
      return (await result.count()) > 0 || undefined;
    };
    await eventually('the labels in Python', computed, 120)
      .catch((error: Error) => assert.fail(`${error.message}\n${[...errors, ...log].join('\n')}`))
      .finally(() => page.screenshot({ path: 'dist/screenshots/jupyter.png' }));
    const said = (await result.textContent()) ?? '';
    const [, type, dtype, shape, count, iou] = /RESULT (\w+) (\w+) (\(.*\)) (\d+) ([\d.]+)/.exec(said) ?? [];
    assert.deepEqual([type, dtype, shape, count], ['ndarray', 'uint32', '(256, 256)', '1'], said);
    // Where the object is; how well the model outlines is measured on real images.
    assert.ok(Number(iou) > 0.5, `IoU ${iou}`);
    assert.deepEqual(errors, []);
    await context.close();
  });
});
