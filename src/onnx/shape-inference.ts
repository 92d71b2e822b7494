import { SamError } from '../errors.js';
import { present } from '../items.js';
import { convAttributes } from './conv-attributes.js';
import { numberAttribute } from './graph.js';
import { FLOAT, INT64, MICROSOFT, type OnnxNode } from './model.js';
import {
  axisOf,
  BOOL,
  broadcastShape,
  elementCount,
  expandValues,
  INT32,
  type Inputs,
  indicesOf,
  infoOfTensor,
  intsAttribute,
  known,
  MOST_VALUES,
  misfit,
  picked,
  positionOf,
  type TensorInfo,
} from './tensor-info.js';

/**
 * Shapes of what a node gives, from the shapes of what it takes; where all shapes are known, so are the integers that
 * graphs compute from them, and with these the shapes that follow. The standard operators that SAM's exports use, as
 * of operator sets 12 to 17.
 */

type Rule = (node: OnnxNode, inputs: readonly TensorInfo[]) => readonly TensorInfo[];

/**
 * @param inputs in the order of `node.inputs`; `undefined` for those left out
 * @throws SamError `unsupported` for an operator that is not known, or a shape that depends on data
 */
export function inferNode(node: OnnxNode, inputs: Inputs): readonly TensorInfo[] {
  const rule = (node.domain === MICROSOFT ? MICROSOFT_RULES : RULES)[node.op];
  if (!['', MICROSOFT].includes(node.domain) || !rule)
    throw new SamError(
      'unsupported',
      `The operator ${node.domain}${node.op} (${node.name}) has no rule for its shape.`,
    );
  return rule(node, inputs as readonly TensorInfo[]);
}

const sameShape: Rule = (_, [x]) => [{ type: x.type, shape: x.shape }];

/** Elementwise with broadcasting; computed where both are known. */
function elementwise(compute?: (a: number, b: number) => number, type?: number): Rule {
  return (_, [a, b]) => {
    const shape = broadcastShape(a.shape, b.shape);
    const result = { type: type ?? a.type, shape };
    if (!compute || !a.values || !b.values || elementCount(shape) > MOST_VALUES) return [result];
    const [left, right] = [expandValues(a, shape), expandValues(b, shape)];
    return [{ ...result, values: left.map((value, i) => compute(value, right[i])) }];
  };
}

function unary(compute: (a: number) => number, type?: number): Rule {
  return (_, [x]) => [{ type: type ?? x.type, shape: x.shape, values: x.values?.map(compute) }];
}

function reshaped(x: TensorInfo, shape: readonly number[]): readonly TensorInfo[] {
  if (elementCount(shape) !== elementCount(x.shape)) throw misfit(`[${x.shape}] cannot be reshaped to [${shape}].`);
  return [{ ...x, shape }];
}

const reshape: Rule = (node, [x, to]) => {
  const wanted = known(node, to).map((length, axis) => (length === 0 ? x.shape[axis] : length));
  const rest = elementCount(x.shape) / elementCount(wanted.filter((length) => length !== -1));
  return reshaped(
    x,
    wanted.map((length) => (length === -1 ? rest : length)),
  );
};

/** Axes come as an attribute up to operator set 12 (17 for ReduceMean and its like), as an input later. */
function axesOf(node: OnnxNode, input: TensorInfo | undefined): readonly number[] | undefined {
  return intsAttribute(node, 'axes') ?? (input ? known(node, input) : undefined);
}

const unsqueeze: Rule = (node, [x, input]) => {
  const axes = axesOf(node, input) ?? [];
  const rank = x.shape.length + axes.length;
  const added = new Set(axes.map((axis) => axisOf(axis, rank)));
  const left = [...x.shape];
  return reshaped(
    x,
    Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : present(left.shift(), 'a length'))),
  );
};

const squeeze: Rule = (node, [x, input]) => {
  const axes = axesOf(node, input)?.map((axis) => axisOf(axis, x.shape.length));
  return reshaped(
    x,
    x.shape.filter((length, axis) => (axes ? !axes.includes(axis) : length !== 1)),
  );
};

const flatten: Rule = (node, [x]) => {
  const axis = axisOf(numberAttribute(node, 'axis', 1), x.shape.length);
  return reshaped(x, [elementCount(x.shape.slice(0, axis)), elementCount(x.shape.slice(axis))]);
};

