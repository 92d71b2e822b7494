import { producers } from './graph.js';
import { FLOAT, type OnnxModel } from './model.js';

/** Whether a node of the graph makes a tensor of this name. */
export function makesTensor({ graph }: OnnxModel, tensor: string): boolean {
  return producers(graph).has(tensor);
}

/** The model with inner float tensors as further outputs, under their own names; the others stay as they are. */
export function withOutputs(model: OnnxModel, tensors: readonly string[]): OnnxModel {
  const known = new Set(model.graph.outputs.map(({ name }) => name));
  const added = tensors.filter((name) => !known.has(name)).map((name) => ({ name, tensor: { type: FLOAT } }));
  return { ...model, graph: { ...model.graph, outputs: [...model.graph.outputs, ...added] } };
}
