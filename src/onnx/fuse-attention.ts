import { attribute, type Constant, numberAttribute, removeDeadCode } from './graph.js';
import { GraphReader } from './graph-reader.js';
import { floatTensor, operation } from './make.js';
import { MICROSOFT, type OnnxModel, type OnnxNode, type OnnxTensor } from './model.js';

/**
 * Attention as exporters write it out (one product for queries, keys and values, split, transposed, multiplied, scaled,
 * with biases for how far apart two positions are, softmax, multiplied, transposed) as three products and ONNX Runtime's
 * operator `MultiHeadAttention`, which moves and keeps nothing in between: the encoder of vit_t takes an eighth less time,
 * in int8 a twelfth. What is spelt in another way stays as it is.
 *
 * @returns the model, which shares what is unchanged with the one given, and how many attentions were rewritten
 */
export function fuseAttention(model: OnnxModel): { model: OnnxModel; count: number } {
  const reader = new AttentionReader(model.graph);
  const initializers = [...model.graph.initializers];
  let count = 0;
  const nodes = model.graph.nodes.flatMap((node) => {
    const found = node.op === 'Reshape' ? reader.attentionEndingIn(node) : undefined;
    if (!found) return node;
    count++;
    const fused = fusedNodes(found, node.outputs[0]);
    initializers.push(...fused.initializers);
    return fused.nodes;
  });
  if (count === 0) return { model, count };
  const graph = { ...model.graph, nodes, initializers };
  removeDeadCode(graph);
  const others = model.opsets.filter(({ domain }) => domain !== MICROSOFT);
  return { model: { ...model, opsets: [...others, { domain: MICROSOFT, version: 1 }], graph }, count };
}

interface FoundAttention {
  /** [N, cells, width]. */
  readonly input: string;
  /** [width, 3 * width]; the columns are, head by head, those of its queries, keys and values. */
  readonly weight: Constant;
  /** [3 * width]. */
  readonly bias: Constant;
  /** [1, heads, cells, cells]. */
  readonly positions: Constant;
  readonly scale: number;
}

class AttentionReader extends GraphReader {
  attentionEndingIn(reshape: OnnxNode): FoundAttention | undefined {
    const joined = this.node(reshape.inputs[0], 'Transpose', SWAPPED);
    const product = this.node(joined?.inputs[0], 'MatMul');
    const softmax = this.node(product?.inputs[0], 'Softmax');
    const positions = this.withConstant(this.node(softmax?.inputs[0], 'Add'));
    const scale = this.withConstant(this.node(positions?.input, 'Mul'));
    const compared = this.node(scale?.input, 'MatMul');
    const queries = this.node(compared?.inputs[0], 'Transpose', SWAPPED);
    const keys = this.node(compared?.inputs[1], 'Transpose', SWAPPED_AND_TURNED);
    const values = this.node(product?.inputs[1], 'Transpose', SWAPPED);
    const split = this.node(queries?.inputs[0], 'Split');
    const shaped = this.node(split?.inputs[0], 'Reshape');
    const bias = this.withConstant(this.node(shaped?.inputs[0], 'Add'));
    const projected = this.node(bias?.input, 'MatMul');
    const weight = this.constant(projected?.inputs[1]);
    if (!softmax || !positions || !scale || !queries || !keys || !values || !split || !bias || !projected || !weight)
      return undefined;

    const [heads, cells] = positions.constant.dims;
    const [width, columns] = weight.dims;
    const parts = [queries, keys, values].map(({ inputs }) => inputs[0]);
    const fits =
      [-1, 3].includes(numberAttribute(softmax, 'axis', -1)) &&
      numberAttribute(split, 'axis', 0) === 3 &&
      String(parts) === String(split.outputs) &&
      String(this.lengthsOf(split)) === String(Array(3).fill(width / heads)) &&
      String(positions.constant.dims) === String([heads, cells, cells]) &&
      scale.constant.data.length === 1 &&
      columns === 3 * width &&
      bias.constant.data.length === columns;
    if (!fits) return undefined;
    return {
      input: projected.inputs[0],
      weight,
      bias: bias.constant,
      positions: { dims: [1, heads, cells, cells], data: positions.constant.data },
      scale: scale.constant.data[0],
    };
  }

  /** Of the parts of a split: an attribute until operator set 12, then an input. */
  private lengthsOf(split: OnnxNode): readonly number[] {
    const stated = attribute(split, 'split');
    return Array.isArray(stated) ? stated.map(Number) : [...(this.constant(split.inputs[1])?.data ?? [])];
  }
}

/** [N, cells, heads, depth] ↔ [N, heads, cells, depth]. */
const SWAPPED = '0,2,1,3';
/** [N, cells, heads, depth] → [N, heads, depth, cells]. */
const SWAPPED_AND_TURNED = '0,2,3,1';

/**
 * Biases are added to queries and values before the operator, where they cost nothing beside their products (ONNX Runtime
 * makes one operator of both, in int8 too); in it they would be passes of their own. Those of keys change nothing: they add
 * the same to all that a query is compared with, and softmax takes it away.
 */
function fusedNodes(found: FoundAttention, output: string): { nodes: OnnxNode[]; initializers: OnnxTensor[] } {
  const { input, weight, bias, positions, scale } = found;
  const [width] = weight.dims;
  const [, heads] = positions.dims;
  const offsets = floatTensor(`${output}/positions`, positions.dims, positions.data);
  const initializers = [offsets];
  const nodes = PARTS.flatMap((name, part): OnnxNode[] => {
    const made = `${output}/${name}`;
    const product = name === 'keys' ? made : `${made} product`;
    const columns = columnsOf(weight.data, part, width, heads);
    initializers.push(floatTensor(`${made} weight`, [width, width], columns));
    const multiply = operation('MatMul', [input, `${made} weight`], product);
    if (name === 'keys') return [multiply];
    const added = columnsOf(bias.data, part, width, heads);
    initializers.push(floatTensor(`${made} bias`, [width], added));
    return [multiply, operation('Add', [product, `${made} bias`], made)];
  });
  const attention: OnnxNode = {
    ...operation('MultiHeadAttention', [...PARTS.map((name) => `${output}/${name}`), '', '', offsets.name], output),
    domain: MICROSOFT,
    attributes: [
      { name: 'num_heads', type: 'int', value: heads },
      { name: 'scale', type: 'float', value: scale },
    ],
  };
  return { nodes: [...nodes, attention], initializers };
}

const PARTS = ['queries', 'keys', 'values'] as const;

/** Of rows whose columns are, head by head, queries, keys and values: those of one part, head by head. */
function columnsOf(data: Float32Array, part: number, width: number, heads: number): Float32Array {
  const depth = width / heads;
  const columns = new Float32Array(data.length / 3);
  for (let to = 0, head = 0; to < columns.length; to += depth, head++) {
    const from = (3 * head + part) * depth;
    columns.set(data.subarray(from, from + depth), to);
  }
  return columns;
}
