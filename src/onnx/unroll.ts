import { numberAttribute } from './graph.js';
import { int64Tensor, operation } from './make.js';
import type { OnnxGraph, OnnxNode, OnnxTensor } from './model.js';
import { axisOf, elementCount, intsAttribute } from './tensor-info.js';

/** Of the widest tensor in between, in bytes, four to a number: with what lies beside it, a core's own cache. */
const PART = 1300 * 1024;
/** Fewer parts gain nothing. */
const FEWEST_PARTS = 4;

type ShapeOf = (tensor: string) => readonly number[];

/**
 * From a norm on, what goes row by row (a block's two products with the activation between them) or window by window
 * (attention) is written once for each of some parts, which are put together at last. What lies in between stays in the
 * cache, and no tensor is large. As nodes of their own, where `runInParts` (in-parts.ts) makes a loop, parts can be
 * differentiated.
 *
 * @param graph changes of shape are `Reshape` to constants, as `ShapedBuilder.take` leaves them
 * @param input of its inputs the one that has rows or windows; others are weights
 */
export function unrollInParts(graph: OnnxGraph, input: string, shapeOf: ShapeOf): OnnxGraph {
  const finder = new Unrolling(graph, input, shapeOf);
  const initializers = [...graph.initializers];
  /** By the last node of each stretch. */
  const instead = new Map<OnnxNode, readonly OnnxNode[]>();
  const moved = new Set<OnnxNode>();
  for (const norm of graph.nodes) {
    const found = norm.op === 'LayerNormalization' && !moved.has(norm) ? finder.from(norm) : undefined;
    if (!found) continue;
    for (const node of found.nodes) moved.add(node);
    const written = unrolled(found, shapeOf);
    initializers.push(...written.initializers);
    instead.set(found.last, written.nodes);
  }
  const nodes = graph.nodes.flatMap((node) => instead.get(node) ?? (moved.has(node) ? [] : [node]));
  return { ...graph, nodes, initializers };
}

interface Stretch {
  readonly input: string;
  /** In their order. */
  readonly nodes: readonly OnnxNode[];
  /** Makes what is used elsewhere, and is the only one that does. */
  readonly last: OnnxNode;
  readonly axis: number;
  readonly parts: number;
  /** Of a part, along the axis. */
  readonly length: number;
}

class Unrolling {
  /** What does not depend on the input. */
  private readonly fixed: ReadonlySet<string>;
  private readonly users = new Map<string, OnnxNode[]>();
  private readonly results: ReadonlySet<string>;

  constructor(
    private readonly graph: OnnxGraph,
    input: string,
    private readonly shapeOf: ShapeOf,
  ) {
    const given = [...graph.initializers, ...graph.inputs].map(({ name }) => name);
    const fixed = new Set(['', ...given.filter((name) => name !== input)]);
    for (const node of graph.nodes) {
      if (node.inputs.every((name) => fixed.has(name))) for (const output of node.outputs) fixed.add(output);
      for (const input of node.inputs) this.users.set(input, [...(this.users.get(input) ?? []), node]);
    }
    this.fixed = fixed;
    this.results = new Set(graph.outputs.map(({ name }) => name));
  }

  from(norm: OnnxNode): Stretch | undefined {
    const [input] = norm.inputs;
    const shape = this.shapeOf(input);
    const axis = shape[0] === 1 ? 1 : 0;
    const inside = new Set([input]);
    const nodes = this.graph.nodes.slice(this.graph.nodes.indexOf(norm)).filter((node, i) => {
      const belongs = i === 0 || node.inputs.some((name) => name !== input && inside.has(name));
      if (!belongs || !this.keepsAxis(node, axis, inside)) return false;
      for (const output of node.outputs) inside.add(output);
      return true;
    });
    const own = new Set(nodes);
    const isUsedElsewhere = (made: string) =>
      this.results.has(made) || (this.users.get(made) ?? []).some((user) => !own.has(user));
    const leaving = nodes.filter(({ outputs }) => outputs.some(isUsedElsewhere));
    const last = nodes[nodes.length - 1];
    const products = nodes.filter(({ op }) => op === 'MatMul').length;
    if (products < 2 || leaving.length !== 1 || leaving[0] !== last || last.outputs.length !== 1) return undefined;
    const length = this.partLength(nodes, shape[axis]);
    const parts = shape[axis] / length;
    return parts < FEWEST_PARTS ? undefined : { input, nodes, last, axis, parts, length };
  }

