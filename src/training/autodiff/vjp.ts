import { SamError } from '../../errors.js';
import { attribute, numberAttribute } from '../../onnx/graph.js';
import { FLOAT, type OnnxNode } from '../../onnx/model.js';
import { sliceRanges } from '../../onnx/shape-inference.js';
import type { ShapedBuilder } from '../../onnx/shaped-builder.js';
import { axisOf, elementCount, intsAttribute } from '../../onnx/tensor-info.js';
import { convGradients, convTransposeGradients } from './vjp-conv.js';

/**
 * Vector-Jacobian products: for each operator, how the gradients of its inputs follow from those of its outputs, again in
 * standard operators.
 *
 * @param outputs gradients of the node's outputs; at least one is there
 * @param wanted which inputs a gradient is wanted of; others may be left out
 */
export type Rule = (
  g: ShapedBuilder,
  node: OnnxNode,
  outputs: readonly (string | undefined)[],
  wanted: readonly boolean[],
) => readonly (string | undefined)[];

/** For operators with one output: gradients as functions, called if wanted. */
type Lazy = (g: ShapedBuilder, node: OnnxNode, d: string) => readonly ((() => string) | undefined)[];

function lazily(rule: Lazy): Rule {
  return (g, node, [d], wanted) =>
    rule(g, node, d as string).map((gradient, i) => (wanted[i] ? gradient?.() : undefined));
}

/** For operators of one input. */
function single(gradient: (g: ShapedBuilder, d: string, x: string, y: string, node: OnnxNode) => string): Rule {
  return lazily((g, node, d) => [() => gradient(g, d, node.inputs[0], node.outputs[0], node)]);
}

/** Undoes broadcasting: sums over the axes along which `shape` was repeated. */
function sumTo(g: ShapedBuilder, x: string, shape: readonly number[]): string {
  const from = g.shape(x);
  const offset = from.length - shape.length;
  const axes = from.flatMap((length, axis) =>
    axis < offset || (shape[axis - offset] === 1 && length !== 1) ? [axis] : [],
  );
  return g.shaped(g.sumOver(x, axes), shape);
}

function expandTo(g: ShapedBuilder, x: string, shape: readonly number[]): string {
  return String(g.shape(x)) === String(shape) ? x : g.node('Expand', [x, g.ints(...shape)]);
}

function swapLast(g: ShapedBuilder, x: string): string {
  const rank = g.shape(x).length;
  return g.transpose(x, ...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2);
}

function toFloat(g: ShapedBuilder, x: string): string {
  return g.node('Cast', [x], { to: FLOAT });
}

function refuse(node: OnnxNode, why: string): never {
  throw new SamError('unsupported', `${node.op} (${node.name}) cannot be differentiated: ${why}.`);
}

const matMul = lazily((g, { inputs: [a, b] }, d) => {
  const [left, right] = [g.shape(a), g.shape(b)];
  if (right.length === 2) {
    // Gemm takes its arguments transposed without moving them.
    const [inner, columns] = right;
    const rows = elementCount(left) / inner;
    const flat = g.shaped(d, [rows, columns]);
    return [
      () => g.shaped(g.node('Gemm', [flat, b], { transA: 0, transB: 1 }), left),
      () => g.node('Gemm', [g.shaped(a, [rows, inner]), flat], { transA: 1, transB: 0 }),
    ];
  }
  return [() => sumTo(g, g.matMul(d, swapLast(g, b)), left), () => sumTo(g, g.matMul(swapLast(g, a), d), right)];
});

const gemm = lazily((g, node, d) => {
  const [a, b, c] = node.inputs;
  const transB = numberAttribute(node, 'transB', 0);
  if (numberAttribute(node, 'transA', 0) !== 0) refuse(node, 'its left side is transposed');
  for (const scale of ['alpha', 'beta']) if (numberAttribute(node, scale, 1) !== 1) refuse(node, `${scale} is not 1`);
  return [
    () => g.node('Gemm', [d, b], { transA: 0, transB: 1 - transB }),
    () =>
      transB ? g.node('Gemm', [d, a], { transA: 1, transB: 0 }) : g.node('Gemm', [a, d], { transA: 1, transB: 0 }),
    c === undefined ? undefined : () => sumTo(g, d, g.shape(c)),
  ];
});

