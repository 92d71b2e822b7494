import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { BrowserContext } from 'playwright-core';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { launchProfile, serveFolders } from '../support/browser.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { dropPaths } from '../support/drop.js';
import { mobileSamState } from '../support/mobile-sam-checkpoint.js';
import { torchPython } from '../support/python.js';
import { type RunningServer, startServer } from '../support/start-server.js';
import { type Saved, torchZip } from '../support/torch-writer.js';

/** As micro-sam's training writes it, with MobileSAM's weights: 40 MB, rewritten by PyTorch itself where there is one. */
function writeCheckpoint(file: string): void {
  const state = new Map([...mobileSamState()].map(([name, value]): [string, Saved] => [`sam.${name}`, value]));
  writeFileSync(file, torchZip(new Map<string, Saved>([['model_state', state]])));
  const python = torchPython();
  if (!python) return;
  execFileSync(python, [
    '-c',
    'import sys, torch; torch.save(torch.load(sys.argv[1]), sys.argv[2])',
    file,
    `${file}.new`,
  ]);
  renameSync(`${file}.new`, file);
}

describe('a checkpoint of PyTorch (thorough)', function () {
  this.timeout(4 * MINUTES * 1000);
  const story = browserStory();
  const cell = cellPhantom().centers[3] as YX;
  let server: RunningServer;
  let browser: BrowserContext;
  let port = '0';
  const dataHome = () => path.join(story.folder, 'data');

  async function start(...args: string[]): Promise<AnnotatorPage> {
    server = await startServer(['--port', port, ...args], { dataHome: dataHome() });
    ({ port } = new URL(server.url));
    browser = await launchProfile(path.join(story.folder, 'profile'));
    browser.setDefaultTimeout(400_000);
    return AnnotatorPage.over(await browser.newPage(), server.url);
  }

  async function stop(): Promise<void> {
    await browser?.close();
    await server?.stop();
  }

  async function modelList(annotator: AnnotatorPage) {
    const panel = await annotator.panel();
    await annotator.openSection('image');
    const settings = panel.locator('details.image-settings');
    if ((await settings.getAttribute('open')) === null) await settings.locator('> summary').click();
    const list = panel.locator('[data-encoding="model"]');
    return {
      panel,
      list,
      names: () => list.locator('option').allTextContents(),
      gone: (name: string) =>
        panel.waitForFunction(
          (gone) => !document.querySelector(`[data-encoding="model"] option[value="${gone}"]`),
          name,
        ),
      inUse: (name: string) =>
        panel.waitForFunction(
          (wanted) => document.querySelector<HTMLSelectElement>('[data-encoding="model"]')?.value === wanted,
          name,
        ),
    };
  }

  async function segmentsOne(annotator: AnnotatorPage): Promise<void> {
    await annotator.until('an embedding', (state) => state.embedding === 'ready' && state.task === null, 400);
    await annotator.click(cell);
    await annotator.until('a mask', (state) => state.layers.current_object.count === 1, 400);
    await annotator.call('clear_annotations');
  }

  after(stop);

  it('dropped on the page is a model at once, stays over a restart, works by command line and RPC, and is deleted', async () => {
    const file = path.join(story.folder, 'my_cells.pt');
    writeCheckpoint(file);
    const bytes = readFileSync(file);
    writeFileSync(path.join(story.folder, 'cut.pt'), bytes.subarray(0, bytes.length >> 1));
    writeFileSync(path.join(story.folder, 'page.pth'), '<html>Please sign in</html>');

    let annotator = await start();
    await annotator.ready();
    for (const [name, message] of [
      ['cut.pt', /cut\.pt is not a readable zip archive.*complete copy/],
      ['page.pth', /page\.pth is a web page/],
    ] as const) {
      await dropPaths(annotator, [path.join(story.folder, name)]);
      const { message: shown } = await annotator.until(`a word about ${name}`, (state) =>
        message.test(state.message?.text ?? ''),
      );
      assert.equal(shown?.level, 'error');
    }
    const begun = Date.now();
    await dropPaths(annotator, [file]);
    await annotator.until('the model in use', (state) => /my_cells is imported/.test(state.message?.text ?? ''), 400);
    console.log(`      usable after ${((Date.now() - begun) / 1000).toFixed(1)} s`);
    await (await modelList(annotator)).inUse('my_cells');
    await segmentsOne(annotator);
    await annotator.screenshot('import-model');
    await stop();

    // The same file on the command line, and a server that knows what that made.
    await promisify(execFile)(process.execPath, ['dist/cli/micro-sam.js', 'import_model', file, '-n', 'of_the_lab'], {
      env: { ...process.env, XDG_DATA_HOME: dataHome() },
    });
    annotator = await start('-m', 'of_the_lab');
    const { list, names, inUse, gone, panel } = await modelList(annotator);
    await inUse('of_the_lab');
    await segmentsOne(annotator);
    assert.ok((await names()).includes('my_cells'));
    await list.selectOption('my_cells');
    await inUse('my_cells');
    await segmentsOne(annotator);

    const site = await serveFolders([['/', story.folder]]);
    try {
      const told = await annotator.call<{ name: string }>('import_model', `${site.url}my_cells.pt`, { name: 'by_rpc' });
      assert.deepEqual(told, {
        name: 'by_rpc',
        description: 'my_cells.pt, imported from a checkpoint.',
        licence: null,
        instances: false,
      });
    } finally {
      await site.close();
    }
    await panel.waitForSelector('[data-encoding="model"] option[value="by_rpc"]', { state: 'attached' });
    await annotator.call('delete_model', 'by_rpc');
    await assert.rejects(annotator.call('delete_model', 'vit_t'), /not_found: There is no imported model vit_t/);
    await gone('by_rpc');

    await list.selectOption('my_cells');
    await inUse('my_cells');
    await panel.locator('.image-settings button', { hasText: 'Delete' }).click();
    await inUse('msi_lm');
    await gone('my_cells');
    assert.deepEqual(await panel.evaluate(keptFiles), []);
    assert.deepEqual(annotator.outside, []);
  });
});

/** What the browser has of imported models. */
async function keptFiles(): Promise<string[]> {
  const found: string[] = [];
  const walk = async (folder: FileSystemDirectoryHandle) => {
    for await (const [name, handle] of folder.entries())
      if (handle.kind === 'directory') await walk(handle as FileSystemDirectoryHandle);
      else found.push(name);
  };
  await walk(await (await navigator.storage.getDirectory()).getDirectoryHandle('micro-sam-imported'));
  return found;
}
