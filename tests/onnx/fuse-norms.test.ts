import assert from 'node:assert/strict';
import { createNodeRuntime } from '../../src/model/node-runtime.js';
import { GraphBuilder } from '../../src/onnx/builder.js';
import { fuseNorms } from '../../src/onnx/fuse-norms.js';
import type { OnnxModel } from '../../src/onnx/model.js';
import { writeModel } from '../../src/onnx/write.js';
import { seededRandom } from '../support/random.js';

const SHAPE = [2, 24, 5, 7];

/** What exporters may write otherwise. */
interface Spelling {
  readonly axis?: number;
  readonly secondAxis?: number;
  readonly power?: number;
  readonly weightShape?: readonly number[];
  readonly ofSquares?: boolean;
}

describe('layer norms as one operator', () => {
  const random = seededRandom(11);
  const numbers = (length: number) => Float32Array.from({ length }, () => random() * 2 - 1);

  /** As PyTorch exports them: over channels, or over the last axis. */
  function graph({ axis = 1, secondAxis = axis, power = 2, weightShape, ofSquares }: Spelling = {}): OnnxModel {
    const g = new GraphBuilder();
    const x = g.input('x', SHAPE);
    const length = SHAPE.at(axis) as number;
    const shape = weightShape ?? (axis === 1 ? [length, 1, 1] : [length]);
    const centred = g.node('Sub', [x, g.node('ReduceMean', [x], { axes: [axis], keepdims: 1 })]);
    const squares = g.node('Pow', [ofSquares ? x : centred, g.scalar(power)]);
    const variance = g.node('ReduceMean', [squares], { axes: [secondAxis], keepdims: 1 });
    const normal = g.node('Div', [centred, g.node('Sqrt', [g.add(variance, g.scalar(1e-5))])]);
    const weighted = g.mul(g.constant('weight', shape, numbers(length)), normal);
    g.output('y', g.add(weighted, g.constant('bias', shape, numbers(length))), SHAPE);
    return g.finish('norm');
  }

  async function run(model: OnnxModel, x: Float32Array, wasm = false): Promise<Float32Array> {
    const runtime = await createNodeRuntime({ threads: 1, wasm });
    const session = await runtime.createSession(writeModel(model));
    const { y } = await session.run({ x: runtime.tensor('float32', x, SHAPE) });
    await session.release();
    return y.data as Float32Array;
  }

  for (const axis of [1, -1])
    it(`give what the graph gave that spells them out, natively and in wasm: axis ${axis}`, async () => {
      const model = graph({ axis });
      const before = writeModel(model);
      const { model: fused, count } = fuseNorms(model);
      assert.equal(count, 1);
      assert.deepEqual(writeModel(model), before, 'the model given is as it was');
      const ops = fused.graph.nodes
        .map(({ op }) => op)
        .filter((op) => !['Transpose', 'Reshape', 'Identity'].includes(op));
      assert.deepEqual(ops, ['LayerNormalization']);
      const x = numbers(SHAPE.reduce((a, b) => a * b));
      const expected = await run(model, x);
      for (const wasm of [false, true]) {
        const got = await run(fused, x, wasm);
        const error = Math.max(...got.map((value, i) => Math.abs(value - expected[i])));
        assert.ok(error < 5e-6, `wasm ${wasm}: ${error}`);
      }
    });

  const otherwise: Readonly<Record<string, Spelling>> = {
    'a mean along one axis and squares along another': { axis: 1, secondAxis: 2 },
    'another power': { power: 4 },
    'squares of what still has its mean': { ofSquares: true },
    'weights along another axis': { axis: 1, weightShape: [1, 24, 1, 1] },
  };
  for (const [name, spelling] of Object.entries(otherwise))
    it(`stay as they are with ${name}`, () => {
      const model = graph(spelling);
      const result = fuseNorms(model);
      assert.equal(result.count, 0);
      assert.equal(result.model, model);
    });
});
