import assert from 'node:assert/strict';
import { createNodeRuntime } from '../../src/model/node-runtime.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import { fuseAttention } from '../../src/onnx/fuse-attention.js';
import type { OnnxModel } from '../../src/onnx/model.js';
import { quantizeProducts } from '../../src/onnx/quantize.js';
import { writeModel } from '../../src/onnx/write.js';
import { seededRandom } from '../support/random.js';

const [WINDOWS, CELLS, HEADS, DEPTH] = [3, 9, 4, 16];
const WIDTH = HEADS * DEPTH;

/** What exporters may write otherwise. */
interface Spelling {
  readonly order?: readonly [queries: number, keys: number, values: number];
  readonly turnedKeys?: boolean;
  readonly axis?: number;
  readonly parts?: readonly number[];
  readonly biasFirst?: boolean;
}

describe('attention as one operator', () => {
  const random = seededRandom(8);
  const numbers = (length: number) => Float32Array.from({ length }, () => random() * 2 - 1);

  /** As PyTorch exports TinyViT's. */
  function graph({ order = [0, 1, 2], turnedKeys = true, axis = 3, parts, biasFirst }: Spelling = {}): OnnxModel {
    const g = new GraphBuilder();
    const x = g.input('x', [WINDOWS, CELLS, WIDTH]);
    const product = g.matMul(x, g.constant('weight', [WIDTH, 3 * WIDTH], numbers(3 * WIDTH * WIDTH)));
    const bias = g.constant('bias', [3 * WIDTH], numbers(3 * WIDTH));
    const rows = g.reshape(biasFirst ? g.add(bias, product) : g.add(product, bias), -1, CELLS, HEADS, 3 * DEPTH);
    const lengths = g.ints(...(parts ?? [DEPTH, DEPTH, DEPTH]));
    const split = g.node('Split', [rows, lengths], { axis });
    const pieces = [split, `${split}/1`, `${split}/2`];
    const model = (output: string) => {
      g.output('y', output, [WINDOWS, CELLS, WIDTH]);
      const finished = g.finish('attention');
      for (const node of finished.graph.nodes) if (node.op === 'Split') node.outputs = pieces;
      return finished;
    };
    const [queries, keys, values] = order.map((part) => pieces[part]);
    const turned = turnedKeys ? g.transpose(keys, 0, 2, 3, 1) : g.transpose(g.transpose(keys, 0, 2, 1, 3), 0, 1, 3, 2);
    const scores = g.mul(g.matMul(g.transpose(queries, 0, 2, 1, 3), turned), g.scalar(0.3));
    const offsets = g.constant('positions', [HEADS, CELLS, CELLS], numbers(HEADS * CELLS * CELLS));
    const shares = g.softmax(g.add(scores, offsets));
    const joined = g.transpose(g.matMul(shares, g.transpose(values, 0, 2, 1, 3)), 0, 2, 1, 3);
    return model(g.reshape(joined, WINDOWS, CELLS, WIDTH));
  }

  async function run(model: OnnxModel, x: Float32Array, wasm = false): Promise<Float32Array> {
    const runtime = await createNodeRuntime({ threads: 1, wasm });
    const session = await runtime.createSession(writeModel(model));
    const { y } = await session.run({ x: runtime.tensor('float32', x, [WINDOWS, CELLS, WIDTH]) }, ['y']);
    await session.release();
    return y.data as Float32Array;
  }

  for (const spelling of [{}, { biasFirst: true }] as const)
    it(`gives what the graph gave that spells it out, natively and in wasm: ${JSON.stringify(spelling)}`, async () => {
      const model = graph(spelling);
      const before = writeModel(model);
      const { model: fused, count } = fuseAttention(model);
      assert.equal(count, 1);
      assert.deepEqual(writeModel(model), before, 'the model given is as it was');
      assert.deepEqual(
        fused.graph.nodes.map(({ op }) => op),
        ['MatMul', 'Add', 'MatMul', 'MatMul', 'Add', 'MultiHeadAttention', 'Identity'],
      );
      const x = numbers(WINDOWS * CELLS * WIDTH);
      const expected = await run(model, x);
      for (const wasm of [false, true]) {
        const got = await run(fused, x, wasm);
        const error = Math.max(...got.map((value, i) => Math.abs(value - expected[i])));
        assert.ok(error < 5e-5, `wasm ${wasm}: ${error}`);
      }
    });

  it('leaves its products to be computed in int8', () => {
    const { count } = quantizeProducts(fuseAttention(graph()).model);
    assert.equal(count, 3);
  });

  const otherwise: Readonly<Record<string, Spelling>> = {
    'queries and keys in the other order': { order: [1, 0, 2] },
    'one part twice': { order: [0, 1, 1] },
    'keys turned in two steps': { turnedKeys: false },
    'parts of other lengths': { parts: [DEPTH, DEPTH + 1, DEPTH - 1] },
    'a split along another axis': { axis: 2 },
  };
  for (const [name, spelling] of Object.entries(otherwise))
    it(`is left alone where it is spelt in another way: ${name}`, () => {
      const model = graph(spelling);
      const { model: same, count } = fuseAttention(model);
      assert.equal(count, 0);
      assert.equal(same, model);
    });
});