const reduce: Rule = (node, [x, input]) => {
  const axes = (axesOf(node, input) ?? x.shape.map((_, axis) => axis)).map((axis) => axisOf(axis, x.shape.length));
  const keep = numberAttribute(node, 'keepdims', 1) === 1;
  const shape = x.shape.flatMap((length, axis) => (!axes.includes(axis) ? [length] : keep ? [1] : []));
  return [{ type: x.type, shape }];
};

const matMul: Rule = (_, [a, b]) => {
  if (a.shape.length < 2 || b.shape.length < 2 || a.shape.at(-1) !== b.shape.at(-2))
    throw misfit(`Matrices [${a.shape}] and [${b.shape}] cannot be multiplied.`);
  const outer = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  return [
    {
      type: a.type,
      shape: [
        ...outer,
        present(a.shape.at(-2), 'a length of a matrix'),
        present(b.shape.at(-1), 'a length of a matrix'),
      ],
    },
  ];
};

const gemm: Rule = (node, [a, b]) => {
  const rows = a.shape[numberAttribute(node, 'transA', 0)];
  const columns = b.shape[1 - numberAttribute(node, 'transB', 0)];
  if (a.shape[1 - numberAttribute(node, 'transA', 0)] !== b.shape[numberAttribute(node, 'transB', 0)])
    throw misfit(`Matrices [${a.shape}] and [${b.shape}] cannot be multiplied.`);
  return [{ type: a.type, shape: [rows, columns] }];
};

const conv: Rule = (node, [x, w]) => {
  const { strides, dilations, pads, group } = convAttributes(node);
  if (x.shape.length !== 4 || x.shape[1] !== w.shape[1] * group)
    throw misfit(`${node.op} (${node.name}) cannot take [${x.shape}] with weights [${w.shape}].`);
  const lengths = [0, 1].map((i) => {
    const window = dilations[i] * (w.shape[2 + i] - 1) + 1;
    return Math.floor((x.shape[2 + i] + pads[i] + pads[2 + i] - window) / strides[i]) + 1;
  });
  return [{ type: x.type, shape: [x.shape[0], w.shape[0], ...lengths] }];
};

const convTranspose: Rule = (node, [x, w]) => {
  const { strides, dilations, pads, group } = convAttributes(node);
  const more = intsAttribute(node, 'output_padding') ?? [0, 0];
  const lengths = [0, 1].map((i) => {
    const window = dilations[i] * (w.shape[2 + i] - 1) + 1;
    return strides[i] * (x.shape[2 + i] - 1) + more[i] + window - pads[i] - pads[2 + i];
  });
  return [{ type: x.type, shape: [x.shape[0], w.shape[1] * group, ...lengths] }];
};

const transpose: Rule = (node, [x]) => {
  const perm = intsAttribute(node, 'perm') ?? x.shape.map((_, axis) => x.shape.length - 1 - axis);
  const shape = perm.map((axis) => x.shape[axis]);
  return [
    { type: x.type, shape, values: picked(x, shape, (index) => x.shape.map((_, axis) => index[perm.indexOf(axis)])) },
  ];
};

const concat: Rule = (node, inputs) => {
  const axis = axisOf(numberAttribute(node, 'axis', 0), inputs[0].shape.length);
  const shape = inputs[0].shape.map((length, i) =>
    i === axis ? inputs.reduce((sum, x) => sum + x.shape[i], 0) : length,
  );
  const flat = shape.length === 1 && inputs.every((x) => x.values);
  return [{ type: inputs[0].type, shape, values: flat ? inputs.flatMap((x) => x.values ?? []) : undefined }];
};

