import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { UsageError } from '../../src/cli/command.js';
import { dataReport, labelledPlanes } from '../../src/cli/train/labelled-files.js';
import { train } from '../../src/cli/train/train.js';
import {
  checkReplaceable,
  findModel,
  isMadeFrom,
  loadFile,
  MODEL_CARD,
  withInherited,
  writeTrained,
} from '../../src/cli/train/trained-models.js';
import { modelFields } from '../../src/embeddings/signature.js';
import { cellPhantom } from '../../src/io/phantom/phantom.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import { filesKey } from '../../src/model/model-spec.js';
import { forgetModel } from '../../src/model/registry.js';
import { labelComponents, labelSizes } from '../../src/ndimage/label.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import { writeModel } from '../../src/onnx/write.js';

describe('micro-sam train', function () {
  this.timeout(600_000);
  let folder: string;
  const at = (...parts: string[]) => path.join(folder, ...parts);

  before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-train-'));
    for (const seed of [1, 2]) {
      const { image, labels } = cellPhantom({ seed, size: [120, 160], cells: 6 });
      writeFileSync(at(`cells${seed}.tif`), await encodeTiff(image));
      writeFileSync(at(`cells${seed}_labels.tif`), await encodeTiff(labels));
    }
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('makes of an annotated folder a model that other commands find by its folder (thorough)', async () => {
    const args = ['--images', folder, '--labels', folder, '--trained_model_name', 'mine', '-s', at('models')];
    const short = ['--n_iterations', '2', '--n_prompt_iterations', '1', '--n_canvases', '2'];
    assert.equal(await train.run([...args, ...short]), 0);
    const card = JSON.parse(readFileSync(at('models', 'mine', MODEL_CARD), 'utf8'));
    const names = ['cells1.tif', 'cells2.tif'];
    assert.deepEqual(
      [card.trainedOn, card.scoredOn].map((of) => of.map(({ image }: { image: string }) => image)),
      [names, names],
    );
    const objects = [...card.trainedOn, ...card.scoredOn].reduce((sum, { objects }) => sum + objects, 0);
    assert.equal(objects, 12, 'a strip of each is kept back');
    const fileOf = () => readFileSync(at('models', 'mine', 'decoder.onnx'));
    const before = fileOf();
    const { image, labels } = cellPhantom({ seed: 3, size: [120, 160], cells: 9 });
    for (const [name, pixels] of [
      ['cells3.tif', image],
      ['cells3_labels.tif', labels],
    ] as const)
      writeFileSync(at(name), await encodeTiff(pixels));
    assert.equal(await train.run([...args, ...short]), 0);
    assert.notDeepEqual(fileOf(), before, 'with another image it is trained anew');
    for (const name of ['cells3.tif', 'cells3_labels.tif']) rmSync(at(name));
    await assert.rejects(train.run([...args, '-m', at('models', 'mine')]), /would be replaced/);
    assert.ok(existsSync(at('models', 'mine', 'kept-back-1-after.png')));
    assert.deepEqual([card.instances.steps, card.decoder.steps], [2, 1]);
    const { alone, byInstances } = card.points;
    assert.ok(alone > 0.5 && alone <= 1 && byInstances > 0.5 && byInstances <= 1, `${alone}, ${byInstances}`);
    const model = findModel(at('models', 'mine'));
    forgetModel('mine');
    assert.equal(model.name, 'mine');
    assert.ok(existsSync(model.instances?.url ?? ''));
    assert.ok(existsSync(model.decoder.url));
    assert.equal(model.encoder.url, findModel('msi_lm').encoder.url);
    assert.deepEqual(modelFields(model), modelFields(findModel('msi_lm')), 'embeddings of the encoder stay good');
  });

  it('stays what it was when the model that it went on from is trained anew', async () => {
    const bytes = (named: string) => writeModel(new GraphBuilder().finish(named));
    const digestOf = (named: string) => createHash('sha256').update(bytes(named)).digest('hex');
    const train = async (name: string, base: string, parts: Record<string, string>) => {
      mkdirSync(at(name), { recursive: true });
      const cards = Object.entries(parts).map(([part, text]) => [
        part,
        { file: `${part}.onnx`, sha256: digestOf(text), started: base, step: 1, steps: 1 },
      ]);
      const about = { name, base, seed: 1, date: '2026-01-01', trainedOn: [], scoredOn: [] };
      const files = new Map(Object.entries(parts).map(([part, text]) => [`${part}.onnx`, bytes(text)]));
      const result = { card: { ...about, ...Object.fromEntries(cards) }, files };
      writeTrained(at(name), await withInherited(result, findModel(base)));
      return findModel(at(name));
    };
    await train('base', 'msi_lm', { late: 'late 1', decoder: 'decoder 1' });
    const before = await train('further', at('base'), { instances: 'maps' });
    assert.deepEqual(
      [before.encoderDelta, before.decoder].map((file) => file?.sha256),
      [digestOf('late 1'), digestOf('decoder 1')],
    );
    assert.equal(before.encoderName, 'base', 'embeddings are shared');
    await train('base', 'msi_lm', { decoder: 'decoder 2' });
    const after = findModel(at('further'));
    assert.equal(filesKey(after), filesKey(before));
    assert.deepEqual(await loadFile(after.decoder, {}), bytes('decoder 1'));
    assert.equal(after.encoderName, undefined, 'embeddings are its own now');
    const third = await train('third-of', at('further'), { decoder: 'decoder 3' });
    assert.equal(third.encoderDelta?.sha256, digestOf('late 1'));
    assert.equal(third.instances?.sha256, digestOf('maps'));
    for (const name of ['base', 'further', 'third-of']) forgetModel(name);
  });

  it('replaces no model that was imported, or trained by a newer version', () => {
    for (const [name, card, told] of [
      ['newer-one', { format: 2, name: 'newer-one', base: 'msi_lm' }, /newer version/],
      ['imported-one', { format: 1, name: 'imported-one', encoder: 'encoder.onnx' }, /was imported/],
    ] as const) {
      mkdirSync(at(name));
      writeFileSync(at(name, MODEL_CARD), JSON.stringify(card));
      assert.throws(() => checkReplaceable(at(name)), { code: 'unsupported', message: told });
    }
    mkdirSync(at('older'));
    writeFileSync(at('older', MODEL_CARD), JSON.stringify({ name: 'older', base: 'msi_lm' }));
    for (const name of ['nothing-there', 'older']) assert.doesNotThrow(() => checkReplaceable(at(name)));
  });

  it('finds what a further training left alone, and its settings, in the model that it went on from', () => {
    const write = (name: string, card: object) => {
      mkdirSync(at(name));
      writeFileSync(at(name, MODEL_CARD), JSON.stringify({ name, ...card }));
    };
    write('first', { base: 'vit_t', instances: { file: 'instances.onnx' }, decoder: { file: 'decoder.onnx' } });
    write('second', { base: at('first'), decoder: { file: 'decoder.onnx' } });
    write('third', { base: 'msi_lm', decoder: { file: 'decoder.onnx' } });
    write('fourth', { base: 'msi_lm', instances: { file: 'instances.onnx' } });
    const late = { file: 'late.onnx', sha256: '5'.repeat(64) };
    write('fifth', { base: 'vit_t', instances: { file: 'instances.onnx' }, decoder: { file: 'decoder.onnx' }, late });
    write('sixth', { base: at('fifth'), decoder: { file: 'decoder.onnx' } });
    write('seventh', { base: at('fifth'), full: { file: 'full.onnx' } });
    const objectSizes = { small: 12, largest: 50 };
    write('eighth', { base: 'msi_lm', decoder: { file: 'decoder.onnx' }, objectSizes });
    assert.deepEqual(findModel(at('eighth')).objectSizes, objectSizes);
    assert.equal(findModel(at('third')).objectSizes, undefined);
    const keys = ['1', '2'].map((digit) => {
      writeFileSync(
        at('third', MODEL_CARD),
        JSON.stringify({ name: 'third', base: 'msi_lm', decoder: { file: 'decoder.onnx', sha256: digit.repeat(64) } }),
      );
      return filesKey(findModel(at('third')));
    });
    assert.notEqual(keys[0], keys[1], 'trained anew it is another model');
    assert.ok(!keys.includes(filesKey(findModel('msi_lm'))));
    const instances = { file: 'instances.onnx' };
    write('better', { base: 'vit_t', instances, points: { alone: 0.5, byInstances: 0.6 } });
    write('no-better', { base: 'vit_t', instances, points: { alone: 0.5, byInstances: 0.505 } });
    write('with-its-maps', { base: at('better'), decoder: { file: 'decoder.onnx' } });
    write('with-other-maps', { base: at('better'), instances });
    const flags = ['better', 'no-better', 'with-its-maps', 'with-other-maps'].map((name) => {
      const { pointsByInstances = false } = findModel(at(name));
      forgetModel(name);
      return pointsByInstances;
    });
    assert.deepEqual(flags, [true, false, true, false]);
    const recommended = findModel('msi_lm').defaults;
    assert.deepEqual(findModel(at('third')).defaults, recommended);
    const { predIouThresh, stabilityScoreThresh } = recommended ?? {};
    assert.deepEqual(findModel(at('fourth')).defaults, { predIouThresh, stabilityScoreThresh });
    const [fifth, sixth] = ['fifth', 'sixth'].map((name) => findModel(at(name)));
    assert.equal(sixth.encoderDelta?.url, at('fifth', 'late.onnx'));
    assert.deepEqual(
      ['first', 'second', 'fourth', 'msi_lm'].map((name) => isMadeFrom(at(name), at('first'))),
      [true, true, false, false],
    );
    assert.deepEqual(modelFields(sixth), modelFields(fifth), 'embeddings of the encoder stay good');
    assert.notEqual(modelFields(fifth).model_hash, modelFields(findModel('vit_t')).model_hash);
    const seventh = findModel(at('seventh'));
    assert.equal(seventh.encoderDelta?.url, at('seventh', 'full.onnx'));
    assert.notEqual(modelFields(seventh).model_name, modelFields(fifth).model_name);
    const model = findModel(at('second'));
    for (const name of ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh']) forgetModel(name);
    assert.equal(model.instances?.url, at('first', 'instances.onnx'));
    assert.equal(model.decoder.url, at('second', 'decoder.onnx'));
    assert.deepEqual(modelFields(model), modelFields(findModel('vit_t')), 'embeddings of the encoder stay good');
  });

  it('says what it would train on, and what is wrong with the files', async () => {
    const files = [1, 2].map((n) => ({ image: at(`cells${n}.tif`), labels: at(`cells${n}_labels.tif`) }));
    const planes = await labelledPlanes(files, { minSize: 25, partial: false });
    const report = dataReport(planes, []);
    assert.match(report, /To train on: 2 images, 12 objects, \d+ to \d+ pixels across/);
    assert.match(report, /too few images/);
    writeFileSync(at('other.tif'), await encodeTiff(cellPhantom({ seed: 3, size: [50, 50], cells: 1 }).labels));
    const small = [{ image: at('cells1.tif'), labels: at('other.tif') }];
    await assert.rejects(labelledPlanes(small, { minSize: 25, partial: false }), /they must agree/);
    rmSync(at('other.tif'));
  });

  it('takes the pieces of a mask of one value for objects, and says so', async () => {
    const { labels } = cellPhantom({ seed: 4, size: [120, 160], cells: 6 });
    const one = labelSizes(labelComponents({ ...labels, data: labels.data.map((id) => Number(id > 0)) }).labels).size;
    assert.ok(one >= 3, `${one} pieces`);
    const write = async (name: string, value: (id: number) => number) =>
      writeFileSync(at(name), await encodeTiff({ ...labels, data: labels.data.map(value) }));
    writeFileSync(at('masked.tif'), readFileSync(at('cells1.tif')));
    await write('mask.tif', (id) => (id > 0 ? 255 : 0));
    await write('torn.tif', (id) => (id === 1 || id === 2 ? 7 : 0));
    const read = (name: string) =>
      labelledPlanes([{ image: at('masked.tif'), labels: at(name) }], { minSize: 25, partial: false });
    const pieces = await read('mask.tif');
    assert.equal(pieces[0]?.objects, one);
    assert.match(dataReport(pieces, []), /one value.*: mask\.tif$/);
    const torn = await read('torn.tif');
    assert.equal(torn[0]?.objects, 1, 'two pieces may be one object');
    assert.doesNotMatch(dataReport(torn, []), /one value/);
    for (const name of ['masked.tif', 'mask.tif', 'torn.tif']) rmSync(at(name));
  });

  it('refuses what it cannot do before it reads anything', async () => {
    const data = ['--images', folder, '--labels', folder];
    await assert.rejects(train.run(data), /--trained_model_name/);
    await assert.rejects(train.run(['--trained_model_name', 'a', '--images', folder]), /--labels/);
    await assert.rejects(train.run([...data, '--trained_model_name', 'a/b']), UsageError);
    await assert.rejects(train.run([...data, '--trained_model_name', '..']), UsageError);
    await assert.rejects(train.run([...data, '--trained_model_name', 'msi_lm']), /built-in/);
    const named = [...data, '--trained_model_name', 'a'];
    await assert.rejects(train.run([...named, '--parts', 'instances,encoder']), /"encoder"/);
    await assert.rejects(train.run([...named, '--parts', 'late,instances']), /instances,mask_decoder,late/);
    await assert.rejects(train.run([...named, '--parts', 'instances,mask_decoder,late,full']), /exclude each other/);
    await assert.rejects(train.run([...named, '--batch_size', '0', '--dry_run']), /--batch_size/);
    await assert.rejects(train.run([...named, '--segmentation_decoder', 'all']), /instances_only/);
  });

  it('keeps objects that are large enough and tells how many are not', async () => {
    const [plane] = await labelledPlanes([{ image: at('cells1.tif'), labels: at('cells1_labels.tif') }], {
      minSize: 1e6,
      partial: false,
    });
    assert.equal(plane, undefined);
  });
});