const concat = lazily((g, node, d) => {
  const axis = axisOf(numberAttribute(node, 'axis', 0), g.shape(d).length);
  let end = 0;
  return node.inputs.map((input) => {
    const start = end;
    end += g.shape(input)[axis];
    const range = [start, end] as const;
    return () => g.slice(d, ...range, axis);
  });
});

const split: Rule = (g, node, outputs) => {
  const axis = axisOf(numberAttribute(node, 'axis', 0), g.shape(node.inputs[0]).length);
  const parts = node.outputs.map((output, i) => outputs[i] ?? expandTo(g, g.scalar(0), g.shape(output)));
  return [g.concat(parts, axis)];
};

const slice = single((g, d, x, _, node) => {
  const shape = g.shape(x);
  const before = shape.map(() => 0);
  const after = shape.map(() => 0);
  const inputs = node.inputs.map((input) => (input === '' ? undefined : g.info(input)));
  for (const { axis, start, step, count } of sliceRanges(node, inputs)) {
    if (step !== 1) refuse(node, `its step is ${step}`);
    before[axis] = start;
    after[axis] = shape[axis] - start - count;
  }
  return g.pad(d, before, after);
});

const pad = single((g, d, x, _, node) => {
  const before = g.info(node.inputs[1]).values ?? refuse(node, 'its lengths are not known');
  return g.shape(x).reduce((part, length, axis) => {
    const whole = g.shape(part)[axis] === length;
    return whole ? part : g.slice(part, before[axis], before[axis] + length, axis);
  }, d);
});

/** Of a constant index, one or several that follow each other: what a token or a part is taken with. */
const gather = single((g, d, x, _, node) => {
  const shape = g.shape(x);
  const axis = axisOf(numberAttribute(node, 'axis', 0), shape.length);
  const indices = g.info(node.inputs[1]).values?.map((index) => axisOf(index, shape[axis]));
  if (!indices?.every((index, i) => index === indices[0] + i)) refuse(node, 'its indices are not one constant range');
  const count = indices.length;
  const part = g.shaped(
    d,
    shape.map((length, i) => (i === axis ? count : length)),
  );
  const at = (length: number) => shape.map((_, i) => (i === axis ? length : 0));
  return g.pad(part, at(indices[0]), at(shape[axis] - indices[0] - count));
});

const softmax = single((g, d, _, y, node) => {
  const rank = g.shape(y).length;
  const weighted = g.mul(d, y);
  return g.sub(weighted, g.mul(y, g.sumOver(weighted, [axisOf(numberAttribute(node, 'axis', -1), rank)])));
});

function reduction(g: ShapedBuilder, node: OnnxNode, d: string): { spread: string; count: number } {
  const shape = g.shape(node.inputs[0]);
  const given = intsAttribute(node, 'axes') ?? (node.inputs[1] ? g.info(node.inputs[1]).values : undefined);
  const axes = (given ?? shape.map((_, axis) => axis)).map((axis) => axisOf(axis, shape.length));
  const kept = shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
  return { spread: g.shaped(d, kept), count: axes.reduce((product, axis) => product * shape[axis], 1) };
}

const tile = single((g, d, x) => {
  const shape = g.shape(x);
  const whole = g.shape(d);
  const parts = g.shaped(
    d,
    shape.flatMap((length, axis) => [whole[axis] / length, length]),
  );
  return g.shaped(
    g.sumOver(
      parts,
      shape.map((_, axis) => 2 * axis),
    ),
    shape,
  );
});

