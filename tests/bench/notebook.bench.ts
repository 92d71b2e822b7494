import type { CDPSession } from 'playwright-core';
import { BYTECODE, launchBrowser, NO_GPU } from '../support/browser.js';
import { JUPYTER_PACKAGES, startJupyter } from '../support/jupyter.js';
import { NotebookPage } from '../support/notebook-page.js';
import { existingVenv } from '../support/python.js';
import { startServer } from '../support/start-server.js';
import { atMost, type Figure, reported } from './figure.js';

/**
 * The README's cell run over and over in a real JupyterLab (where the integration tests have made an environment for it): what
 * lives in the notebook's page, with the annotator in it, at the end over what lived after the first runs; scripts run as
 * bytecode, see the soak bench. `NOTEBOOK_RUNS` of them (100).
 */
export default async (): Promise<Figure[]> => {
  const runs = Number(process.env.NOTEBOOK_RUNS ?? 100);
  const python = existingVenv(JUPYTER_PACKAGES);
  if (!python) return [];
  const [browser, jupyter, server] = await Promise.all([
    launchBrowser([...NO_GPU, `--js-flags=${BYTECODE.join(' ')}`]),
    startJupyter(python),
    startServer(['--port', '0']),
  ]);
  try {
    const context = await browser.newContext({ viewport: { width: 1500, height: 1300 } });
    const notebook = await NotebookPage.open(context, jupyter, 'jupyterlab', server.origin);
    const tools = await context.newCDPSession(notebook.page);
    const readings: number[] = [];
    for (let run = 1; run <= runs; run++) {
      const pixels = await notebook.repeat();
      if (pixels < 1000) throw new Error(`Run ${run} gave labels of ${pixels} pixels.`);
      const reading = await living(tools);
      readings.push(reading.all);
      console.error(run, JSON.stringify(reading));
    }
    const some = Math.max(1, Math.floor(runs / 10));
    const least = (part: readonly number[]) => Math.min(...part);
    return [
      atMost('notebook_growth', least(readings.slice(-some)) / least(readings.slice(some, 2 * some)), 'x', 1.05),
      reported('notebook_runs', runs, 'runs'),
    ];
  } finally {
    await browser.close();
    await Promise.all([jupyter.stop(), server.stop()]);
  }
};

/** What lives after a collection, in MB: of scripts, of the browser for the page, and in buffers; and how much of the page there is. */
async function living(tools: CDPSession) {
  for (let i = 0; i < 3; i++) await tools.send('HeapProfiler.collectGarbage');
  const { usedSize, embedderHeapUsedSize, backingStorageSize } = await tools.send('Runtime.getHeapUsage');
  const counts = await tools.send('Memory.getDOMCounters');
  return { all: (usedSize + embedderHeapUsedSize + backingStorageSize) / 1e6, ...counts };
}
