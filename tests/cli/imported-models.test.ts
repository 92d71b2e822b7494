import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { importedModel, importedModels, importModel, removeImported } from '../../src/cli/imported-models.js';
import { scriptClient } from '../../src/cli/serve/script-client.js';
import { ServedFiles } from '../../src/cli/serve/served-files.js';
import { servedModel } from '../../src/cli/serve/server.js';
import { findModel, ownModels } from '../../src/cli/train/trained-models.js';
import { trainingHere } from '../../src/cli/train/training-process.js';
import { createMaskDecoder } from '../../src/model/mask-decoder.js';
import { loadModelFile } from '../../src/model/model-file.js';
import { fetchBytesInNode } from '../../src/model/node-runtime.js';
import { forgetModel, resolveModel } from '../../src/model/registry.js';
import { brightWorker } from '../support/bright-worker.js';
import { familyModels } from '../support/declared-models.js';
import { mobileSamState } from '../support/mobile-sam-checkpoint.js';
import { realWorker, sharedRuntime } from '../support/real-worker.js';
import { floatTensor, type Saved, torchZip } from '../support/torch-writer.js';
import { randomUnetrWeights } from '../support/unetr-weights.js';

describe('imported models', function () {
  this.timeout(600_000);
  let folder: string;
  const earlier = process.env.XDG_DATA_HOME;
  const at = (...parts: string[]) => path.join(folder, ...parts);

  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-import-'));
    process.env.XDG_DATA_HOME = at('data');
    mkdirSync(at('my_cells'));
    const decoder = [...randomUnetrWeights(false)].map(([name, { dims, data }]): [string, Saved] => [
      name,
      floatTensor(dims, data),
    ]);
    const model = [...mobileSamState()].map(([name, value]): [string, Saved] => [`sam.${name}`, value]);
    writeFileSync(at('my_cells', 'best.pt'), torchZip(new Map<string, Saved>([['model_state', new Map(model)]])));
    writeFileSync(at('my_cells', 'decoder.pt'), torchZip(new Map(decoder)));
  });

  after(() => {
    if (earlier === undefined) delete process.env.XDG_DATA_HOME;
    else process.env.XDG_DATA_HOME = earlier;
    for (const name of ['my_cells', 'vit_b_lm']) forgetModel(name);
    rmSync(folder, { recursive: true });
  });

  it('come from a checkpoint of a training, are found by its name, and open', async () => {
    const told: number[] = [];
    const { card } = await importModel(at('my_cells', 'best.pt'), {
      decoderFile: at('my_cells', 'decoder.pt'),
      onProgress: ({ done, total }) => told.push(done / total),
    });
    assert.equal(card.name, 'my_cells');
    assert.equal(card.type, 'vit_t');
    assert.deepEqual(importedModels(), ['my_cells']);
    assert.ok(told.length > 10 && told.every((part, i) => part <= 1 && part >= (told[i - 1] ?? 0)));
    const model = findModel('my_cells');
    assert.equal(path.basename(model.instances?.url ?? ''), 'instances.onnx');
    const bytes = await loadModelFile(model.decoder, { fetchBytes: fetchBytesInNode });
    const decoder = await createMaskDecoder(await sharedRuntime(), bytes);
    assert.equal(decoder.rewrite, 'fast');
    await decoder.dispose();
  });

  it('have the settings that micro-sam recommends for their name, and may be in half precision', async () => {
    const whole = statSize(at('data', 'micro-sam', 'imported', 'my_cells', 'encoder.onnx'));
    const { service, close } = script();
    const told: number[] = [];
    const file = at('my_cells', 'best.pt');
    const progress = ({ done, total }: { done: number; total: number }) => void told.push(done / total);
    assert.deepEqual(await service.import_model(file, { name: 'vit_b_lm', half: true, progress }), {
      name: 'vit_b_lm',
      description: 'best.pt, imported from a checkpoint.',
      licence: null,
      instances: false,
    });
    assert.equal(told.at(-1), 1);
    assert.ok((await service.get_model_names()).includes('vit_b_lm'));
    await close();
    assert.equal(findModel('vit_b_lm').defaults?.centerDistanceThreshold, 0.4);
    const half = statSize(at('data', 'micro-sam', 'imported', 'vit_b_lm', 'encoder.onnx'));
    assert.ok(half < 0.55 * whole, `${half} of ${whole} bytes`);
  });

  it('say of which version their card is; one of a newer program is neither read nor replaced', async () => {
    const file = at('data', 'micro-sam', 'imported', 'my_cells', 'model.json');
    const text = readFileSync(file, 'utf8');
    const { format, ...first } = JSON.parse(text);
    assert.equal(format, 1);
    writeFileSync(file, JSON.stringify(first));
    assert.equal(importedModel('my_cells')?.name, 'my_cells');
    const newer = JSON.stringify({ ...first, format: 2 });
    writeFileSync(file, newer);
    assert.throws(() => importedModel('my_cells'), { code: 'model_unavailable', message: /newer version/ });
    await assert.rejects(importModel(at('my_cells', 'best.pt')), { code: 'unsupported', message: /newer version/ });
    assert.equal(readFileSync(file, 'utf8'), newer);
    writeFileSync(file, text);
  });

  it('stand with their addresses for the page of a server, however they were made', () => {
    const log: string[] = [];
    mkdirSync(at('data', 'micro-sam', 'trained', 'broken'), { recursive: true });
    writeFileSync(at('data', 'micro-sam', 'trained', 'broken', 'model.json'), '{');
    assert.deepEqual(
      ownModels((line) => log.push(line)).map(({ name }) => name),
      ['my_cells', 'vit_b_lm'],
    );
    assert.match(log.join(), /The model broken is left out: The card of a/);
    const files = new ServedFiles('secret');
    const { encoder, decoder } = servedModel(findModel('my_cells'), files, 'http://here');
    assert.match(encoder.url, /^http:\/\/here\/files\/[0-9a-f]{32}\/encoder\.onnx$/);
    assert.match(encoder.digest ?? '', /^[0-9a-f]{64}$/);
    assert.match(decoder.url, /decoder\.onnx$/);
    const builtIn = servedModel(resolveModel('msi_lm'), files, 'http://here');
    assert.deepEqual(builtIn, resolveModel('msi_lm'));
  });

  it('replace nothing but imported models, and stay in their folder', async () => {
    const file = at('my_cells', 'best.pt');
    mkdirSync(at('precious', 'encoder.onnx_notes'), { recursive: true });
    for (const name of ['cells.tif', 'encoder.onnx', 'model.json']) writeFileSync(at('precious', name), name);
    writeFileSync(at('a_file'), 'mine');
    const before = readdirSync(folder, { recursive: true }).sort();
    for (const place of ['precious', '.', 'a_file'])
      await assert.rejects(importModel(file, { folder: at(place) }), { code: 'invalid_argument' });
    const { service, close } = script();
    for (const name of ['..', '.', '-x', '.hidden'])
      await assert.rejects(service.import_model(file, { name }), {
        message: /^invalid_argument: .*begins with a letter/,
      });
    for (const name of ['msi_lm', 'mine']) {
      mkdirSync(at('data', 'micro-sam', 'trained', 'mine'), { recursive: true });
      writeFileSync(at('data', 'micro-sam', 'trained', 'mine', 'model.json'), '{}');
      await assert.rejects(service.import_model(file, { name }), { message: /not an imported one/ });
    }
    await close();
    rmSync(at('data', 'micro-sam', 'trained', 'mine'), { recursive: true });
    assert.deepEqual(readdirSync(folder, { recursive: true }).sort(), before);
    assert.equal(readFileSync(at('precious', 'cells.tif'), 'utf8'), 'cells.tif');
  });

  it('of two checkpoints that are called alike are two, and of one checkpoint one', async () => {
    const names = async (...files: string[]) => {
      const given: string[] = [];
      for (const file of files) given.push((await importModel(file)).card.name);
      return given;
    };
    for (const run of ['1', '2']) mkdirSync(at(run));
    const bytes = readFileSync(at('my_cells', 'best.pt'));
    writeFileSync(at('1', '..cells.pt'), bytes);
    const other = [...mobileSamState()].map(([name, value]): [string, Saved] => [name, value]);
    writeFileSync(at('2', 'cells.pt'), torchZip(new Map(other)));
    const [first, second] = [at('1', '..cells.pt'), at('2', 'cells.pt')];
    assert.deepEqual(await names(first, second, first, second), ['cells', 'cells_2', 'cells', 'cells_2']);
    for (const name of ['cells', 'cells_2']) assert.ok(await removeImported(name));
  });

  it('may be in any folder, and are deleted by name', async () => {
    await importModel(at('my_cells', 'best.pt'), { folder: at('elsewhere') });
    assert.deepEqual(readdirSync(at('elsewhere')).sort(), ['decoder.onnx', 'encoder.onnx', 'model.json']);
    assert.equal(findModel(at('elsewhere')).encoder.url, at('elsewhere', 'encoder.onnx'));
    assert.equal(await removeImported('my_cells'), true);
    assert.equal(await removeImported('my_cells'), false);
    assert.throws(() => findModel('../imported/vit_b_lm'), { code: 'model_unavailable' });
  });

  it('come from an address, too, of which nothing but the model is kept', async () => {
    const bytes = readFileSync(at('my_cells', 'best.pt'));
    const server = createServer((_, response) => response.end(bytes));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/fetched.pt?token=1`;
      const { card } = await importModel(address);
      assert.deepEqual([card.name, card.source], ['fetched', address]);
    } finally {
      server.close();
    }
    assert.ok(await removeImported('fetched'));
    const left = readdirSync(at('data', 'micro-sam'), { recursive: true, withFileTypes: true });
    assert.deepEqual(
      left.filter((entry) => entry.isFile() && entry.parentPath.includes('downloads')),
      [],
    );
  });

  it('may be declared by a JSON file with ONNX files of another exporter beside it', async () => {
    const sam2 = familyModels()[1];
    mkdirSync(at('sam2'));
    writeFileSync(at('sam2', 'encoder.onnx'), sam2.encoder);
    writeFileSync(at('sam2', 'masks.onnx'), sam2.decoder);
    const declared = { ...sam2.declaration, name: 'my_sam2', encoder: 'encoder.onnx', decoder: 'masks.onnx' };
    writeFileSync(
      at('my_sam2.json'),
      JSON.stringify({ ...declared, encoder: 'sam2/encoder.onnx', decoder: 'sam2/masks.onnx' }),
    );
    writeFileSync(at('sam2', 'wrong.json'), JSON.stringify({ ...declared, family: 'efficientvit-sam' }));
    const there = findModel(at('my_sam2.json'));
    assert.equal(there.encoder.url, at('sam2', 'encoder.onnx'));
    forgetModel('my_sam2');
    await assert.rejects(importModel(at('sam2', 'wrong.json')), { message: /nothing is known of high_res_feats_0/ });
    assert.ok(!importedModels().includes('my_sam2'));

    const { service, close } = script();
    const told = await service.import_model(at('my_sam2.json'));
    assert.deepEqual([told.name, told.instances], ['my_sam2', false]);
    await close();
    forgetModel('my_sam2');
    const model = findModel('my_sam2');
    assert.deepEqual({ ...model, encoder: 0, decoder: 0 }, { ...there, encoder: 0, decoder: 0 });
    assert.match(model.encoder.digest ?? '', /^[0-9a-f]{64}$/);
    const worker = await realWorker();
    await worker.load(model);
    await worker.close();
    assert.ok(await removeImported('my_sam2'));
    forgetModel('my_sam2');
  });

  it('leave nothing behind when a checkpoint is damaged', async () => {
    const file = at('my_cells', 'best.pt');
    const bytes = readFileSync(file);
    writeFileSync(at('cut.pt'), bytes.subarray(0, bytes.length / 2));
    await assert.rejects(importModel(at('cut.pt')), { code: 'model_unavailable' });
    await assert.rejects(importModel(at('my_cells', 'decoder.pt')), { message: /holds only an instance decoder/ });
    await assert.rejects(importModel(at('nowhere.pt')), { code: 'not_found' });
    const { service, close } = script();
    await assert.rejects(service.import_model(new Uint8Array(3)), { message: /^invalid_argument: Bytes have no name/ });
    await assert.rejects(service.import_model(new Uint8Array(3), { name: 'b' }), { message: /^model_unavailable: / });
    await assert.rejects(service.import_model(file, { decoder: at('my_cells', 'best.pt') }), {
      message: /^invalid_argument: .*two models/,
    });
    assert.deepEqual(readdirSync(at('data', 'micro-sam', 'imported')), ['vit_b_lm']);
    await service.delete_model('vit_b_lm');
    await assert.rejects(service.delete_model('vit_b_lm'), { message: /^not_found: / });
    assert.ok(!(await service.get_model_names()).includes('vit_b_lm'));
    await close();
    assert.deepEqual(readdirSync(at('data', 'micro-sam', 'imported')), []);
  });

  function script() {
    const service = scriptClient(brightWorker(), trainingHere());
    return { service, close: () => service.close() };
  }

  function statSize(file: string): number {
    return readFileSync(file).length;
  }
});
