import { SamError } from '../errors.js';
import { entryOf } from '../items.js';
import { type AttributeInput, GraphBuilder, toAttributes } from './builder.js';
import { removeDeadCode } from './graph.js';
import { FLOAT, FLOAT16, INT64, type OnnxGraph, type OnnxNode, type OnnxTensor } from './model.js';
import { inferNode } from './shape-inference.js';
import { BOOL, elementCount, infoOfTensor, intsAttribute, type TensorInfo } from './tensor-info.js';

/**
 * A graph builder that knows the shape of every tensor, which is what differentiating a graph needs. Integers that
 * follow from shapes are computed here and not by the graph; equal nodes are made once.
 */
export class ShapedBuilder extends GraphBuilder {
  private readonly infos = new Map<string, TensorInfo>();
  private readonly made = new Map<string, string>();

  /** @throws SamError `internal` if there is no tensor of this name */
  info(tensor: string): TensorInfo {
    const info = this.infos.get(tensor);
    if (info) return info;
    throw new SamError('internal', `The graph has no tensor '${tensor}'.`);
  }

  has(tensor: string): boolean {
    return this.infos.has(tensor);
  }

  shape(tensor: string): readonly number[] {
    return this.info(tensor).shape;
  }

  /** The nodes so far, in topological order. */
  get all(): readonly OnnxNode[] {
    return this.nodes;
  }

  override input(name: string, shape: number[], type = FLOAT): string {
    this.infos.set(name, { type, shape });
    return super.input(name, shape, type);
  }

  override output(name: string, tensor: string): void {
    const { shape, type } = this.info(this.usable(tensor));
    super.output(name, tensor, [...shape], type);
    this.infos.set(name, this.info(tensor));
  }

  override constant(base: string, dims: readonly number[], data: Float32Array): string {
    return this.noted(super.constant(base, dims, data));
  }

  override indices(base: string, dims: readonly number[], values: readonly number[]): string {
    return this.noted(super.indices(base, dims, values));
  }

  override node(op: string, inputs: string[], attributes: Readonly<Record<string, AttributeInput>> = {}): string {
    const key = `${op}(${inputs.join()})${JSON.stringify(attributes)}`;
    const earlier = this.made.get(key);
    if (earlier !== undefined) return earlier;
    const name = `${this.prefix}${op}_${this.count++}`;
    this.append({ name, op, domain: '', inputs, outputs: [name], attributes: toAttributes(attributes) });
    this.made.set(key, name);
    return name;
  }

  override branch(): string {
    throw new SamError('unsupported', 'A graph of known shapes has no branches.');
  }

  /** A constant kept in half precision, as float32. */
  half(name: string, dims: readonly number[], bits: Uint16Array): string {
    const raw = new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
    const half = halfName(name);
    this.initializers.set(half, { name: half, dims: [...dims], type: FLOAT16, raw });
    this.noted(half);
    return this.node('Cast', [half], { to: FLOAT });
  }

  /** Takes a node with its names; what it computes from constants alone is computed now. */
  append(node: OnnxNode): void {
    const inputs = node.inputs.map((input) => (input === '' ? undefined : this.info(input)));
    const outputs = inferNode(node, inputs);
    node.outputs.forEach((output, i) => {
      if (output !== '') this.infos.set(output, outputs[i]);
    });
    if (outputs.every(({ values }) => values)) return;
    for (const input of node.inputs) if (input !== '') this.usable(input);
    this.nodes.push(node);
  }

  /** Like `reshape`, but the shape is told in full, and nothing is made where it is that already. */
  shaped(x: string, shape: readonly number[]): string {
    return String(this.shape(x)) === String(shape) ? x : this.reshape(x, ...shape);
  }

  /** Sum over some axes, which stay with length 1. */
  sumOver(x: string, axes: readonly number[]): string {
    return axes.length === 0 ? x : this.node('ReduceSum', [x, this.ints(...axes)], { keepdims: 1 });
  }

  meanOver(x: string, axes: readonly number[]): string {
    return this.node('ReduceMean', [x], { axes: [...axes], keepdims: 1 });
  }

  /** Sum of all elements, shape []. */
  total(x: string): string {
    return this.node('ReduceSum', [this.shaped(x, [elementCount(this.shape(x))])], { keepdims: 0 });
  }

