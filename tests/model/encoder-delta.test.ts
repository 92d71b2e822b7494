import assert from 'node:assert/strict';
import { modelFields } from '../../src/embeddings/signature.js';
import { changedWeights, encoderDelta, encoderWithDelta } from '../../src/model/encoder-delta.js';
import { sameFiles } from '../../src/model/model-spec.js';
import { resolveModel } from '../../src/model/registry.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import { constantOf } from '../../src/onnx/graph.js';
import type { OnnxModel } from '../../src/onnx/model.js';
import { readModel } from '../../src/onnx/read.js';
import { writeModel } from '../../src/onnx/write.js';
import { modelSpec } from '../../src/worker/model-argument.js';
import { seededRandom } from '../support/random.js';

describe('difference of an encoder', () => {
  const random = seededRandom(3);
  const draw = (length: number, scale: number) => Float32Array.from({ length }, () => scale * (random() - 0.5));
  const before = { a: draw(600, 1), b: draw(7, 1) };

  function encoder(a: number[] = [20, 30], name = 'a'): OnnxModel {
    const g = new GraphBuilder();
    const x = g.input('image', [1, a[0]]);
    g.output('embedding', g.add(g.matMul(x, g.constant(name, a, before.a)), g.constant('b', [7, 1], before.b)));
    return g.finish('encoder');
  }

  it('gives the trained weights again, and leaves the others alone', () => {
    const trained = before.a.map((value, i) => value + [1e-2, 1e-4, 0, 3][i % 4] * Math.sin(i));
    const delta = writeModel(encoderDelta(encoder(), new Map([['a', trained]])));
    assert.ok(delta.length < 2 * 600 + 300, `${delta.length} bytes`);
    const whole = readModel(encoderWithDelta(writeModel(encoder()), delta));
    const weights = new Map(whole.graph.initializers.map((tensor) => [tensor.name, constantOf(tensor)]));
    assert.deepEqual(weights.get('a')?.dims, [20, 30]);
    for (const [i, value] of trained.entries()) {
      const off = Math.abs((weights.get('a')?.data[i] ?? Number.NaN) - value);
      assert.ok(off <= Math.abs(value - before.a[i]) * 2 ** -11 + 2 ** -24 + 2e-7, `${i}: off by ${off}`);
    }
    assert.deepEqual(weights.get('b')?.data, before.b);
    assert.deepEqual(whole.graph.nodes, readModel(writeModel(encoder())).graph.nodes);
  });

  it('keeps what was trained before when other weights are trained further', () => {
    const first = writeModel(encoderDelta(encoder(), new Map([['a', before.a.map((value) => value + 0.25)]])));
    const trained = encoderWithDelta(writeModel(encoder()), first);
    const changed = changedWeights(trained, first);
    assert.deepEqual([...changed.keys()], ['a']);
    const further = new Map([...changed, ['b', before.b.map((value) => value - 0.5)]] as const);
    const whole = readModel(encoderWithDelta(writeModel(encoder()), writeModel(encoderDelta(encoder(), further))));
    const weights = new Map(whole.graph.initializers.map((tensor) => [tensor.name, constantOf(tensor)?.data]));
    assert.ok(weights.get('a')?.every((value, i) => Math.abs(value - before.a[i] - 0.25) < 1e-6));
    assert.ok(weights.get('b')?.every((value, i) => Math.abs(value - before.b[i] + 0.5) < 1e-6));
  });

  it('is refused where it is of another encoder', () => {
    const delta = writeModel(encoderDelta(encoder(), new Map([['a', before.a]])));
    const refused = { code: 'model_unavailable', message: /another encoder/ };
    assert.throws(() => encoderWithDelta(writeModel(encoder([30, 20])), delta), refused);
    assert.throws(() => encoderWithDelta(writeModel(encoder([20, 30], 'c')), delta), refused);
  });

  it('makes other embeddings and other files of a model, and travels to a worker with it', () => {
    const stock = resolveModel('vit_t');
    const [one, other] = ['1', '2'].map((digit) => ({
      ...stock,
      encoderDelta: { url: 'delta.onnx', sha256: digit.repeat(64) },
    }));
    const hashes = [stock, one, other].map((model) => modelFields(model).model_hash);
    assert.equal(new Set(hashes).size, 3, `${hashes}`);
    assert.equal(sameFiles(one, other), false);
    assert.equal(sameFiles(one, stock), false);
    assert.ok(sameFiles(one, modelSpec(JSON.parse(JSON.stringify(one)))));
  });
});
