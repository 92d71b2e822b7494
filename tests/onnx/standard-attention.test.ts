import assert from 'node:assert/strict';
import { createNodeRuntime } from '../../src/model/node-runtime.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import type { OnnxModel } from '../../src/onnx/model.js';
import { useStandardAttention } from '../../src/onnx/standard-attention.js';
import { writeModel } from '../../src/onnx/write.js';
import { seededRandom } from '../support/random.js';

const [TURNS, CELLS, HEADS, DEPTH] = [2, 9, 4, 8];
const WIDTH = HEADS * DEPTH;

describe("attention by the standard's operator", () => {
  const random = seededRandom(23);
  const numbers = (length: number) => Float32Array.from({ length }, () => random() * 2 - 1);

  /** Attention in the body of a loop, beside an axis put in as until operator set 12, or by a further operator. */
  function graph(further?: string, mask = ''): OnnxModel {
    const body = new GraphBuilder();
    const x = body.input('part', [1, CELLS, WIDTH]);
    const parts = [0.5, 1, 2].map((factor) => body.mul(x, body.scalar(factor)));
    const positions = body.constant('positions', [1, HEADS, CELLS, CELLS], numbers(HEADS * CELLS * CELLS));
    const inputs = [...parts, '', mask && body.constant(mask, [1, CELLS], numbers(CELLS)), positions];
    const joined = body.node('MultiHeadAttention', inputs, { num_heads: HEADS, scale: { float: 0.3 } });
    body.output('result', further ? body.node(further, [joined]) : joined, [1, CELLS, WIDTH]);
    const { graph: inner } = body.finish('part');
    for (const node of inner.nodes) if (node.op === 'MultiHeadAttention') node.domain = 'com.microsoft';

    const g = new GraphBuilder();
    const whole = g.input('x', [TURNS, CELLS, WIDTH]);
    const apart = g.node('Unsqueeze', [whole]);
    g.output('y', g.node('Scan', [apart]), [TURNS, 1, CELLS, WIDTH]);
    const model = g.finish('loop');
    for (const node of model.graph.nodes) {
      if (node.op === 'Unsqueeze') node.attributes = [{ name: 'axes', type: 'ints', value: [1] }];
      if (node.op === 'Scan')
        node.attributes = [
          { name: 'num_scan_inputs', type: 'int', value: 1 },
          { name: 'body', type: 'graph', value: inner },
        ];
    }
    const opsets = [
      { domain: '', version: 12 },
      { domain: 'com.microsoft', version: 1 },
    ];
    return { ...model, opsets };
  }

  async function run(model: OnnxModel, x: Float32Array, wasm: boolean): Promise<Float32Array> {
    const runtime = await createNodeRuntime({ threads: 1, wasm });
    const session = await runtime.createSession(writeModel(model));
    const { y } = await session.run({ x: runtime.tensor('float32', x, [TURNS, CELLS, WIDTH]) });
    await session.release();
    return y.data as Float32Array;
  }

  for (const wasm of [false, true])
    it(`gives what ONNX Runtime's own gives, in loops too, ${wasm ? 'in wasm' : 'natively'}`, async () => {
      const model = graph();
      const before = writeModel(model);
      const { model: changed, count } = useStandardAttention(model);
      assert.equal(count, 1);
      assert.deepEqual(writeModel(model), before, 'the model given is as it was');
      assert.deepEqual(changed.opsets[0], { domain: '', version: 23 });
      const x = numbers(TURNS * CELLS * WIDTH);
      const [got, expected] = [await run(changed, x, wasm), await run(model, x, wasm)];
      const error = Math.max(...got.map((value, i) => Math.abs(value - expected[i])));
      assert.ok(got.length === expected.length && error < 1e-5, `differs by up to ${error}`);
    });

  it('is left alone beside operators that may mean something else in newer operator sets, and with a mask', () => {
    for (const model of [graph('ReduceMean'), graph(undefined, 'mask')]) {
      const { model: same, count } = useStandardAttention(model);
      assert.equal(count, 0);
      assert.equal(same, model);
    }
    const { opsets } = graph();
    assert.equal(useStandardAttention({ ...graph(), opsets: [{ ...opsets[0], version: 24 }] }).count, 0);
  });
});