/** What one axis keeps under Slice. */
export interface AxisRange {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** @param inputs of the node: data, starts, ends and, if given, axes and steps */
export function sliceRanges(node: OnnxNode, inputs: Inputs): AxisRange[] {
  const [x, starts, ends, axes, steps] = inputs;
  const shape = x?.shape ?? [];
  const from = known(node, starts);
  const to = known(node, ends);
  return from.map((_, i) => {
    const axis = axisOf(axes ? known(node, axes)[i] : i, shape.length);
    const step = steps ? known(node, steps)[i] : 1;
    const length = shape[axis];
    const clamp = (value: number, low: number, high: number) =>
      Math.min(high, Math.max(low, value < 0 ? value + length : value));
    const start = step > 0 ? clamp(from[i], 0, length) : clamp(from[i], 0, length - 1);
    const end = step > 0 ? clamp(to[i], 0, length) : clamp(to[i], -1, length - 1);
    return { axis, start, step, count: Math.max(0, Math.ceil((end - start) / step)) };
  });
}

const slice: Rule = (node, inputs) => {
  const [x] = inputs;
  const shape = [...x.shape];
  const ranges = sliceRanges(node, inputs);
  for (const { axis, count } of ranges) shape[axis] = count;
  const from = new Map(ranges.map((range) => [range.axis, range]));
  const place = (index: number, axis: number) => (from.get(axis)?.start ?? 0) + index * (from.get(axis)?.step ?? 1);
  return [{ type: x.type, shape, values: picked(x, shape, (index) => index.map(place)) }];
};

const pad: Rule = (node, [x, pads]) => {
  const by = known(node, pads);
  const rank = x.shape.length;
  return [{ type: x.type, shape: x.shape.map((length, axis) => length + by[axis] + by[rank + axis]) }];
};

const split: Rule = (node, [x, input]) => {
  const axis = axisOf(numberAttribute(node, 'axis', 0), x.shape.length);
  const parts = node.outputs.length;
  const lengths =
    intsAttribute(node, 'split') ?? (input ? known(node, input) : Array(parts).fill(x.shape[axis] / parts));
  return lengths.map((length) => ({ type: x.type, shape: x.shape.map((old, i) => (i === axis ? length : old)) }));
};

const gather: Rule = (node, [x, indices]) => {
  const axis = axisOf(numberAttribute(node, 'axis', 0), x.shape.length);
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const { values } = indices;
  if (!values) return [{ type: x.type, shape }];
  const rank = indices.shape.length;
  const source = (index: readonly number[]) => {
    const which = values[positionOf(index.slice(axis, axis + rank), indices.shape)];
    return [...index.slice(0, axis), axisOf(which, x.shape[axis]), ...index.slice(axis + rank)];
  };
  return [{ type: x.type, shape, values: picked(x, shape, source) }];
};

const expand: Rule = (node, [x, to]) => {
  const shape = broadcastShape(x.shape, known(node, to));
  const small = x.values && elementCount(shape) <= MOST_VALUES;
  return [{ type: x.type, shape, values: small ? expandValues(x, shape) : undefined }];
};

const tile: Rule = (node, [x, repeats]) => {
  const times = known(node, repeats);
  const shape = x.shape.map((length, axis) => length * times[axis]);
  const small = elementCount(shape) <= MOST_VALUES;
  const source = (index: readonly number[]) => index.map((i, axis) => i % x.shape[axis]);
  return [{ type: x.type, shape, values: small ? picked(x, shape, source) : undefined }];
};

const constantOfShape: Rule = (node, [to]) => {
  const shape = known(node, to);
  const value = node.attributes.find(({ name }) => name === 'value');
  const fill = value?.type === 'tensor' ? infoOfTensor(value.value) : { type: FLOAT, values: [0] };
  const small = elementCount(shape) <= MOST_VALUES;
  const filling = fill.values?.[0] ?? 0;
  return [{ type: fill.type, shape, values: small ? Array(elementCount(shape)).fill(filling) : undefined }];
};

const range: Rule = (node, inputs) => {
  const [start, limit, delta] = inputs.map((info) => known(node, info)[0]);
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  return [{ type: inputs[0].type, shape: [count], values: Array.from({ length: count }, (_, i) => start + i * delta) }];
};

const where: Rule = (_, [condition, a, b]) => {
  const shape = broadcastShape(condition.shape, broadcastShape(a.shape, b.shape));
  if (!condition.values || !a.values || !b.values || elementCount(shape) > MOST_VALUES)
    return [{ type: a.type, shape }];
  const [chosen, yes, no] = [condition, a, b].map((info) => expandValues(info, shape));
  return [{ type: a.type, shape, values: chosen.map((value, i) => (value ? yes[i] : no[i])) }];
};

const cast: Rule = (node, [x]) => {
  const type = numberAttribute(node, 'to', x.type);
  const whole = type === INT64 || type === INT32;
  const values = x.values?.map((value) => (type === BOOL ? Number(value !== 0) : whole ? Math.trunc(value) : value));
  return [{ type, shape: x.shape, values }];
};

const layerNormalization: Rule = (node, [x]) => {
  const axis = axisOf(numberAttribute(node, 'axis', -1), x.shape.length);
  const statistics = { type: FLOAT, shape: x.shape.map((length, i) => (i < axis ? length : 1)) };
  return [{ type: x.type, shape: x.shape }, statistics, statistics].slice(0, node.outputs.length);
};

const resize: Rule = (node, [x, , scales, sizes]) => {
  if (sizes && elementCount(sizes.shape) > 0) return [{ type: x.type, shape: known(node, sizes) }];
  const factors = known(node, scales);
  return [{ type: x.type, shape: x.shape.map((length, axis) => Math.floor(length * factors[axis])) }];
};

const oneHot: Rule = (node, [indices, depth, values]) => {
  const axis = axisOf(numberAttribute(node, 'axis', -1), indices.shape.length + 1);
  const shape = [...indices.shape];
  const count = known(node, depth)[0];
  shape.splice(axis, 0, count);
  const which = indices.values;
  const [off, on] = values.values ?? [];
  if (!which || off === undefined) return [{ type: values.type, shape }];
  const isOn = (index: readonly number[]) =>
    axisOf(
      which[
        positionOf(
          index.filter((_, i) => i !== axis),
          indices.shape,
        )
      ],
      count,
    ) === index[axis];
  return [{ type: values.type, shape, values: Array.from(indicesOf(shape), (index) => (isOn(index) ? on : off)) }];
};

const argMax: Rule = (node, [x]) => {
  const axis = axisOf(numberAttribute(node, 'axis', 0), x.shape.length);
  const keep = numberAttribute(node, 'keepdims', 1) === 1;
  return [{ type: INT64, shape: x.shape.flatMap((length, i) => (i !== axis ? [length] : keep ? [1] : [])) }];
};

const constant: Rule = (node) => {
  const value = node.attributes.find(({ name }) => name === 'value');
  if (value?.type !== 'tensor') throw misfit(`The constant ${node.name} is not a tensor.`);
  return [infoOfTensor(value.value)];
};

/** Quotient as ONNX has it: cut off towards zero for integers. */
const div: Rule = (node, inputs) => {
  const whole = inputs[0].type !== FLOAT;
  return elementwise((a, b) => (whole ? Math.trunc(a / b) : Math.fround(a / b)))(node, inputs);
};

const RULES: Readonly<Record<string, Rule>> = {
  Add: elementwise((a, b) => a + b),
  Sub: elementwise((a, b) => a - b),
  Mul: elementwise((a, b) => a * b),
  Div: div,
  Pow: elementwise((a, b) => a ** b),
  Max: elementwise((a, b) => Math.max(a, b)),
  Min: elementwise((a, b) => Math.min(a, b)),
  Sum: elementwise((a, b) => a + b),
  Equal: elementwise((a, b) => Number(a === b), BOOL),
  Greater: elementwise((a, b) => Number(a > b), BOOL),
  GreaterOrEqual: elementwise((a, b) => Number(a >= b), BOOL),
  Less: elementwise((a, b) => Number(a < b), BOOL),
  And: elementwise((a, b) => Number(a !== 0 && b !== 0), BOOL),
  Or: elementwise((a, b) => Number(a !== 0 || b !== 0), BOOL),
  Not: unary((a) => Number(a === 0), BOOL),
  Neg: unary((a) => -a),
  Abs: unary(Math.abs),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Identity: unary((a) => a),
  Sqrt: sameShape,
  Exp: sameShape,
  Log: sameShape,
  Sin: sameShape,
  Cos: sameShape,
  Erf: sameShape,
  Tanh: sameShape,
  Sigmoid: sameShape,
  Softplus: sameShape,
  Relu: sameShape,
  Sign: sameShape,
  Clip: sameShape,
  Reciprocal: sameShape,
  HardSigmoid: sameShape,
  Softmax: sameShape,
  Shape: (_, [x]) => [{ type: INT64, shape: [x.shape.length], values: x.shape }],
  Cast: cast,
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: range,
  Where: where,
  Reshape: reshape,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Flatten: flatten,
  Transpose: transpose,
  Concat: concat,
  Slice: slice,
  Pad: pad,
  Split: split,
  Gather: gather,
  Expand: expand,
  Tile: tile,
  OneHot: oneHot,
  ArgMax: argMax,
  ReduceMean: reduce,
  ReduceSum: reduce,
  ReduceMax: reduce,
  ReduceMin: reduce,
  ReduceSumSquare: reduce,
  MatMul: matMul,
  Gemm: gemm,
  Conv: conv,
  ConvTranspose: convTranspose,
  LayerNormalization: layerNormalization,
  Resize: resize,
};

const MICROSOFT_RULES: Readonly<Record<string, Rule>> = { Gelu: sameShape, MultiHeadAttention: sameShape };
