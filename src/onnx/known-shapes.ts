import type { OnnxGraph } from './model.js';
import { inferNode } from './shape-inference.js';
import { infoOfTensor, type TensorInfo } from './tensor-info.js';

/** What can be told of a graph's tensors before it runs, by their names; nothing of what follows an operator without a rule. */
export function knownShapes(graph: OnnxGraph): ReadonlyMap<string, TensorInfo> {
  const infos = new Map(graph.initializers.map((tensor) => [tensor.name, infoOfTensor(tensor)]));
  for (const { name, tensor } of graph.inputs)
    if (tensor?.shape?.every((length) => typeof length === 'number'))
      infos.set(name, { type: tensor.type, shape: tensor.shape as number[] });
  for (const node of graph.nodes) {
    if (node.inputs.some((input) => input !== '' && !infos.has(input))) continue;
    try {
      const made = inferNode(
        node,
        node.inputs.map((input) => infos.get(input)),
      );
      for (const [i, output] of node.outputs.entries()) infos.set(output, made[i]);
    } catch {
      // It has no rule, or depends on data.
    }
  }
  return infos;
}
