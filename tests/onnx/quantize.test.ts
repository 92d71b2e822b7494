import assert from 'node:assert/strict';
import { createNodeRuntime } from '../../src/model/node-runtime.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import type { OnnxModel } from '../../src/onnx/model.js';
import { quantizeProducts } from '../../src/onnx/quantize.js';
import { writeModel } from '../../src/onnx/write.js';
import { seededRandom } from '../support/random.js';

describe('matrix products in 8-bit integers', () => {
  const random = seededRandom(5);
  const numbers = (length: number, scale = 1) => Float32Array.from({ length }, () => (random() * 2 - 1) * scale);

  /** Two products of one input, a third of their sum, with columns whose weights differ 1,000-fold in size. */
  function graph(): OnnxModel {
    const g = new GraphBuilder();
    const x = g.input('x', [2, 9, 64]);
    const weight = (name: string, rows: number, columns: number) =>
      g.constant(
        name,
        [rows, columns],
        numbers(rows * columns).map((value, i) => value * 10 ** ((i % columns) % 4)),
      );
    const both = g.add(g.matMul(x, weight('a', 64, 96)), g.matMul(x, weight('b', 64, 96)));
    g.output('y', g.matMul(both, weight('c', 96, 64)), [2, 9, 64]);
    g.output('inner', g.matMul(both, g.transpose(both, 0, 2, 1)), [2, 9, 9]);
    return g.finish('products');
  }

  async function run(model: OnnxModel, x: Float32Array): Promise<Float32Array[]> {
    const runtime = await createNodeRuntime({ threads: 1 });
    const session = await runtime.createSession(writeModel(model));
    const results = await session.run({ x: runtime.tensor('float32', x, [2, 9, 64]) }, ['y', 'inner']);
    await session.release();
    return [results.y.data as Float32Array, results.inner.data as Float32Array];
  }

  it('are those of float32 within a few parts in a hundred of each column, and the file is a quarter of it', async () => {
    const model = graph();
    const { model: int8, count } = quantizeProducts(model);
    assert.equal(count, 3, 'products of two computed tensors stay');
    assert.equal(int8.graph.nodes.filter(({ op }) => op === 'DynamicQuantizeLinear').length, 2, 'one input, once');
    const x = numbers(2 * 9 * 64);
    const [[expected], [got]] = [await run(model, x), await run(int8, x)];
    for (let column = 0; column < 64; column++) {
      const at = (values: Float32Array) => values.filter((_, i) => i % 64 === column);
      const norm = (values: Float32Array) => Math.hypot(...values);
      const error = at(expected).map((value, i) => value - at(got)[i]);
      assert.ok(norm(error) <= 0.04 * norm(at(expected)), `column ${column}: ${norm(error) / norm(at(expected))}`);
    }
    assert.ok(writeModel(int8).length < 0.35 * writeModel(model).length);
  });

  it('are convolutions, too, whose channels are last before and after, edges included', async () => {
    const [height, width, ins, outs] = [5, 7, 64, 96];
    const convolution = (bias: boolean) => {
      const g = new GraphBuilder();
      const x = g.input('x', [1, height, width, ins]);
      const weight = g.constant('w', [outs, ins, 3, 2], numbers(outs * ins * 6));
      const inputs = [g.transpose(x, 0, 3, 1, 2), weight, ...(bias ? [g.constant('b', [outs], numbers(outs))] : [])];
      const made = g.node('Conv', inputs, { kernel_shape: [3, 2], pads: [2, 0, 1, 1] });
      g.output('y', g.transpose(made, 0, 2, 3, 1), [1, height + 1, width, outs]);
      return g.finish('convolution');
    };
    assert.equal(quantizeProducts(convolution(true)).count, 0, 'with a bias it stays');
    const model = convolution(false);
    const { model: int8, count } = quantizeProducts(model);
    assert.equal(count, 1);
    assert.ok(int8.graph.nodes.every(({ op }) => op !== 'Conv'));
    // Not around 0, so that what stands for 0 is no byte 0.
    const x = numbers(height * width * ins).map((value) => value + 0.3);
    const runtime = await createNodeRuntime({ threads: 1 });
    const results: Float32Array[] = [];
    for (const file of [model, int8]) {
      const session = await runtime.createSession(writeModel(file));
      const { y } = await session.run({ x: runtime.tensor('float32', x, [1, height, width, ins]) });
      results.push(y.data as Float32Array);
      await session.release();
    }
    const [expected, got] = results;
    for (let row = 0; row <= height; row++) {
      const of = (values: Float32Array) => values.subarray(row * width * outs, (row + 1) * width * outs);
      const error = Math.hypot(...of(expected).map((value, i) => value - of(got)[i]));
      assert.ok(error <= 0.04 * Math.hypot(...of(expected)), `row ${row}: ${error / Math.hypot(...of(expected))}`);
    }
  });

  it('keep a column of zeros, small weights and the model that was given', () => {
    const g = new GraphBuilder();
    const x = g.input('x', [1, 64]);
    const zeros = g.constant('w', [64, 64], new Float32Array(64 * 64));
    g.output('y', g.matMul(g.matMul(x, zeros), g.constant('small', [64, 2], numbers(128))), [1, 2]);
    const model = g.finish('small');
    const before = writeModel(model);
    const { model: int8, count } = quantizeProducts(model);
    assert.equal(count, 1);
    const weight = int8.graph.initializers.find(({ name }) => name.endsWith('int8 weight'));
    assert.deepEqual(new Set(weight?.raw), new Set([0]));
    assert.deepEqual(writeModel(model), before);
  });
});
