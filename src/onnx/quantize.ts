import { constantOf, producers, removeDeadCode } from './graph.js';
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
 * one scale for each run (DynamicQuantizeLinear). All else stays in float32. Operator set 11 or newer.
 *
 * @returns the model, which shares what is unchanged with the one given, and how many products were rewritten
 */
export function quantizeMatMuls(model: OnnxModel): { model: OnnxModel; count: number } {
  const constants = new Map(model.graph.initializers.map((tensor) => [tensor.name, tensor]));
  const made = producers(model.graph);
  const nodes: OnnxNode[] = [];
  const initializers = [...model.graph.initializers];
  /** A tensor that goes into several products (queries, keys, values) is quantized once. */
  const quantized = new Map<string, string>();
  let count = 0;
  for (const node of model.graph.nodes) {
    const weight = node.op === 'MatMul' && node.domain === '' ? constants.get(node.inputs[1]) : undefined;
    const columns = weight && !made.has(weight.name) ? quantizeColumns(weight) : undefined;
    if (!columns) {
      nodes.push(node);
      continue;
    }
    const [x] = node.inputs;
    const base = `${node.outputs[0]}/int8`;
    let input = quantized.get(x);
    if (input === undefined) {
      input = `${x}/int8`;
      quantized.set(x, input);
      nodes.push(operation('DynamicQuantizeLinear', [x], [input, `${input} scale`, `${input} zero`]));
    }
    initializers.push(
      { ...columns.weight, name: `${base} weight` },
      { ...columns.scale, name: `${base} weight scale` },
    );
    initializers.push({ name: `${base} weight zero`, dims: [], type: INT8, raw: new Uint8Array(1) });
    nodes.push(
      operation('MatMulInteger', [input, `${base} weight`, `${input} zero`, `${base} weight zero`], [`${base} sum`]),
      operation('Cast', [`${base} sum`], [`${base} float`], FLOAT),
      operation('Mul', [`${input} scale`, `${base} weight scale`], [`${base} scale`]),
      operation('Mul', [`${base} float`, `${base} scale`], [node.outputs[0]]),
    );
    count++;
  }
  const graph = { ...model.graph, nodes, initializers };
  removeDeadCode(graph);
  return { model: { ...model, graph }, count };
}

function operation(op: string, inputs: string[], outputs: string[], to?: number): OnnxNode {
  const attributes: OnnxNode['attributes'] = to === undefined ? [] : [{ name: 'to', type: 'int', value: to }];
  return { name: outputs[0], op, domain: '', inputs, outputs, attributes };
}

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
