import assert from 'node:assert/strict';
import { createNodeRuntime } from '../../src/model/node-runtime.js';
import { float32Of, type OrtRuntime } from '../../src/model/runtime.js';
import { removeDeadCode } from '../../src/onnx/graph.js';
import { MICROSOFT } from '../../src/onnx/model.js';
import { ShapedBuilder } from '../../src/onnx/shaped-builder.js';
import { elementCount } from '../../src/onnx/tensor-info.js';
import { writeModel } from '../../src/onnx/write.js';
import { backward } from '../../src/training/autodiff/backward.js';
import { RULES } from '../../src/training/autodiff/vjp.js';
import { seededRandom } from '../support/random.js';

/** Every rule against central differences of the same graph's loss, element by element. */

interface Case {
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly build: (g: ShapedBuilder) => string;
  /** Where the inputs lie; for functions that are not defined everywhere. */
  readonly from?: number;
  readonly to?: number;
}

const image = { x: [2, 3, 6, 5] };
const kernel = (...w: number[]) => ({ x: [2, 3, 6, 5], w, b: [w[0]] });
const conv = (attributes: Record<string, number | number[]>) => (g: ShapedBuilder) =>
  g.node('Conv', ['x', 'w', 'b'], attributes);
const elementwise = (op: string, from = -1, to = 1): Case => ({
  inputs: { x: [3, 4] },
  build: (g) => g.node(op, ['x']),
  from,
  to,
});
const broadcast = (op: string, from = -1): Case => ({
  inputs: { a: [2, 1, 4], b: [3, 1] },
  build: (g) => g.node(op, ['a', 'b']),
  from,
});
const viewed = (op: string, ...to: number[]): Case => ({
  inputs: { x: [2, 1, 6] },
  build: (g) => g.mul(g.node(op, ['x', g.ints(...to)]), g.node(op, ['x', g.ints(...to)])),
});