  /** [length], the same number everywhere. */
  fill(base: string, length: number, value: number): string {
    return this.constant(`${base} ${length}`, [length], new Float32Array(length).fill(value));
  }

  neg(x: string): string {
    return this.node('Neg', [x]);
  }

  sqrt(x: string): string {
    return this.node('Sqrt', [x]);
  }

  relu(x: string): string {
    return this.node('Relu', [x]);
  }

  sigmoid(x: string): string {
    return this.node('Sigmoid', [x]);
  }

  concat(parts: string[], axis: number): string {
    return parts.length === 1 ? parts[0] : this.node('Concat', parts, { axis });
  }

  /** Zeros around; lengths per axis. */
  pad(x: string, before: readonly number[], after: readonly number[]): string {
    const none = [...before, ...after].every((length) => length === 0);
    return none ? x : this.node('Pad', [x, this.ints(...before, ...after)]);
  }

  /** Bilinear, [N, C, H, W] to [N, C, f H, f W], as torch.nn.functional.interpolate with align_corners false. */
  enlarge(x: string, factor: number): string {
    const scales = this.constant(`scales ${factor}`, [4], Float32Array.of(1, 1, factor, factor));
    const attributes = { mode: { text: 'linear' }, coordinate_transformation_mode: { text: 'half_pixel' } };
    return this.node('Resize', [x, '', scales], attributes);
  }

  /** Constants made by `append` become initializers when somebody takes them. */
  private usable(tensor: string): string {
    const info = this.info(tensor);
    if (!info.values || this.initializers.has(tensor)) return tensor;
    this.initializers.set(tensor, constantTensor(tensor, info, info.values));
    return tensor;
  }

  private noted(name: string): string {
    if (!this.infos.has(name)) this.infos.set(name, infoOfTensor(entryOf(this.initializers, name)));
    return name;
  }

  /**
   * Takes over a graph with its inner names. Inputs and initializers that are known here as inputs already stay these inputs,
   * so that they can change from run to run, or be differentiated by.
   *
   * @param inputs shapes of its other inputs, by name
   * @param wanted tensors that are needed of it; what only others need is left out
   */
  take(whole: OnnxGraph, inputs: Readonly<Record<string, readonly number[]>>, wanted: readonly string[]): void {
    const graph = { ...whole, outputs: wanted.map((name) => ({ name })) };
    removeDeadCode(graph);
    for (const { name, tensor } of graph.inputs)
      if (!this.has(name)) this.input(name, [...(inputs[name] ?? [])], tensor?.type);
    for (const tensor of graph.initializers) {
      if (this.has(tensor.name)) continue;
      this.initializers.set(tensor.name, tensor);
      this.noted(tensor.name);
    }
    for (const node of graph.nodes) this.append(this.modern(node));
  }

  /** Nodes of operator sets 11 to 16 as 17 has them; every change of shape becomes a Reshape to a known shape. */
  private modern(node: OnnxNode): OnnxNode {
    const inputs = [...node.inputs];
    if (['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'].includes(node.op)) {
      const infos = inputs.map((input) => this.info(input));
      const [{ shape, values }] = inferNode(node, infos);
      if (values) return node;
      return { ...node, op: 'Reshape', inputs: [inputs[0], this.ints(...shape)], attributes: [] };
    }
    const moved = { ReduceSum: 'axes', Split: 'split' }[node.op];
    const ints = moved && intsAttribute(node, moved);
    if (!ints) return node;
    const attributes = node.attributes.filter(({ name }) => name !== moved);
    return { ...node, inputs: [inputs[0], this.ints(...ints)], attributes };
  }
}

/** What `ShapedBuilder.half` calls the constant in the file. */
export function halfName(name: string): string {
  return `${name} in half`;
}

function constantTensor(name: string, { type, shape }: TensorInfo, values: readonly number[]): OnnxTensor {
  const bytes = (data: ArrayBufferView) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const dims = [...shape];
  if (type === FLOAT) return { name, dims, type, raw: bytes(Float32Array.from(values)) };
  if (type === INT64) return { name, dims, type, raw: bytes(BigInt64Array.from(values, BigInt)) };
  if (type === BOOL) return { name, dims, type, raw: bytes(Uint8Array.from(values)) };
  return { name, dims, type, raw: bytes(Int32Array.from(values)) };
}
