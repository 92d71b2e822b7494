import { attribute, numberAttribute, removeDeadCode } from './graph.js';
import { knownShapes } from './known-shapes.js';
import { int64Tensor, operation } from './make.js';
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from './model.js';
import { FLOAT, MICROSOFT } from './model.js';
import { elementCount, type TensorInfo } from './tensor-info.js';

/**
 * What should lie in a core's own cache at a time, in bytes: of the widest tensor in between. Others lie beside it, and some
 * cores have but one MB.
 */
const PART = 640 * 1024;
/** Fewer parts gain nothing. */
const FEWEST_PARTS = 4;
/** Of weights, which every part reads again, in bytes. */
const MOST_WEIGHTS = 4 * 1024 * 1024;

/**
 * From a norm on, what goes row by row (a block's two products with the activation between them) or window by window
 * (attention, as `fuseAttention` writes it) is computed for some rows or windows after the other (operator `Scan`), so that
 * what lies in between stays in the cache; for a whole image it is tens of megabytes, which are written to memory and read
 * again for each operator. The numbers are the same.
 *
 * @param model operator set 9 or newer; where shapes are not known it stays as it is
 * @returns the model, which shares what is unchanged with the one given, and how many stretches of it go in parts
 */
export function runInParts(model: OnnxModel): { model: OnnxModel; count: number } {
  const { graph } = model;
  const hasScan = model.opsets.some(({ domain, version }) => domain === '' && version >= 9);
  const norms = hasScan ? graph.nodes.filter(({ op }) => op === 'LayerNormalization') : [];
  const finder = new StretchFinder(graph);
  const initializers = [...graph.initializers];
  /** By the last node of each stretch. */
  const instead = new Map<OnnxNode, OnnxNode[]>();
  const moved = new Set<OnnxNode>();
  for (const norm of norms) {
    const found = moved.has(norm) ? undefined : finder.from(norm);
    if (!found) continue;
    for (const node of found.nodes) moved.add(node);
    const written = scanned(found);
    initializers.push(...written.initializers);
    instead.set(found.nodes[found.nodes.length - 1], written.nodes);
  }
  const count = instead.size;
  if (count === 0) return { model, count };
  const nodes = graph.nodes.flatMap((node) => instead.get(node) ?? (moved.has(node) ? [] : [node]));
  const changed = { ...graph, nodes, initializers };
  removeDeadCode(changed);
  return { model: { ...model, graph: changed }, count };
}

interface Stretch {
  /** In their order; the last one makes what is used elsewhere. */
  readonly nodes: readonly OnnxNode[];
  readonly input: string;
  readonly shape: readonly number[];
  readonly constants: readonly OnnxTensor[];
  /** How many parts, and the shape of one. */
  readonly parts: readonly [count: number, ...part: number[]];
}

class StretchFinder {
  private readonly shapes: ReadonlyMap<string, TensorInfo>;
  private readonly constants: ReadonlyMap<string, OnnxTensor>;
  private readonly users = new Map<string, OnnxNode[]>();
  private readonly results: ReadonlySet<string>;

  constructor(private readonly graph: OnnxGraph) {
    this.shapes = knownShapes(graph);
    const constants = new Map<string, OnnxTensor>();
    for (const tensor of graph.initializers) if (!tensor.later && !tensor.external) constants.set(tensor.name, tensor);
    for (const node of graph.nodes) {
      const value = node.op === 'Constant' ? attribute(node, 'value') : undefined;
      if (typeof value === 'object' && 'dims' in value) constants.set(node.outputs[0], value);
      for (const input of node.inputs) this.users.set(input, [...(this.users.get(input) ?? []), node]);
    }
    this.constants = constants;
    this.results = new Set(graph.outputs.map(({ name }) => name));
  }

  from(norm: OnnxNode): Stretch | undefined {
    const [input] = norm.inputs;
    const shape = this.shapes.get(input)?.shape ?? [];
    const inside = new Set([input]);
    const nodes = this.graph.nodes.slice(this.graph.nodes.indexOf(norm)).filter((node, i) => {
      const belongs = i === 0 || node.inputs.some((name) => name !== input && inside.has(name));
      if (!belongs || !this.goesRowByRow(node, inside, shape)) return false;
      inside.add(node.outputs[0]);
      return true;
    });
    const moved = new Set(nodes);
    const leaving = nodes.filter(
      ({ outputs: [made] }) => this.results.has(made) || this.users.get(made)?.some((user) => !moved.has(user)),
    );
    const products = nodes.filter(({ op }) => op === 'MatMul').length;
    if (shape.length < 2 || products < 2 || leaving.length !== 1 || leaving[0] !== nodes[nodes.length - 1])
      return undefined;
    const named = new Set(nodes.flatMap(({ inputs }) => inputs.filter((name) => !inside.has(name))));
    const constants = [...named].flatMap((name) => {
      const tensor = this.constants.get(name);
      return tensor ? { ...tensor, name } : [];
    });
    const parts = this.partsOf(nodes, shape);
    const weights = constants.reduce((sum, { dims }) => sum + 4 * elementCount(dims), 0);
    return parts && weights <= MOST_WEIGHTS ? { nodes, input, shape, constants, parts } : undefined;
  }

