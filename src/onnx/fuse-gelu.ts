import { removeDeadCode } from './graph.js';
import { GraphReader } from './graph-reader.js';
import { MICROSOFT, type OnnxModel, type OnnxNode } from './model.js';

/**
 * GELU as exporters write it out (half of x times one more than erf of x over the root of two) as ONNX Runtime's operator of
 * that name, which it runs in one pass. ONNX Runtime fuses it by itself, but not where it is differentiated.
 *
 * @returns the model, which shares what is unchanged with the one given
 */
export function fuseGelus(model: OnnxModel): OnnxModel {
  const reader = new GraphReader(model.graph);
  const nodes = model.graph.nodes.map((node): OnnxNode => {
    const input = node.op === 'Mul' ? inputOfGelu(node, reader) : undefined;
    if (input === undefined) return node;
    return { ...node, op: 'Gelu', domain: MICROSOFT, inputs: [input], attributes: [] };
  });
  const graph = { ...model.graph, nodes };
  removeDeadCode(graph);
  return { ...model, graph };
}

function inputOfGelu(node: OnnxNode, reader: GraphReader): string | undefined {
  const half = reader.withConstant(node);
  const product = reader.node(half?.input, 'Mul');
  if (!half || !product || !is(half.constant.data, 0.5)) return undefined;
  return product.inputs.find((input, i) => {
    const more = reader.withConstant(reader.node(product.inputs[1 - i], 'Add'));
    const scaled = reader.withConstant(reader.node(reader.node(more?.input, 'Erf')?.inputs[0], 'Div'));
    return more && scaled?.input === input && is(more.constant.data, 1) && is(scaled.constant.data, Math.SQRT2);
  });
}

function is(data: Float32Array, value: number): boolean {
  return data.length === 1 && Math.abs(data[0] - value) < 1e-6;
}
