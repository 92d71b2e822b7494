import { present } from '../items.js';
import { fromHalf } from '../ndimage/half.js';
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor } from './model.js';
import { FLOAT, FLOAT16, INT64 } from './model.js';

/** Looking around in a graph and cutting it down. */

/** Which node makes a tensor, by tensor name; graph inputs and initializers have none. */
export function producers(graph: OnnxGraph): Map<string, OnnxNode> {
  const map = new Map<string, OnnxNode>();
  for (const node of graph.nodes) for (const output of node.outputs) if (output) map.set(output, node);
  return map;
}

export function attribute(node: OnnxNode, name: string): OnnxAttribute['value'] | undefined {
  return node.attributes.find((candidate) => candidate.name === name)?.value;
}

export function numberAttribute(node: OnnxNode, name: string, absent: number): number {
  const value = attribute(node, name);
  return typeof value === 'number' ? value : absent;
}

/** Gives tensor `from` the name `to` wherever it is made or used. */
export function renameTensor(graph: OnnxGraph, from: string, to: string): void {
  const rename = (name: string) => (name === from ? to : name);
  for (const node of graph.nodes) {
    node.inputs = node.inputs.map(rename);
    node.outputs = node.outputs.map(rename);
  }
  for (const tensor of graph.initializers) tensor.name = rename(tensor.name);
}

/** Drops nodes, initializers, inputs and shape notes that no graph output needs. Nodes with inner graphs keep all they name. */
export function removeDeadCode(graph: OnnxGraph): void {
  const made = producers(graph);
  const used = new Set<string>();
  const kept = new Set<OnnxNode>();
  const open = graph.outputs.map((output) => output.name);
  while (open.length > 0) {
    const name = present(open.pop(), 'a name');
    if (used.has(name)) continue;
    used.add(name);
    const node = made.get(name);
    if (!node || kept.has(node)) continue;
    kept.add(node);
    open.push(...node.inputs);
    for (const { type, value } of node.attributes) if (type === 'graph') open.push(...namesIn(value));
  }
  graph.nodes = graph.nodes.filter((node) => kept.has(node));
  graph.initializers = graph.initializers.filter((tensor) => used.has(tensor.name));
  graph.inputs = graph.inputs.filter((input) => used.has(input.name));
  graph.values = [];
}

function namesIn(graph: OnnxGraph): string[] {
  const inner = graph.nodes.flatMap((node) => [
    ...node.inputs,
    ...node.attributes.flatMap(({ type, value }) => (type === 'graph' ? namesIn(value) : [])),
  ]);
  return [...inner, ...graph.outputs.map((output) => output.name)];
}

/** A constant as numbers: what an inference graph's weights and shape arguments are. */
export interface Constant {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** The elements of a float, half or int64 tensor as float32; `undefined` for other types and for external data. */
export function constantOf(tensor: OnnxTensor): Constant | undefined {
  const length = tensor.dims.reduce((product, n) => product * n, 1);
  const data = elements(tensor);
  return data?.length === length ? { dims: tensor.dims, data } : undefined;
}

function elements({ type, raw, floats, int64s }: OnnxTensor): Float32Array | undefined {
  if (type === FLOAT) {
    if (floats) return Float32Array.from(floats);
    if (!raw || raw.length % 4 !== 0) return undefined;
    // A view where the file happens to be aligned, else a copy.
    return raw.byteOffset % 4 === 0
      ? new Float32Array(raw.buffer, raw.byteOffset, raw.length / 4)
      : new Float32Array(raw.slice().buffer);
  }
  if (type === INT64) {
    if (int64s) return Float32Array.from(int64s, Number);
    if (!raw || raw.length % 8 !== 0) return undefined;
    return Float32Array.from(new BigInt64Array(raw.slice().buffer), Number);
  }
  if (type === FLOAT16 && raw && raw.length % 2 === 0) return fromHalf(new Uint16Array(raw.slice().buffer));
  return undefined;
}
