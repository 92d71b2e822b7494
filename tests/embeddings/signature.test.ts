import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { compareSignatures, modelFields, pixelSignature, type Signature } from '../../src/embeddings/signature.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { forgetModel, registerModel, resolveModel } from '../../src/model/registry.js';
import { allocate, type TypedArray } from '../../src/ndimage/array.js';
import { HASH_MODEL } from '../support/hash-encoder.js';
import { seededRandom } from '../support/random.js';

const sha1 = (data: TypedArray) =>
  createHash('sha1')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');

describe('embedding signature', () => {
  it('is the SHA-1 of the array in C order, as numpy gives it', async () => {
    const random = seededRandom(2);
    for (const dtype of ['uint8', 'uint16', 'int16', 'float32', 'float64'] as const)
      for (const [shape, axes] of [
        [[7, 9], 'yx'],
        [[7, 9, 3], 'yxs'],
        [[4, 7, 9], 'zyx'],
        [[5, 6, 7], 'tyx'],
      ] as const) {
        const data = allocate(
          dtype,
          shape.reduce((a, b) => a * b, 1),
        );
        for (let i = 0; i < data.length; i++) data[i] = random() * 255;
        assert.equal(await pixelSignature(openNdarray({ data, shape, axes })), sha1(data), `${dtype} ${axes}`);
      }
  });

  it('covers only the channels that the model is given', async () => {
    const data = Uint8Array.from({ length: 2 * 4 * 5 }, (_, i) => i);
    const source = openNdarray({ data, shape: [2, 4, 5], axes: 'cyx' });
    assert.equal(await pixelSignature(source, { channels: [1] }), sha1(data.slice(20)));
  });

  it('hashes large planes in bands to the same value', async () => {
    const data = new Uint8Array(5000 * 4000);
    for (let i = 0; i < data.length; i++) data[i] = i % 251;
    assert.equal(await pixelSignature(openNdarray({ data, shape: [5000, 4000], axes: 'yx' })), sha1(data));
  });

  it('samples huge images on request: another form, the same for the same image, other for another', async () => {
    const data = new Uint8Array(600 * 700).map((_, i) => i % 13);
    const image = { data, shape: [600, 700], axes: 'yx' };
    const sampled = (name: string) => pixelSignature(openNdarray({ ...image, name }), { extent: 'sampled' });
    const first = await sampled('a');
    assert.match(first, /^sampled:[0-9a-f]{40}$/);
    assert.equal(await sampled('a'), first);
    data.fill(1);
    assert.notEqual(await sampled('a'), first);
  });

  it('says the encoder, of which trained weights make another', () => {
    const [microscopy, stock] = ['msi_lm', 'vit_t'].map((name) => modelFields(resolveModel(name)));
    assert.deepEqual([microscopy.model_name, stock.model_name], ['msi_lm', 'vit_t']);
    assert.notEqual(microscopy.model_hash, stock.model_hash);
    const registered = resolveModel('msi_lm');
    const further = registerModel({ name: 'msi_lm', instances: 'mine.onnx' });
    forgetModel('msi_lm', registered);
    assert.deepEqual(modelFields(further), microscopy);
    assert.equal(modelFields({ ...HASH_MODEL, name: 'other' }).model_name, 'other');
  });

  it('tells embeddings of an encoder in int8 from others, and from those of int8 as it was before', () => {
    const { model_hash: float32 } = modelFields(resolveModel('msi_lm'));
    const { model_hash: int8 } = modelFields({ ...resolveModel('msi_lm'), encoderPrecision: 'int8' });
    assert.equal(modelFields({ ...resolveModel('msi_lm'), encoderPrecision: 'float32' }).model_hash, float32);
    assert.ok(int8 !== float32 && int8 !== `${float32}/int8`, `${int8}`);
  });

  it('tells harmful differences from harmless ones', () => {
    const wanted: Signature = {
      data_signature: 'd',
      tile_shape: [512, 512],
      halo: [64, 64],
      ...modelFields({ ...HASH_MODEL, name: 'vit_b_lm' }),
      micro_sam_version: 'ours',
      intensity: 'min-max',
    };
    assert.equal(wanted.model_type, 'vit_b');
    const stored = JSON.parse(JSON.stringify(wanted));
    const compared = (change: object) => compareSignatures({ ...stored, ...change }, wanted);
    assert.deepEqual(compared({}), { mismatches: [], warnings: [] });
    assert.deepEqual(compared({ micro_sam_version: '1.8.0', model_hash: 'xxh128:0' }).mismatches, []);
    assert.deepEqual(compared({ intensity: undefined }), { mismatches: [], warnings: [] });
    for (const [key, value] of [
      ['data_signature', 'e'],
      ['tile_shape', null],
      ['halo', [32, 64]],
      ['model_type', 'vit_l'],
      ['model_name', 'vit_b'],
      ['model_hash', 'sha256:0'],
      ['intensity', 'percentile(1,99)'],
    ] as const)
      assert.deepEqual(compared({ [key]: value }).mismatches, [key]);
  });
});
