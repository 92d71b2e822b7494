import { type ChannelsLastConv, channelsLastConvs, kernelAsMatrix } from './channels-last.js';
import { convAttributes } from './conv-attributes.js';
import { attribute, constantOf, producers, removeDeadCode } from './graph.js';
import { floatTensor, int64Tensor, operation } from './make.js';
import type { OnnxModel, OnnxNode, OnnxTensor } from './model.js';
import { FLOAT } from './model.js';

/** ONNX numbers of the element types of 8 bits. */
const INT8 = 3;

/**
 * Weights use 7 of their 8 bits: processors without VNNI add two products of unsigned and signed bytes in 16 bits, where
 * larger ones would be cut off (ONNX Runtime, "Quantize ONNX models", reduce_range).
 */
const LARGEST = 63;

/** Fewer multiplications than this are not worth the measuring of the input's range. */
const SMALLEST_WEIGHT = 64 * 64;

/**
 * Matrix products with constant weights in 8-bit integers: weights with one scale for each column, the other factor with
 * one scale for each run (DynamicQuantizeLinear). Convolutions whose channels are last before and after are such products,
 * too, of what lies under their windows. Bodies of loops (`Scan`) are rewritten likewise, with one scale for each turn. All
 * else stays in float32. Operator set 11 or newer.
 *
 * @returns the model, which shares what is unchanged with the one given, and how many products were rewritten
 */
export function quantizeProducts(model: OnnxModel): { model: OnnxModel; count: number } {
  const constants = new Map(model.graph.initializers.map((tensor) => [tensor.name, tensor]));
  const made = producers(model.graph);
  const windows = new Map(channelsLastConvs(model.graph).map((conv) => [conv.back, conv]));
  const nodes: OnnxNode[] = [];
  const initializers = [...model.graph.initializers];
  /** A tensor that goes into several products (queries, keys, values) is quantized once. */
  const quantized = new Map<string, string>();
  let count = 0;
  for (const node of model.graph.nodes) {
    if (node.op === 'Scan' && node.domain === '') {
      const attributes = node.attributes.map((given) => {
        if (given.type !== 'graph') return given;
        const body = quantizeProducts({ ...model, graph: given.value });
        count += body.count;
        return { ...given, value: body.model.graph };
      });
      nodes.push({ ...node, attributes });
      continue;
    }
    const weight = node.op === 'MatMul' && node.domain === '' ? constants.get(node.inputs[1]) : undefined;
    const conv = windows.get(node);
    const window = conv && windowOf(conv);
    const matrix = window ? matrixOf(conv) : weight && !made.has(weight.name) ? weight : undefined;
    const columns = matrix && quantizeColumns(matrix);
    if (!columns) {
      nodes.push(node);
      continue;
    }
    const x = conv ? conv.input : node.inputs[0];
    const base = `${node.outputs[0]}/int8`;
    let input = quantized.get(x);
    if (input === undefined) {
      input = `${x}/int8`;
      quantized.set(x, input);
      nodes.push({
        ...operation('DynamicQuantizeLinear', [x], input),
        outputs: [input, `${input} scale`, `${input} zero`],
      });
    }
    initializers.push(
      { ...columns.weight, name: `${base} weight` },
      { ...columns.scale, name: `${base} weight scale` },
    );
    initializers.push({ name: `${base} weight zero`, dims: [], type: INT8, raw: new Uint8Array(1) });
    const unfolded = window && unfold(input, `${base} windows`, window);
    if (unfolded) {
      nodes.push(...unfolded.nodes);
      initializers.push(...unfolded.initializers);
    }
    const factors = [unfolded ? `${base} windows` : input, `${base} weight`, `${input} zero`, `${base} weight zero`];
    nodes.push(
      operation('MatMulInteger', factors, `${base} sum`),
      operation('Cast', [`${base} sum`], `${base} float`, [{ name: 'to', type: 'int', value: FLOAT }]),
      operation('Mul', [`${input} scale`, `${base} weight scale`], `${base} scale`),
      operation('Mul', [`${base} float`, `${base} scale`], node.outputs[0]),
    );
    count++;
  }
  const graph = { ...model.graph, nodes, initializers };
  removeDeadCode(graph);
  return { model: { ...model, graph }, count };
}

