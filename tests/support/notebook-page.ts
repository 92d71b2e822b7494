import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import { type Jupyter, type JupyterApp, serveLibraries } from './jupyter.js';
import { eventually } from './screen.js';

/** The code of the README in a notebook of a real Jupyter: an array goes out, its labels come back. */
const IMAGE = `import numpy as np
y, x = np.mgrid[:256, :256]
cell = np.hypot(y - 120, x - 84) < 30
image = np.where(cell, 220, 40).astype(np.uint8)
print("IMAGE", image.shape)`;

const RESULT = `labels = plugin.__dict__.pop("labels", None)
if labels is not None:
    both, either = ((labels > 0) & cell).sum(), ((labels > 0) | cell).sum()
    print("RESULT", type(labels).__name__, labels.dtype, labels.shape, len(np.unique(labels)) - 1, round(both / either, 3))`;

/** A run of the cell ends after its output: what it gave is told in a file. */
const COUNTED = 'pixels.txt';
const LABELS = /^ *self\.labels = .*\n/m;
const COUNT = `        print((self.labels > 0).sum(), file=open("${COUNTED}", "a"), flush=True)\n`;

const LAB = {
  cell: '.jp-Cell .cm-content',
  output: '.jp-OutputArea-output',
  // The extension knows the notebook's kernel when its button has a picture.
  extension: '.jp-NotebookPanel-toolbar img[src*="imjoy"]',
};
const PLACES: Readonly<Record<JupyterApp, typeof LAB>> = {
  jupyterlab: LAB,
  notebook: LAB,
  nbclassic: {
    cell: '.code_cell .CodeMirror',
    output: '.output_area',
    extension: '#maintoolbar-container #app img[src*="imjoy"]',
  },
};

export class NotebookPage {
  /** What went wrong in the annotator; Jupyter has errors of its own. */
  readonly errors: string[] = [];
  private readonly log: string[] = [];

  private constructor(
    readonly page: Page,
    private readonly places: typeof LAB,
    private readonly counted: string,
    origin: string,
  ) {
    page.on('pageerror', ({ message, stack = '' }) => (stack.includes(origin) ? this.errors : this.log).push(message));
    page.on('console', (message) => this.log.push(message.text()));
  }

  /** @param origin of the server, whose address stands in the README's code */
  static async open(context: BrowserContext, jupyter: Jupyter, app: JupyterApp, origin: string): Promise<NotebookPage> {
    const readme = await readFile('README.md', 'utf8');
    const code = /```python\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    if (!code.includes(NOWHERE)) throw new Error(`The README has no code with ${NOWHERE}.`);
    context.setDefaultTimeout(120_000);
    await serveLibraries(context);
    const places = PLACES[app];
    const notebook = new NotebookPage(await context.newPage(), places, path.join(jupyter.folder, COUNTED), origin);
    const { page } = notebook;
    const cell = code.replace(NOWHERE, origin).replace(LABELS, (line) => line + COUNT);
    await page.goto(jupyter.notebook('cells.ipynb', [IMAGE, cell, RESULT]));
    await page.waitForFunction(() => 'connectPlugin' in globalThis);
    await page.locator(places.extension).waitFor({ state: 'attached' });
    await notebook.untilItSays(0, /IMAGE \(/); // the classic notebook runs nothing before it has its kernel
    return notebook;
  }

  /** Runs the README's code. @returns what is printed of its labels */
  async segment(): Promise<string> {
    await this.run(1);
    // The annotator stands in the cell's output; what it does it does while the kernel is free.
    return this.untilItSays(2, /RESULT \w/);
  }

  /** Runs a cell again and again. @returns the output with this text */
  private async untilItSays(cell: number, text: RegExp): Promise<string> {
    const output = this.page.locator(this.places.output, { hasText: text });
    const said = async () => {
      await this.run(cell);
      await this.page.waitForTimeout(1000);
      return (await output.count()) > 0 || undefined;
    };
    await eventually(`${text} in cell ${cell}`, said, 180).catch((error: Error) => {
      throw new Error(`${error.message}\n${[...this.errors, ...this.log].join('\n')}`);
    });
    return (await output.first().textContent()) ?? '';
  }

  /**
   * Runs the README's code and nothing else: Jupyter keeps some of the page each time that another cell becomes the active one.
   *
   * @returns how many pixels its labels have
   */
  async repeat(): Promise<number> {
    const before = await this.counts();
    await this.run(1);
    await eventually(
      'the labels in Python',
      async () => (await this.counts()).length > before.length || undefined,
      180,
    );
    return (await this.counts())[before.length];
  }

  private async counts(): Promise<number[]> {
    const lines = await readFile(this.counted, 'utf8').catch(() => '');
    return lines.split('\n').slice(0, -1).map(Number);
  }

  /** Waits until the annotator that stands in the notebook shows this image, by the viewer beside it. */
  async shows(image: string): Promise<void> {
    const panel = this.page.frames().find((frame) => /\/plugin\/index\.html/.test(frame.url()) && !frame.isDetached());
    if (!panel) throw new Error('There is no panel in the notebook.');
    await eventually(
      `the panel shows ${image}`,
      async () => {
        const text = await panel.locator('body').innerText();
        return (text.includes(image) && !text.includes('Reopen the viewer')) || undefined;
      },
      30,
    );
  }

  private async run(cell: number): Promise<void> {
    await this.page.locator(this.places.cell).nth(cell).click();
    await this.page.keyboard.press('Control+Enter');
  }
}

const NOWHERE = 'http://127.0.0.1:8765';
