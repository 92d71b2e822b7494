import assert from 'node:assert/strict';
import { createNodeRuntime } from '../../src/model/node-runtime.js';
import { float32Of } from '../../src/model/runtime.js';
import { removeDeadCode } from '../../src/onnx/graph.js';
import type { OnnxGraph } from '../../src/onnx/model.js';
import { ShapedBuilder } from '../../src/onnx/shaped-builder.js';
import { unrollInParts } from '../../src/onnx/unroll.js';
import { writeModel } from '../../src/onnx/write.js';
import { backward } from '../../src/training/autodiff/backward.js';
import { seededRandom } from '../support/random.js';

const WIDTH = 16;
const HEADS = 2;
const CELLS = 9;

type Emit = (g: ShapedBuilder, x: string) => string;

interface Case {
  readonly shape: readonly number[];
  readonly weights: Readonly<Record<string, readonly number[]>>;
  readonly emit: Emit;
}

function product(g: ShapedBuilder, x: string, name: string): string {
  return g.add(g.matMul(x, name), `${name} bias`);
}

/** Rows: two products with an activation between them, and what went in added. */
const perceptron = (rows: number): Case => ({
  shape: [1, rows, WIDTH],
  weights: {
    scale: [WIDTH],
    shift: [WIDTH],
    first: [WIDTH, 512],
    'first bias': [512],
    second: [512, WIDTH],
    'second bias': [WIDTH],
  },
  emit(g, x) {
    const twice = g.mul(x, g.scalar(2));
    const inner = g.node('Sigmoid', [product(g, g.layerNorm(twice, 'scale', 'shift', 1e-5), 'first')]);
    return g.add(twice, product(g, inner, 'second'));
  },
});

const gelu = (rows: number): Case => ({
  ...perceptron(rows),
  emit(g, x) {
    const twice = g.mul(x, g.scalar(2));
    const before = product(g, g.layerNorm(twice, 'scale', 'shift', 1e-5), 'first');
    const after = `${before} activated`;
    g.append({ name: after, op: 'Gelu', domain: 'com.microsoft', inputs: [before], outputs: [after], attributes: [] });
    return g.add(twice, product(g, after, 'second'));
  },
});

/** Windows of cells that attend to each other. */
const attention = (windows: number): Case => ({
  shape: [windows, CELLS, WIDTH],
  weights: {
    scale: [WIDTH],
    shift: [WIDTH],
    all: [WIDTH, 3 * WIDTH],
    'all bias': [3 * WIDTH],
    positions: [HEADS, CELLS, CELLS],
    out: [WIDTH, WIDTH],
    'out bias': [WIDTH],
  },
  emit(g, x) {
    const normal = g.layerNorm(g.mul(x, g.scalar(2)), 'scale', 'shift', 1e-5);
    const heads = g.reshape(product(g, normal, 'all'), windows, CELLS, HEADS, (3 * WIDTH) / HEADS);
    const outputs = ['queries', 'keys', 'values'];
    const [axis, length] = [3, WIDTH / HEADS];
    const attributes = [{ name: 'axis', type: 'int', value: axis } as const];
    g.append({
      name: 'Split',
      op: 'Split',
      domain: '',
      inputs: [heads, g.ints(length, length, length)],
      outputs,
      attributes,
    });
    const part = (i: number, ...perm: number[]) => g.transpose(outputs[i], ...perm);
    const scores = g.mul(g.matMul(part(0, 0, 2, 1, 3), part(1, 0, 2, 3, 1)), g.scalar(0.3));
    const weighted = g.matMul(g.softmax(g.add(scores, 'positions')), part(2, 0, 2, 1, 3));
    return product(g, g.reshape(g.transpose(weighted, 0, 2, 1, 3), windows, CELLS, WIDTH), 'out');
  },
});

function graphOf({ shape, weights, emit }: Case): { graph: OnnxGraph; g: ShapedBuilder } {
  const g = new ShapedBuilder('block/');
  const x = g.input('x', [...shape]);
  for (const [name, dims] of Object.entries(weights)) g.input(name, [...dims]);
  g.output('y', emit(g, x));
  return { graph: g.finish('whole').graph, g };
}

describe('blocks of transformers written once for each part', () => {
  const random = seededRandom(5);
  const numbers = (dims: readonly number[]) =>
    Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random() * 2 - 1);

  /** What it gives, and the gradients of its product with some numbers. */
  async function valuesOf(graph: OnnxGraph, { shape, weights }: Case, values: ReadonlyMap<string, Float32Array>) {
    const dims = { x: shape, ...weights, by: shape };
    const g = new ShapedBuilder();
    for (const [name, lengths] of Object.entries(dims)) g.input(name, [...lengths]);
    g.take(graph, {}, ['y']);
    const wanted = ['x', ...Object.keys(weights)];
    for (const [name, gradient] of backward(g, g.total(g.mul('y', 'by')), wanted)) g.output(`by ${name}`, gradient);
    g.output('value', 'y');
    const runtime = await createNodeRuntime({ threads: 1 });
    const model = g.finish('gradients');
    removeDeadCode(model.graph);
    const session = await runtime.createSession(writeModel(model));
    const feeds = Object.entries(dims).map(
      ([name, lengths]) => [name, runtime.tensor('float32', values.get(name) as Float32Array, lengths)] as const,
    );
    const outputs = await session.run(Object.fromEntries(feeds));
    await session.release();
    return new Map(Object.entries(outputs).map(([name, tensor]) => [name, float32Of(tensor)]));
  }

  for (const [what, each] of Object.entries({ rows: gelu(4096), windows: attention(4000) }))
    it(`gives what the whole gives, and its gradients: ${what}`, async () => {
      const { graph, g } = graphOf(each);
      const apart = unrollInParts(graph, 'x', (tensor) => g.shape(tensor));
      const parts = apart.nodes.filter(({ name }) => /\/part 1$/.test(name)).length;
      assert.ok(parts >= 5, `${parts} nodes of the second part`);
      assert.equal(apart.nodes.filter(({ op }) => op === 'Concat').length, 1);
      const values = new Map(
        Object.entries({ x: each.shape, ...each.weights, by: each.shape }).map(([k, dims]) => [k, numbers(dims)]),
      );
      const whole = await valuesOf(graph, each, values);
      const inParts = await valuesOf(apart, each, values);
      assert.deepEqual([...inParts.keys()], [...whole.keys()]);
      for (const [name, expected] of whole) {
        const got = inParts.get(name) as Float32Array;
        const size = Math.sqrt(expected.reduce((sum, value) => sum + value * value, 0));
        const off = Math.sqrt(expected.reduce((sum, value, i) => sum + (value - got[i]) ** 2, 0));
        assert.ok(off <= 1e-5 * size, `${name} is off by ${off / size} of its norm`);
      }
    });

  it('leaves a block as it is that is small, is used from within, or does what is not known to go row by row', () => {
    const inner = (g: ShapedBuilder, x: string) => product(g, g.layerNorm(x, 'scale', 'shift', 1e-5), 'first');
    const shown: Emit = (g, x) => {
      const before = inner(g, x);
      g.output('shown', before);
      return product(g, before, 'second');
    };
    const others = { small: gelu(64), shown: { ...gelu(4096), emit: shown }, unknown: perceptron(4096) };
    for (const [what, each] of Object.entries(others)) {
      const { graph, g } = graphOf(each);
      assert.deepEqual(
        unrollInParts(graph, 'x', (tensor) => g.shape(tensor)),
        graph,
        what,
      );
    }
  });
});
