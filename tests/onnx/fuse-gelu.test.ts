import assert from 'node:assert/strict';
import { createNodeRuntime } from '../../src/model/node-runtime.js';
import { float32Of } from '../../src/model/runtime.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import { fuseGelus } from '../../src/onnx/fuse-gelu.js';
import { MICROSOFT, type OnnxModel } from '../../src/onnx/model.js';
import { writeModel } from '../../src/onnx/write.js';

describe('GELU as one operator', () => {
  /** Of a product with a bias added, as in a perceptron: there x itself is a sum with a constant. */
  function graph(build: (g: GraphBuilder, x: string) => string): OnnxModel {
    const g = new GraphBuilder();
    const x = g.add(g.input('x', [9]), g.constant('bias', [1], Float32Array.of(1)));
    g.output('y', build(g, x), [9]);
    return g.finish('gelu');
  }

  const opsOf = ({ graph: { nodes } }: OnnxModel) => nodes.map(({ op }) => op).filter((op) => op !== 'Identity');

  it('gives what it gives spelt out, natively and in wasm', async () => {
    const model = graph((g, x) => g.gelu(x));
    const fused = fuseGelus({ ...model, opsets: [...model.opsets, { domain: MICROSOFT, version: 1 }] });
    assert.deepEqual(opsOf(fused), ['Add', 'Gelu']);
    const input = Float32Array.from({ length: 9 }, (_, i) => i - 5);
    for (const wasm of [false, true]) {
      const runtime = await createNodeRuntime({ threads: 1, wasm });
      const given: Float32Array[] = [];
      for (const one of [model, fused]) {
        const session = await runtime.createSession(writeModel(one));
        const { y } = await session.run({ x: runtime.tensor('float32', input, [9]) });
        given.push(float32Of(y));
        await session.release();
      }
      const [expected, got] = given;
      assert.ok(Math.max(...got.map((value, i) => Math.abs(value - expected[i]))) < 1e-6, `${got}, not ${expected}`);
    }
  });

  it('stays as it is with another factor, or of another input than that of erf', () => {
    const others = [
      graph((g, x) => g.mul(g.mul(x, g.add(g.node('Erf', [g.div(x, g.scalar(2))]), g.scalar(1))), g.scalar(0.5))),
      graph((g, x) => {
        const erf = g.node('Erf', [g.div(x, g.scalar(Math.SQRT2))]);
        return g.mul(g.mul('x', g.add(erf, g.scalar(1))), g.scalar(0.5));
      }),
    ];
    for (const model of others) assert.ok(!opsOf(fuseGelus(model)).includes('Gelu'));
  });
});