  /** Whether a node takes and gives rows of one tensor after the other, or windows. */
  private goesRowByRow(node: OnnxNode, inside: ReadonlySet<string>, whole: readonly number[]): boolean {
    const { op, domain, inputs, outputs } = node;
    const isInner = (name: string) => inside.has(name);
    const constant = (name: string) => this.constants.get(name)?.dims;
    const [first, ...others] = inputs;
    const rank = whole.length;
    if (outputs.length !== 1) return false;
    if (domain === MICROSOFT) {
      const [queries, keys, values, bias, mask, positions, ...rest] = inputs;
      const isPlain = op === 'MultiHeadAttention' && [queries, keys, values].every(isInner) && !bias && !mask;
      return isPlain && rank === 3 && rest.length === 0 && constant(positions ?? '')?.[0] === 1;
    }
    if (domain !== '') return false;
    switch (op) {
      case 'LayerNormalization':
        return isInner(first) && others.every(constant) && [-1, rank - 1].includes(numberAttribute(node, 'axis', -1));
      case 'MatMul':
        return isInner(first) && constant(inputs[1])?.length === 2;
      case 'Erf':
        return isInner(first);
      case 'Add':
      case 'Sub':
      case 'Mul':
      case 'Div': {
        const widths = new Set(inputs.filter(isInner).map((name) => this.shapes.get(name)?.shape.join()));
        return widths.size === 1 && inputs.every((name) => isInner(name) || (constant(name)?.length ?? 2) < 2);
      }
      default:
        return false;
    }
  }

  /** Rows are those of all axes but the last one; with attention among them, windows are the first axis. */
  private partsOf(nodes: readonly OnnxNode[], shape: readonly number[]): Stretch['parts'] | undefined {
    const attention = nodes.find(({ op }) => op === 'MultiHeadAttention');
    const [count, ...one] = attention ? shape : [elementCount(shape.slice(0, -1)), shape[shape.length - 1]];
    const lengths = nodes.map(({ outputs }) => elementCount(this.shapes.get(outputs[0])?.shape ?? []) / count);
    const scores = elementCount(this.constants.get(attention?.inputs[5] ?? '')?.dims ?? [0]);
    // Queries, keys and values lie there together.
    const widest = 4 * Math.max(scores, Math.max(...lengths) * (attention ? 3 : 1));
    let best = count;
    const misses = (length: number) => Math.abs(Math.log((length * widest) / PART));
    for (let length = 1; length < count; length++)
      if (count % length === 0 && misses(length) < misses(best)) best = length;
    return count / best < FEWEST_PARTS ? undefined : [count / best, best, ...one];
  }
}

/** A stretch as a loop, whose body has names of its own. */
function scanned({ nodes, input, shape, constants, parts }: Stretch): {
  nodes: OnnxNode[];
  initializers: OnnxTensor[];
} {
  const [output] = nodes[nodes.length - 1].outputs;
  const inner = (name: string) => name && `${output}/part/${name}`;
  const [count, ...part] = parts;
  const value = (name: string, lengths: number[]) => ({
    name: inner(name),
    tensor: { type: FLOAT, shape: lengths },
  });
  const body: OnnxGraph = {
    name: `${output}/part`,
    nodes: nodes.map((node) => ({ ...node, inputs: node.inputs.map(inner), outputs: node.outputs.map(inner) })),
    initializers: constants.map((tensor) => ({ ...tensor, name: inner(tensor.name) })),
    inputs: [value(input, part)],
    outputs: [value(output, part)],
    values: [],
  };
  const [taken, given] = [`${output}/taken apart`, `${output}/parts`];
  const [apart, together] = [`${taken}/shape`, `${given}/shape`];
  return {
    nodes: [
      operation('Reshape', [input, apart], taken),
      operation('Scan', [taken], given, [
        { name: 'num_scan_inputs', type: 'int', value: 1 },
        { name: 'body', type: 'graph', value: body },
      ]),
      operation('Reshape', [given, together], output),
    ],
    initializers: [int64Tensor(apart, [count, ...part]), int64Tensor(together, shape)],
  };
}