/** What a convolution sees at a time: [height, width], and how far beyond the edges: top, left, bottom, right. */
interface Window {
  readonly kernel: readonly [height: number, width: number];
  readonly pads: readonly number[];
}

/** Of convolutions that are one product: of all channels, pixel by pixel, without a bias, as SAM's neck has it. */
function windowOf({ conv, weight }: ChannelsLastConv): Window | undefined {
  const { group, strides, dilations, pads } = convAttributes(conv);
  const isPlain = group === 1 && [...strides, ...dilations].every((n) => n === 1) && conv.inputs.length === 2;
  const stated = attribute(conv, 'auto_pad') === undefined;
  const [, , height, width] = weight.dims;
  return isPlain && stated ? { kernel: [height, width], pads } : undefined;
}

function matrixOf({ weight }: ChannelsLastConv): OnnxTensor {
  const [outs] = weight.dims;
  return floatTensor('', [weight.data.length / outs, outs], kernelAsMatrix(weight));
}

/** [N, H, W, C] in bytes → [N, H, W, height * width * C], what lies under the window of each pixel; beyond the edges is 0. */
function unfold(
  input: string,
  output: string,
  { kernel: [height, width], pads: [top, left, bottom, right] }: Window,
): { nodes: OnnxNode[]; initializers: OnnxTensor[] } {
  const [padded, pads, axes] = [`${output}/padded`, `${output}/pads`, `${output}/axes`];
  const nodes = [operation('Pad', [input, pads, `${input} zero`], padded)];
  const initializers = [int64Tensor(pads, [0, top, left, 0, 0, bottom, right, 0]), int64Tensor(axes, [1, 2])];
  const parts: string[] = [];
  const end = (from: number, length: number) => (from === length - 1 ? END : from - length + 1);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const part = `${output}/${y} ${x}`;
      parts.push(part);
      initializers.push(
        int64Tensor(`${part}/from`, [y, x]),
        int64Tensor(`${part}/to`, [end(y, height), end(x, width)]),
      );
      nodes.push(operation('Slice', [padded, `${part}/from`, `${part}/to`, axes], part));
    }
  nodes.push(operation('Concat', parts, output, [{ name: 'axis', type: 'int', value: 3 }]));
  return { nodes, initializers };
}

/** To a slice, however long the axis is. */
const END = 2 ** 31 - 1;

/** A matrix [K, N] as bytes and one scale for each of its N columns. */
function quantizeColumns(tensor: OnnxTensor): { weight: OnnxTensor; scale: OnnxTensor } | undefined {
  if (tensor.type !== FLOAT || tensor.dims.length !== 2) return undefined;
  const constant = constantOf(tensor);
  const [rows, columns] = tensor.dims;
  if (!constant || rows * columns < SMALLEST_WEIGHT) return undefined;
  const { data } = constant;
  const scale = new Float32Array(columns);
  for (let from = 0; from < data.length; from += columns)
    for (let j = 0; j < columns; j++) scale[j] = Math.max(scale[j], Math.abs(data[from + j]));
  // A column of zeros keeps them, with any scale.
  for (let j = 0; j < columns; j++) scale[j] = (scale[j] || 1) / LARGEST;
  const bytes = new Int8Array(data.length);
  for (let from = 0; from < data.length; from += columns)
    for (let j = 0; j < columns; j++) bytes[from + j] = Math.round(data[from + j] / scale[j]);
  return {
    weight: { name: '', dims: [rows, columns], type: INT8, raw: new Uint8Array(bytes.buffer) },
    scale: { name: '', dims: [columns], type: FLOAT, raw: new Uint8Array(scale.buffer) },
  };
}
