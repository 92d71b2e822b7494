import { FLOAT, FLOAT16, type OnnxModel, type OnnxNode } from './model.js';

/**
 * Tensors that are kept in half precision outside of a graph, converted inside of it: ONNX Runtime takes a fifth of the
 * time that JavaScript does, in wasm three quarters, and rounds in the same way (to nearest, ties to even).
 */

/**
 * The model with inner float tensors in half precision as further outputs.
 *
 * @param tensors made by nodes of the graph, float32
 * @returns the model, which shares what is unchanged with the one given, and the names of the outputs, in the same order
 */
export function withHalfOutputs(model: OnnxModel, tensors: readonly string[]): { model: OnnxModel; outputs: string[] } {
  const outputs = tensors.map((tensor) => `${tensor}/half`);
  const graph = {
    ...model.graph,
    nodes: [...model.graph.nodes, ...tensors.map((tensor, i) => cast(tensor, outputs[i], FLOAT16))],
    outputs: [...model.graph.outputs, ...outputs.map((name) => ({ name, tensor: { type: FLOAT16 } }))],
  };
  return { model: { ...model, graph }, outputs };
}

/** Inputs of these names are taken in half precision instead of float32; the model is changed in place. */
export function takeHalf({ graph }: OnnxModel, names: readonly string[]): void {
  const isFloat = new Set(graph.inputs.flatMap(({ name, tensor }) => (tensor?.type === FLOAT ? name : [])));
  const wide = new Map(names.filter((name) => isFloat.has(name)).map((name) => [name, `${name}/float`]));
  for (const node of graph.nodes) node.inputs = node.inputs.map((input) => wide.get(input) ?? input);
  graph.inputs = graph.inputs.map((input) =>
    wide.has(input.name) ? { name: input.name, tensor: { ...input.tensor, type: FLOAT16 } } : input,
  );
  graph.nodes.unshift(...[...wide].map(([half, float]) => cast(half, float, FLOAT)));
}

function cast(from: string, to: string, type: number): OnnxNode {
  const attributes: OnnxNode['attributes'] = [{ name: 'to', type: 'int', value: type }];
  return { name: to, op: 'Cast', domain: '', inputs: [from], outputs: [to], attributes };
}