/** Over the last axis. */
const layerNormalization: Rule = (g, node, [d], wanted) => {
  const [x, weight, bias] = node.inputs;
  const shape = g.shape(x);
  const last = shape.length - 1;
  if (axisOf(numberAttribute(node, 'axis', -1), shape.length) !== last) refuse(node, 'it goes over several axes');
  const dy = d as string;
  const length = shape[last];
  const normal = `${node.name} without weights`;
  const inverse = `${node.name} inverse deviation`;
  const [ones, zeros] = [g.fill('ones', length, 1), g.fill('zeros', length, 0)];
  g.append({ ...node, name: normal, inputs: [x, ones, zeros], outputs: [normal, `${node.name} mean`, inverse] });
  const weighted = g.mul(dy, normal);
  const input = () => {
    const dn = g.mul(dy, weight);
    const mean = (t: string) => g.mul(t, g.scalar(1 / length));
    const ofNormal = mean(g.matMul(weighted, g.shaped(weight, [length, 1])));
    const across = g.add(g.mul(normal, ofNormal), mean(g.matMul(dy, g.shaped(weight, [length, 1]))));
    return g.mul(g.sub(dn, across), inverse);
  };
  return [
    wanted[0] ? input() : undefined,
    wanted[1] ? sumTo(g, weighted, g.shape(weight)) : undefined,
    wanted[2] ? sumTo(g, dy, g.shape(bias)) : undefined,
  ];
};

/** Linear enlargement by whole factors, as in `ShapedBuilder.enlarge`: back by the transposed weights, axis by axis. */
const resize = single((g, d, x, y, node) => {
  const text = (name: string) => new TextDecoder().decode(attribute(node, name) as Uint8Array);
  if (text('mode') !== 'linear' || text('coordinate_transformation_mode') !== 'half_pixel')
    refuse(node, 'only linear resizing with half-pixel centres can be');
  const [from, to] = [g.shape(x), g.shape(y)];
  const columns = g.constant(`resize ${from[3]} ${to[3]}`, [to[3], from[3]], interpolation(from[3], to[3]));
  const rows = g.constant(`resize ${from[2]} ${to[2]}`, [to[2], from[2]], interpolation(from[2], to[2]));
  return g.matMul(g.transpose(rows, 1, 0), g.matMul(d, columns));
});

/** [to, from]: how much of each input position goes into each output position. */
function interpolation(from: number, to: number): Float32Array {
  const weights = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const at = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
    const below = Math.floor(at);
    weights[i * from + below] += 1 - (at - below);
    weights[i * from + Math.min(below + 1, from - 1)] += at - below;
  }
  return weights;
}

/** ONNX Runtime's: x Φ(x), whose derivative is Φ(x) + x φ(x). Each pass over these largest tensors of an encoder counts. */
const gelu = single((g, d, x) => {
  const scaled = g.mul(x, g.scalar(Math.SQRT1_2));
  const half = g.scalar(0.5);
  const share = g.add(g.mul(g.node('Erf', [scaled]), half), half);
  const density = g.node('Exp', [g.sub(g.scalar(-Math.log(2 * Math.PI) / 2), g.mul(scaled, scaled))]);
  return g.mul(d, g.add(share, g.mul(x, density)));
});

const keepShape = single((g, d, x) => g.shaped(d, g.shape(x)));

