import assert from 'node:assert/strict';
import { forgetModel, registerModel } from '../../src/model/registry.js';
import { declarationInJson, declarationOf } from '../../src/service/model-declaration.js';
import { modelSpec } from '../../src/worker/model-argument.js';

const FILES = { encoder: 'https://example.org/encoder.onnx', decoder: 'decoder.onnx' };

describe('a model that is declared in JSON', () => {
  after(() => forgetModel('mine'));

  it('needs its files and its family, and may say what its graphs call things', () => {
    const declaration = declarationInJson(
      JSON.stringify({
        name: 'mine',
        ...FILES,
        licence: 'MIT',
        family: 'sam2',
        encoderInput: { side: 512, output: 'features', std: [1, 1, 1] },
        decoderInput: { names: { masks: 'mask_logits' }, levels: ['fine', { output: 'a', input: 'b' }] },
      }),
      'mine.json',
    );
    const spec = registerModel(declaration);
    assert.deepEqual([spec.encoderInput.side, spec.encoderInput.resize, spec.licence], [512, 'stretch', 'MIT']);
    assert.deepEqual(spec.decoderLayout, {
      family: 'points',
      padding: 'graph',
      names: { masks: 'mask_logits' },
      levels: [
        { output: 'fine', input: 'fine' },
        { output: 'a', input: 'b' },
      ],
    });
    assert.deepEqual(modelSpec(structuredClone(spec)).decoderLayout, spec.decoderLayout);
  });

  it('is refused with the first thing that is wrong', () => {
    const cases = [
      ['{', /^x\.json is not JSON: /],
      ['[]', /^x\.json declares no model: /],
      ['{}', /declares no model: name: is missing/],
      [{ name: 'a b' }, /name: A model name is up to 64 letters, digits/],
      [{ name: 'a', family: 'sam9' }, /family: expected .*"sam2".*, got "sam9"/],
      [{ name: 'a', encoderInput: { side: '512' } }, /encoderInput\.side: expected a number, got "512"/],
      [{ name: 'a', encoderInput: { mean: [1] } }, /encoderInput\.mean/],
      [{ name: 'a', decoderInput: { padding: 'no' } }, /decoderInput\.padding/],
      [{ name: 'a', encoderinput: {} }, /encoderinput/],
    ] as const;
    for (const [json, message] of cases)
      assert.throws(() => declarationInJson(typeof json === 'string' ? json : JSON.stringify(json), 'x.json'), {
        code: 'invalid_argument',
        message,
      });
    assert.throws(() => registerModel(declarationOf({ name: 'nothing_else' }, 'x')), {
      message: /needs the address of its encoder/,
    });
  });
});
