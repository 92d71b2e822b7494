import assert from 'node:assert/strict';
import { createNodeRuntime } from '../../src/model/node-runtime.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import { attribute } from '../../src/onnx/graph.js';
import { runInParts } from '../../src/onnx/in-parts.js';
import type { OnnxGraph, OnnxModel } from '../../src/onnx/model.js';
import { quantizeProducts } from '../../src/onnx/quantize.js';
import { writeModel } from '../../src/onnx/write.js';
import { seededRandom } from '../support/random.js';

const WIDTH = 64;

interface Case {
  readonly model: OnnxModel;
  readonly shape: readonly number[];
}

describe('blocks of transformers in parts', () => {
  const random = seededRandom(17);
  const numbers = (length: number) => Float32Array.from({ length }, () => random() * 2 - 1);

  function normed(g: GraphBuilder, x: string): string {
    const [weight, bias] = ['norm weight', 'norm bias'].map((name) => g.constant(name, [WIDTH], numbers(WIDTH)));
    return g.node('LayerNormalization', [x, weight, bias], { axis: -1, epsilon: { float: 1e-5 } });
  }

  function product(g: GraphBuilder, x: string, name: string, rows: number, columns: number): string {
    const weight = g.constant(name, [rows, columns], numbers(rows * columns));
    return g.add(g.matMul(x, weight), g.constant(`${name} bias`, [columns], numbers(columns)));
  }

  /** Two products with an activation between them, and what went in added; `shown` is an output as well. */
  function perceptron({ rows = 1024, hidden = 1024, shown = '' } = {}): Case {
    const g = new GraphBuilder();
    const shape = [2, rows / 2, WIDTH];
    const x = g.input('x', shape);
    const first = product(g, normed(g, g.mul(x, g.scalar(2))), 'first', WIDTH, hidden);
    const activated = g.mul(first, g.add(g.node('Erf', [g.node('Div', [first, g.scalar(Math.SQRT2)])]), g.scalar(1)));
    g.output('y', g.add(x, product(g, activated, 'second', hidden, WIDTH)), shape);
    if (shown) g.output(shown, activated, [2, rows / 2, hidden]);
    return { model: withMicrosoft(g.finish('perceptron')), shape };
  }

  function attention({ windows = 60, cells = 64, heads = 4, biases = 1 } = {}): Case {
    const g = new GraphBuilder();
    const shape = [windows, cells, WIDTH];
    const norm = normed(g, g.mul(g.input('x', shape), g.scalar(2)));
    const parts = ['queries', 'keys', 'values'].map((name) => product(g, norm, name, WIDTH, WIDTH));
    const size = [biases, heads, cells, cells];
    const positions = g.constant('positions', size, numbers(size.reduce((a, b) => a * b)));
    const joined = g.node('MultiHeadAttention', [...parts, '', '', positions], { num_heads: heads });
    g.output('y', product(g, joined, 'out', WIDTH, WIDTH), shape);
    const model = g.finish('attention');
    for (const node of model.graph.nodes) if (node.op === 'MultiHeadAttention') node.domain = 'com.microsoft';
    return { model: withMicrosoft(model), shape };
  }

  const withMicrosoft = (model: OnnxModel) => ({
    ...model,
    opsets: [...model.opsets, { domain: 'com.microsoft', version: 1 }],
  });

  async function run({ model, shape }: Case, x: Float32Array, wasm = false): Promise<Float32Array> {
    const runtime = await createNodeRuntime({ threads: 2, wasm });
    const session = await runtime.createSession(writeModel(model));
    const { y } = await session.run({ x: runtime.tensor('float32', x, shape) }, ['y']);
    await session.release();
    return y.data as Float32Array;
  }

  const worst = (a: Float32Array, b: Float32Array) => a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0);
  const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  const bodyOf = ({ graph }: OnnxModel) => {
    const scan = graph.nodes.find(({ op }) => op === 'Scan');
    return scan && (attribute(scan, 'body') as OnnxGraph);
  };

  const cases = {
    'rows of two products': { make: perceptron, part: [128, WIDTH], ops: 9 },
    'windows of attention': { make: attention, part: [10, 64, WIDTH], ops: 10 },
  } as const;
  for (const [name, { make, part, ops }] of Object.entries(cases))
    it(`gives what the whole gave, natively and in wasm: ${name}`, async () => {
      const whole = make();
      const before = writeModel(whole.model);
      const { model, count } = runInParts(whole.model);
      assert.equal(count, 1);
      assert.deepEqual(writeModel(whole.model), before, 'the model given is as it was');
      const left = model.graph.nodes.map(({ op }) => op).filter((op) => !['Constant', 'Identity', 'Add'].includes(op));
      assert.deepEqual(left, ['Mul', 'Reshape', 'Scan', 'Reshape']);
      const body = bodyOf(model);
      assert.deepEqual(body?.inputs[0].tensor?.shape, part);
      assert.equal(body?.nodes.length, ops);
      const x = numbers(whole.shape.reduce((a, b) => a * b));
      for (const wasm of [false, true]) {
        const [expected, got] = [await run(whole, x, wasm), await run({ ...whole, model }, x, wasm)];
        const size = worst(expected, new Float32Array(expected.length));
        assert.ok(worst(expected, got) < 1e-5 * size, `wasm ${wasm}: ${worst(expected, got)} of ${size}`);
      }
    });

  it('has its products in int8 where those are asked for, with a scale for each part', async () => {
    const whole = perceptron();
    const { model, count } = quantizeProducts(runInParts(whole.model).model);
    assert.equal(count, 2);
    assert.equal(bodyOf(model)?.nodes.filter(({ op }) => op === 'DynamicQuantizeLinear').length, 2);
    const x = numbers(whole.shape.reduce((a, b) => a * b));
    const [expected, got] = [await run(whole, x), await run({ ...whole, model }, x)];
    const error = norm(expected.map((value, i) => value - got[i]));
    assert.ok(error < 0.04 * norm(expected), `${error} of ${norm(expected)}`);
  });

  const otherwise: Readonly<Record<string, () => Case>> = {
    'what is small': () => perceptron({ rows: 256 }),
    'weights that do not fit beside it': () => perceptron({ rows: 8192, hidden: 8448 }),
    'what is used elsewhere': () => perceptron({ shown: 'inner' }),
    'attention with biases of each window': () => attention({ biases: 60 }),
    'few windows': () => attention({ windows: 11 }),
    'a model without loops': () => {
      const { model, shape } = perceptron();
      return { model: { ...model, opsets: [{ domain: '', version: 8 }] }, shape };
    },
    'shapes that are not known': () => {
      const { model, shape } = perceptron();
      model.graph.inputs[0].tensor = { type: 1, shape: ['n', ...shape.slice(1)] };
      return { model, shape };
    },
  };
  for (const [name, make] of Object.entries(otherwise))
    it(`leaves alone ${name}`, () => {
      const { model } = make();
      const { model: same, count } = runInParts(model);
      assert.equal(count, 0);
      assert.equal(same, model);
    });
});
