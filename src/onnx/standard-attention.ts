import { attribute, numberAttribute } from './graph.js';
import { int64Tensor, operation } from './make.js';
import { MICROSOFT, type OnnxGraph, type OnnxModel, type OnnxNode, type OnnxTensor } from './model.js';

/** The operator set in which the standard has attention. */
const WITH_ATTENTION = 23;

/** Of the operator sets from 11 on those that say the same of all that a graph may ask of them. */
const UNCHANGED = new Set(
  [
    ['Add', 'Cast', 'Clip', 'Concat', 'Constant', 'ConstantOfShape', 'Conv', 'Div', 'DynamicQuantizeLinear', 'Erf'],
    ['Gather', 'Identity', 'LayerNormalization', 'MatMul', 'MatMulInteger', 'Mul', 'Pad', 'Pow', 'Relu', 'Reshape'],
    ['Scan', 'Shape', 'Sigmoid', 'Slice', 'Sqrt', 'Sub', 'Tanh', 'Transpose'],
  ].flat(),
);

/**
 * Attentions as `fuseAttention` writes them by the standard's operator instead of ONNX Runtime's own, which is slower (on one
 * core with AVX-512, windows of 14 x 14 and 7 x 7: by a third and by more), but is there for models of any operator set. The
 * results differ by rounding. The model comes to be of operator set 23; one with operators that may mean something else
 * there stays as it is.
 *
 * @returns the model, which shares what is unchanged with the one given, and how many attentions were rewritten
 */
export function useStandardAttention(model: OnnxModel): { model: OnnxModel; count: number } {
  const version = model.opsets.find(({ domain }) => domain === '')?.version ?? 0;
  const unchanged = { model, count: 0 };
  if (version < 11 || version > WITH_ATTENTION || !allNodes(model.graph).every(canBeRaised)) return unchanged;
  const rewriter = new Rewriter();
  const graph = rewriter.graph(model.graph);
  if (rewriter.count === 0) return unchanged;
  const others = model.opsets.filter(({ domain }) => domain !== '');
  return {
    model: { ...model, opsets: [{ domain: '', version: WITH_ATTENTION }, ...others], graph },
    count: rewriter.count,
  };
}

class Rewriter {
  count = 0;

  graph(graph: OnnxGraph): OnnxGraph {
    const initializers = [...graph.initializers];
    const nodes = graph.nodes.map((node) => this.node(node, initializers));
    return { ...graph, nodes, initializers };
  }

  private node(node: OnnxNode, initializers: OnnxTensor[]): OnnxNode {
    if (isAttention(node)) {
      this.count++;
      return attention(node);
    }
    const axes = AXES_AS_ATTRIBUTE.has(node.op) ? attribute(node, 'axes') : undefined;
    if (Array.isArray(axes)) {
      const name = `${node.outputs[0]}/axes`;
      initializers.push(int64Tensor(name, axes.map(Number)));
      return { ...node, inputs: [node.inputs[0], name], attributes: [] };
    }
    if (!node.attributes.some(({ type }) => type === 'graph')) return node;
    const attributes = node.attributes.map((given) =>
      given.type === 'graph' ? { ...given, value: this.graph(given.value) } : given,
    );
    return { ...node, attributes };
  }
}

/** Until operator set 12. */
const AXES_AS_ATTRIBUTE = new Set(['Squeeze', 'Unsqueeze']);

function canBeRaised(node: OnnxNode): boolean {
  return node.domain !== '' || UNCHANGED.has(node.op) || AXES_AS_ATTRIBUTE.has(node.op);
}

/** Of queries, keys, values and what is added for how far apart positions are, all without biases or a mask. */
function isAttention({
  op,
  domain,
  inputs: [, keys, values, bias, mask, positions, ...rest],
  outputs,
}: OnnxNode): boolean {
  const isPlain = !bias && !mask && rest.every((input) => input === '') && outputs.length === 1;
  return op === 'MultiHeadAttention' && domain === MICROSOFT && !!keys && !!values && !!positions && isPlain;
}

function attention(node: OnnxNode): OnnxNode {
  const [queries, keys, values, , , positions] = node.inputs;
  const heads = numberAttribute(node, 'num_heads', 1);
  const scale = node.attributes.filter(({ name }) => name === 'scale');
  return operation('Attention', [queries, keys, values, positions], node.outputs[0], [
    { name: 'q_num_heads', type: 'int', value: heads },
    { name: 'kv_num_heads', type: 'int', value: heads },
    ...scale,
  ]);
}

function allNodes(graph: OnnxGraph): OnnxNode[] {
  return graph.nodes.flatMap((node) => [
    node,
    ...node.attributes.flatMap((given) => (given.type === 'graph' ? allNodes(given.value) : [])),
  ]);
}
