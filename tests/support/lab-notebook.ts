import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from './annotator-page.js';
import { type Jupyter, serveLibraries } from './jupyter.js';
import { eventually } from './screen.js';

export interface Output {
  readonly output_type: string;
  readonly text?: string | readonly string[];
  readonly evalue?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface Cell {
  readonly cell_type: string;
  source: string | readonly string[];
  readonly execution_count?: number | null;
  readonly outputs?: readonly Output[];
}

export interface Notebook {
  readonly cells: readonly Cell[];
}

/** A notebook in a real JupyterLab with ImJoy's extension, run by its menu; what it gives is read from the file that it saves. */
export class LabNotebook {
  private constructor(
    readonly page: Page,
    private readonly file: string,
    private readonly annotator: AnnotatorPage,
  ) {}

  /** @param name of a file in Jupyter's folder */
  static async open(context: BrowserContext, jupyter: Jupyter, name: string): Promise<LabNotebook> {
    context.setDefaultTimeout(120_000);
    await serveLibraries(context);
    const page = await context.newPage();
    const annotator = await AnnotatorPage.over(page, jupyter.address(name));
    await page.waitForFunction(() => 'connectPlugin' in globalThis);
    // The extension knows the notebook's kernel when its button has a picture.
    await page.locator('.jp-NotebookPanel-toolbar img[src*="imjoy"]').waitFor({ state: 'attached' });
    return new LabNotebook(page, path.join(jupyter.folder, name), annotator);
  }

  /** Runs all cells, at most for so many seconds. @throws Error with what a cell raises */
  async runAll(seconds = 600): Promise<Notebook> {
    await this.page.getByRole('menuitem', { name: 'Run', exact: true }).click();
    await this.page.getByText('Run All Cells', { exact: true }).click();
    return eventually('all cells have run', () => this.saved(), seconds);
  }

  /** Runs the cell with this text until its output has that text. */
  async runUntil(code: string, text: RegExp): Promise<Notebook> {
    const cell = this.page.locator('.jp-CodeCell', { hasText: code });
    const said = async () => {
      await cell.locator('.cm-content').click();
      await this.page.keyboard.press('Control+Enter');
      await this.page.waitForTimeout(1000);
      return text.test(await cell.locator('.jp-OutputArea').innerText()) || undefined;
    };
    await eventually(`${text} below ${code}`, said, 180);
    return eventually('the notebook is saved', () => this.saved());
  }

  /** Clicks in the annotator's image below a cell, and keeps what was found. */
  async clickAndKeep(at: YX): Promise<void> {
    const viewer = await this.annotator.viewer();
    await (await viewer.frameElement()).scrollIntoViewIfNeeded();
    await this.annotator.click(at);
    await this.page.keyboard.press('c');
  }

  /** What is in the notebook, when all its cells have run. */
  private async saved(): Promise<Notebook | undefined> {
    await this.page.keyboard.press('Control+s');
    await this.page.waitForTimeout(1000);
    const text = await readFile(this.file, 'utf8');
    if (!text.trimEnd().endsWith('}')) return undefined; // it is being written
    const notebook: Notebook = JSON.parse(text);
    const code = notebook.cells.filter(({ cell_type }) => cell_type === 'code');
    for (const { outputs = [] } of code)
      for (const { output_type, evalue } of outputs) if (output_type === 'error') throw new Error(evalue);
    return code.every(({ execution_count }) => typeof execution_count === 'number') ? notebook : undefined;
  }
}