export const RULES: Readonly<Record<string, Rule>> = {
  Add: lazily((g, { inputs }, d) => inputs.map((input) => () => sumTo(g, d, g.shape(input)))),
  Sum: lazily((g, { inputs }, d) => inputs.map((input) => () => sumTo(g, d, g.shape(input)))),
  Sub: lazily((g, { inputs: [a, b] }, d) => [() => sumTo(g, d, g.shape(a)), () => g.neg(sumTo(g, d, g.shape(b)))]),
  Mul: lazily((g, { inputs: [a, b] }, d) => [
    () => sumTo(g, g.mul(d, b), g.shape(a)),
    () => sumTo(g, g.mul(d, a), g.shape(b)),
  ]),
  Div: lazily((g, { inputs: [a, b], outputs: [y] }, d) => [
    () => sumTo(g, g.div(d, b), g.shape(a)),
    () => g.neg(sumTo(g, g.div(g.mul(d, y), b), g.shape(b))),
  ]),
  Neg: single((g, d) => g.neg(d)),
  Identity: single((_, d) => d),
  Abs: single((g, d, x) => g.mul(d, g.node('Sign', [x]))),
  Pow: lazily((g, node, d) => {
    const [x, power] = node.inputs;
    const exponent = g.info(power).values?.[0] ?? refuse(node, 'its power is not a constant');
    const lower = exponent === 2 ? x : g.node('Pow', [x, g.scalar(exponent - 1)]);
    return [() => g.mul(d, g.mul(lower, g.scalar(exponent))), undefined];
  }),
  Sqrt: single((g, d, _, y) => g.div(g.mul(d, g.scalar(0.5)), y)),
  Reciprocal: single((g, d, _, y) => g.neg(g.mul(d, g.mul(y, y)))),
  Exp: single((g, d, _, y) => g.mul(d, y)),
  Log: single((g, d, x) => g.div(d, x)),
  Sin: single((g, d, x) => g.mul(d, g.node('Cos', [x]))),
  Cos: single((g, d, x) => g.neg(g.mul(d, g.node('Sin', [x])))),
  Erf: single((g, d, x) => {
    const factor = g.scalar(Math.log(2 / Math.sqrt(Math.PI)));
    return g.mul(d, g.node('Exp', [g.sub(factor, g.mul(x, x))]));
  }),
  // A choice between two tensors takes half as long again.
  Relu: single((g, d, _, y) => g.mul(d, toFloat(g, g.node('Greater', [y, g.scalar(0)])))),
  Gelu: gelu,
  Sigmoid: single((g, d, _, y) => g.mul(d, g.mul(y, g.sub(g.scalar(1), y)))),
  Tanh: single((g, d, _, y) => g.mul(d, g.sub(g.scalar(1), g.mul(y, y)))),
  Softplus: single((g, d, x) => g.mul(d, g.sigmoid(x))),
  Max: lazily((g, { inputs: [a, b] }, d) => [
    () => sumTo(g, g.mul(d, toFloat(g, g.node('Greater', [a, b]))), g.shape(a)),
    () => sumTo(g, g.mul(d, toFloat(g, g.node('GreaterOrEqual', [b, a]))), g.shape(b)),
  ]),
  Where: lazily((g, { inputs: [condition, a, b] }, d) => [
    undefined,
    () => sumTo(g, g.node('Where', [condition, d, g.scalar(0)]), g.shape(a)),
    () => sumTo(g, g.node('Where', [condition, g.scalar(0), d]), g.shape(b)),
  ]),
  MatMul: matMul,
  Gemm: gemm,
  Softmax: softmax,
  LayerNormalization: layerNormalization,
  ReduceSum: single((g, d, x, _, node) => expandTo(g, reduction(g, node, d).spread, g.shape(x))),
  ReduceMean: single((g, d, x, _, node) => {
    const { spread, count } = reduction(g, node, d);
    return expandTo(g, g.mul(spread, g.scalar(1 / count)), g.shape(x));
  }),
  Expand: single((g, d, x) => sumTo(g, d, g.shape(x))),
  Tile: tile,
  Transpose: single((g, d, x, _, node) => {
    const perm = intsAttribute(node, 'perm') ?? g.shape(x).map((_, axis) => g.shape(x).length - 1 - axis);
    return g.transpose(d, ...perm.map((_, axis) => perm.indexOf(axis)));
  }),
  Reshape: keepShape,
  Flatten: keepShape,
  Squeeze: keepShape,
  Unsqueeze: keepShape,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Gather: gather,
  Resize: resize,
  Conv: lazily(convGradients),
  ConvTranspose: lazily(convTransposeGradients),
};

/** Steps, choices and what is computed from shapes: the gradient is zero, or taken as zero. */
export const WITHOUT_GRADIENT: ReadonlySet<string> = new Set([
  'And',
  'ArgMax',
  'Cast',
  'Ceil',
  'Equal',
  'Floor',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'Not',
  'OneHot',
  'Or',
  'ReduceMax',
  'ReduceMin',
  'Sign',
]);