const CASES: Readonly<Record<string, Case>> = {
  Add: broadcast('Add'),
  Sum: broadcast('Sum'),
  Sub: broadcast('Sub'),
  Mul: broadcast('Mul'),
  Div: broadcast('Div', 0.5),
  Max: broadcast('Max'),
  Neg: elementwise('Neg'),
  Identity: elementwise('Identity'),
  Abs: elementwise('Abs'),
  Sqrt: elementwise('Sqrt', 0.5, 2),
  Reciprocal: elementwise('Reciprocal', 0.5, 2),
  Exp: elementwise('Exp'),
  Log: elementwise('Log', 0.5, 2),
  Sin: elementwise('Sin'),
  Cos: elementwise('Cos'),
  Erf: elementwise('Erf'),
  Relu: elementwise('Relu'),
  Gelu: {
    inputs: { x: [3, 4] },
    build: (g) => {
      const gelu = { name: 'gelu', op: 'Gelu', domain: MICROSOFT, inputs: ['x'], outputs: ['y'], attributes: [] };
      g.append(gelu);
      return 'y';
    },
    from: -3,
    to: 3,
  },
  Sigmoid: elementwise('Sigmoid', -3, 3),
  Tanh: elementwise('Tanh'),
  Softplus: elementwise('Softplus', -3, 3),
  Pow: { inputs: { x: [3, 4] }, build: (g) => g.node('Pow', ['x', g.scalar(3)]) },
  'Pow of two': { inputs: { x: [3, 4] }, build: (g) => g.node('Pow', ['x', g.scalar(2)]) },
  Where: {
    inputs: { a: [2, 3], b: [3] },
    build: (g) => g.node('Where', [g.node('Greater', ['a', g.scalar(0.1)]), 'a', 'b']),
  },
  MatMul: { inputs: { a: [2, 3, 4], b: [4, 5] }, build: (g) => g.matMul('a', 'b') },
  'MatMul of batches': { inputs: { a: [2, 2, 3, 4], b: [2, 4, 2] }, build: (g) => g.matMul('a', 'b') },
  Gemm: {
    inputs: { a: [3, 4], b: [2, 4], c: [2] },
    build: (g) => g.node('Gemm', ['a', 'b', 'c'], { transB: 1 }),
  },
  'Gemm, not transposed': { inputs: { a: [3, 4], b: [4, 2] }, build: (g) => g.node('Gemm', ['a', 'b']) },
  Softmax: { inputs: { x: [3, 4] }, build: (g) => g.softmax('x') },
  LayerNormalization: {
    inputs: { x: [3, 8], w: [8], b: [8] },
    build: (g) => g.layerNorm('x', 'w', 'b', 1e-5),
  },
  ReduceSum: { inputs: image, build: (g) => g.mul('x', g.sumOver('x', [1, 3])) },
  ReduceMean: { inputs: image, build: (g) => g.mul('x', g.meanOver('x', [-1])) },
  Expand: { inputs: { x: [3, 1] }, build: (g) => g.mul('x', g.node('Expand', ['x', g.ints(2, 3, 4)])) },
  Tile: { inputs: { x: [2, 3] }, build: (g) => g.sigmoid(g.node('Tile', ['x', g.ints(2, 2)])) },
  Transpose: { inputs: image, build: (g) => g.matMul(g.transpose('x', 0, 1, 3, 2), 'x') },
  Reshape: viewed('Reshape', 3, 4),
  Squeeze: viewed('Squeeze', 1),
  Unsqueeze: viewed('Unsqueeze', 0),
  Flatten: { inputs: image, build: (g) => g.sigmoid(g.node('Flatten', ['x'], { axis: 2 })) },
  Concat: { inputs: { a: [2, 3], b: [2, 1] }, build: (g) => g.sigmoid(g.concat(['a', 'b', 'a'], 1)) },
  Split: {
    inputs: { x: [2, 4] },
    build: (g) => {
      g.append({
        name: 'split',
        op: 'Split',
        domain: '',
        inputs: ['x', g.ints(1, 3)],
        outputs: ['left', 'right'],
        attributes: [{ name: 'axis', type: 'int', value: 1 }],
      });
      return g.mul('left', 'right');
    },
  },
  Slice: { inputs: image, build: (g) => g.sigmoid(g.node('Slice', ['x', g.ints(1, -3), g.ints(9, -1), g.ints(2, 3)])) },
  Pad: { inputs: image, build: (g) => g.sigmoid(g.pad('x', [0, 1, 0, 2], [1, 0, 0, 1])) },
  Gather: { inputs: image, build: (g) => g.sigmoid(g.node('Gather', ['x', g.ints(1, 2)], { axis: 2 })) },
  'Gather of one': {
    inputs: image,
    build: (g) => g.sigmoid(g.node('Gather', ['x', g.indices('last', [], [-1])], { axis: 1 })),
  },
  Resize: { inputs: { x: [2, 2, 3, 4] }, build: (g) => g.enlarge('x', 2) },
  Conv: { inputs: kernel(4, 3, 3, 3), build: conv({ pads: [1, 1, 1, 1] }) },
  'Conv, fewer outputs than inputs': { inputs: kernel(2, 3, 3, 3), build: conv({ pads: [1, 1, 1, 1] }) },
  'Conv, padded beyond the kernel': { inputs: kernel(2, 3, 2, 2), build: conv({ pads: [2, 1, 2, 1] }) },
  'Conv of one image': {
    inputs: { x: [1, 3, 6, 5], w: [2, 3, 3, 3], b: [2] },
    build: conv({ pads: [1, 1, 1, 1] }),
  },
  'Conv of one image, more outputs than inputs': {
    inputs: { x: [1, 2, 6, 5], w: [3, 2, 3, 3], b: [3] },
    build: conv({ pads: [1, 1, 1, 1] }),
  },
  'Conv 1 x 1': { inputs: kernel(4, 3, 1, 1), build: conv({}) },
  'Conv, uneven padding': { inputs: kernel(2, 3, 3, 2), build: conv({ pads: [0, 1, 2, 0] }) },
  'Conv, stride 2': { inputs: kernel(4, 3, 3, 3), build: conv({ pads: [1, 1, 1, 1], strides: [2, 2] }) },
  'Conv, 2 x 2 patches': { inputs: kernel(4, 3, 2, 2), build: conv({ strides: [2, 2] }) },
  'Conv, dilated': { inputs: kernel(2, 3, 3, 3), build: conv({ pads: [2, 2, 2, 2], dilations: [2, 2] }) },
  'Conv, depthwise': { inputs: kernel(3, 1, 3, 3), build: conv({ pads: [1, 1, 1, 1], group: 3 }) },
  'Conv, depthwise, stride 2': {
    inputs: kernel(3, 1, 3, 3),
    build: conv({ pads: [1, 1, 1, 1], strides: [2, 2], group: 3 }),
  },
  'Conv of one image, depthwise': {
    inputs: { x: [1, 3, 6, 5], w: [3, 1, 3, 3], b: [3] },
    build: conv({ pads: [1, 1, 1, 1], group: 3 }),
  },
  'Conv of one image, depthwise, stride 2, dilated': {
    inputs: { x: [1, 3, 7, 9], w: [3, 1, 3, 2], b: [3] },
    build: conv({ pads: [1, 2, 1, 0], strides: [2, 2], dilations: [1, 2], group: 3 }),
  },
  'Conv of one image, depthwise, whose last rows are left out': {
    inputs: { x: [1, 3, 6, 6], w: [3, 1, 3, 3], b: [3] },
    build: conv({ strides: [2, 2], group: 3 }),
  },
  ConvTranspose: {
    inputs: { x: [2, 3, 2, 3], w: [3, 4, 2, 2], b: [4] },
    build: (g) => g.node('ConvTranspose', ['x', 'w', 'b'], { strides: [2, 2] }),
  },
};

