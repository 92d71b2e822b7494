import { attribute, type Constant, constantOf, producers } from './graph.js';
import type { OnnxGraph, OnnxNode, OnnxTensor } from './model.js';

/** Follows a graph backwards, from what is made to what it is made of. */
export class GraphReader {
  private readonly made: ReadonlyMap<string, OnnxNode>;
  private readonly stored: ReadonlyMap<string, OnnxTensor>;

  constructor(graph: OnnxGraph) {
    this.made = producers(graph);
    this.stored = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  }

  /** The node that makes a tensor, if it is of this kind. */
  node(tensor: string | undefined, op: string, perm?: string): OnnxNode | undefined {
    const node = this.made.get(tensor ?? '');
    if (node?.op !== op || node.domain !== '' || (perm !== undefined && String(attribute(node, 'perm')) !== perm))
      return undefined;
    return node;
  }

  /** The operands of a node of two, one of which is a constant. */
  withConstant(node: OnnxNode | undefined): { input: string; name: string; constant: Constant } | undefined {
    const constants = (node?.inputs ?? []).map((input) => this.constant(input));
    const at = constants.findIndex((constant) => constant !== undefined);
    const constant = constants[at];
    return node && constant && { input: node.inputs[1 - at], name: node.inputs[at], constant };
  }

  constant(name = ''): Constant | undefined {
    const node = this.made.get(name);
    const tensor = this.stored.get(name) ?? (node?.op === 'Constant' ? attribute(node, 'value') : undefined);
    return typeof tensor === 'object' && 'dims' in tensor ? constantOf(tensor) : undefined;
  }
}