  private partLength(nodes: readonly OnnxNode[], count: number): number {
    const widest = Math.max(...nodes.flatMap(({ outputs }) => outputs.map((made) => elementCount(this.shapeOf(made)))));
    const misses = (length: number) => Math.abs(Math.log((length * 4 * widest) / count / PART));
    let best = count;
    for (let length = 1; length < count; length++)
      if (count % length === 0 && misses(length) < misses(best)) best = length;
    return best;
  }

  /** Whether a node takes and gives one position of the axis after the other. */
  private keepsAxis(node: OnnxNode, axis: number, inside: ReadonlySet<string>): boolean {
    const { op, domain, inputs, outputs } = node;
    const [first, second] = inputs;
    const shape = this.shapeOf(outputs[0]);
    const others = (name: string) => axisOf(numberAttribute(node, name, -1), shape.length) !== axis;
    const isInner = (name: string) => inside.has(name);
    if (!isInner(first) && !(op === 'Add' || op === 'Mul')) return false;
    if (!inputs.every((name) => isInner(name) || this.fixed.has(name))) return false;
    switch (op) {
      case 'Gelu':
        return true;
      case 'LayerNormalization':
      case 'Softmax':
        return domain === '' && others('axis');
      case 'Split':
        return axisOf(numberAttribute(node, 'axis', 0), shape.length) !== axis;
      case 'Add':
      case 'Mul':
        return inputs.every((name) => {
          const own = this.shapeOf(name);
          return isInner(name) ? String(own) === String(shape) : own.length < shape.length - axis;
        });
      case 'MatMul':
        return isInner(second)
          ? this.shapeOf(second)[axis] === shape[axis] && shape.length > axis + 2
          : this.shapeOf(second).length === 2;
      case 'Transpose':
        return intsAttribute(node, 'perm')?.[axis] === axis;
      case 'Reshape':
        return String(shape.slice(0, axis + 1)) === String(this.shapeOf(first).slice(0, axis + 1));
      default:
        return false;
    }
  }
}

function unrolled({ input, nodes, last, axis, parts, length }: Stretch, shapeOf: ShapeOf) {
  const [output] = last.outputs;
  const made = new Set([input, ...nodes.flatMap(({ outputs }) => outputs)]);
  const partOf = (name: string, part: number) => (made.has(name) ? `${name}/part ${part}` : name);
  const numbers = Array.from({ length: parts }, (_, part) => part);
  const along = [{ name: 'axis', type: 'int', value: axis }] as const;
  const lengths = `${output}/lengths`;
  const initializers: OnnxTensor[] = [int64Tensor(lengths, Array<number>(parts).fill(length))];
  const shapes = new Map<string, string>();
  for (const { op, outputs } of nodes) {
    if (op !== 'Reshape') continue;
    const shape = `${outputs[0]}/shape of a part`;
    shapes.set(outputs[0], shape);
    const whole = shapeOf(outputs[0]);
    initializers.push(int64Tensor(shape, [...whole.slice(0, axis), length, ...whole.slice(axis + 1)]));
  }
  const apart: OnnxNode = {
    ...operation('Split', [input, lengths], `${output}/apart`, [...along]),
    outputs: numbers.map((part) => partOf(input, part)),
  };
  const inner = numbers.flatMap((part) =>
    nodes.map((node) => {
      const inputs = node.inputs.map((name) => partOf(name, part));
      const shape = shapes.get(node.outputs[0]);
      if (shape !== undefined) inputs[1] = shape;
      const outputs = node.outputs.map((name) => partOf(name, part));
      return { ...node, name: `${node.name}/part ${part}`, inputs, outputs };
    }),
  );
  const together = operation(
    'Concat',
    numbers.map((part) => partOf(output, part)),
    output,
    [...along],
  );
  return { nodes: [apart, ...inner, together], initializers };
}