describe('automatic differentiation', () => {
  let runtime: OrtRuntime;
  before(async () => {
    runtime = await createNodeRuntime({ threads: 1 });
  });

  it('has a case for every rule', () => {
    const tested = new Set(Object.keys(CASES).map((name) => name.split(/[ ,]/)[0]));
    assert.deepEqual(
      Object.keys(RULES).filter((op) => !tested.has(op)),
      [],
    );
  });

  for (const [name, one] of Object.entries(CASES)) {
    it(`agrees with finite differences: ${name}`, async () => {
      assert.ok((await worstError(runtime, one)) < 5e-3);
    });
  }

  it('adds up what reaches a tensor by several ways, and leaves out what the loss does not see', async () => {
    const g = new ShapedBuilder();
    g.input('x', [1]);
    g.input('y', [1]);
    const loss = g.total(g.add(g.mul('x', 'x'), g.mul('x', g.scalar(3))));
    const gradients = backward(g, loss, ['x', 'y']);
    assert.equal(gradients.has('y'), false);
    g.output('dx', gradients.get('x') as string);
    const session = await runtime.createSession(serialised(g));
    const { dx } = await session.run({ x: runtime.tensor('float32', Float32Array.of(5), [1]) });
    assert.equal(float32Of(dx)[0], 13);
    await session.release();
  });

  it('says which operator it cannot differentiate', () => {
    const g = new ShapedBuilder();
    g.input('x', [4]);
    const loss = g.total(g.node('HardSigmoid', ['x']));
    assert.throws(() => backward(g, loss, ['x']), /HardSigmoid.*cannot be differentiated/);
  });
});

function serialised(g: ShapedBuilder): Uint8Array {
  const model = g.finish('test');
  removeDeadCode(model.graph);
  return writeModel(model);
}

/** The largest difference of a gradient's element from the central difference, relative to the largest element. */
async function worstError(runtime: OrtRuntime, { inputs, build, from = -1, to = 1 }: Case): Promise<number> {
  const random = seededRandom(5);
  const draw = (shape: readonly number[], low: number, high: number) =>
    Float32Array.from({ length: elementCount(shape) }, () => low + random() * (high - low));
  const g = new ShapedBuilder();
  const names = Object.keys(inputs);
  const values = new Map(names.map((name) => [name, draw(inputs[name], from, to)]));
  for (const name of names) g.input(name, [...inputs[name]]);
  const result = build(g);
  const weights = g.constant('weights', g.shape(result), draw(g.shape(result), -1, 1));
  const loss = g.total(g.mul(result, weights));
  const gradients = backward(g, loss, names);
  g.output('loss', loss);
  for (const name of names) g.output(`d ${name}`, gradients.get(name) as string);
  const session = await runtime.createSession(serialised(g));
  const run = (fetches: string[]) => {
    const feeds = names.map((name) => [
      name,
      runtime.tensor('float32', values.get(name) as Float32Array, inputs[name]),
    ]);
    return session.run(Object.fromEntries(feeds), fetches);
  };
  const found = await run(names.map((name) => `d ${name}`));
  let worst = 0;
  for (const name of names) {
    const gradient = float32Of(found[`d ${name}`]);
    const scale = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
    const x = values.get(name) as Float32Array;
    for (let i = 0; i < x.length; i++) {
      const kept = x[i];
      const at = async (step: number) => {
        x[i] = kept + step;
        return float32Of((await run(['loss'])).loss)[0];
      };
      const step = 4e-3;
      const difference = ((await at(step)) - (await at(-step))) / (2 * step);
      x[i] = kept;
      worst = Math.max(worst, Math.abs(difference - gradient[i]) / scale);
    }
  }
  await session.release();
  return worst;
}
