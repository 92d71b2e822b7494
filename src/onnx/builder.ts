import type { Constant } from './graph.js';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValue } from './model.js';
import { FLOAT, INT64, MICROSOFT } from './model.js';

export type AttributeInput =
  | number
  | readonly number[]
  | { readonly float: number }
  | { readonly text: string }
  | { readonly graph: OnnxGraph };

/**
 * Writes a new graph node by node (operator set 17). Every method returns the name of the tensor it makes; constants are
 * kept once. What no output needs should not be built: there is no clean-up.
 */
export class GraphBuilder {
  protected readonly nodes: OnnxNode[] = [];
  protected readonly initializers = new Map<string, OnnxTensor>();
  private readonly inputs: OnnxValue[] = [];
  private readonly outputs: OnnxValue[] = [];
  protected count = 0;
  /** Goes before every name made here, so that the names of a branch differ from those around it. */
  protected readonly prefix: string;

  constructor(prefix = '') {
    this.prefix = prefix;
  }

  input(name: string, shape: (number | string)[], type = FLOAT): string {
    this.inputs.push({ name, tensor: { type, shape } });
    return name;
  }

  output(name: string, tensor: string, shape?: (number | string)[], type = FLOAT): void {
    this.nodes.push({ name, op: 'Identity', domain: '', inputs: [tensor], outputs: [name], attributes: [] });
    this.outputs.push({ name, tensor: { type, shape } });
  }

  /** The same tensor by a name of ours. */
  named(name: string, tensor: string): string {
    this.nodes.push({ name, op: 'Identity', domain: '', inputs: [tensor], outputs: [name], attributes: [] });
    return name;
  }

  node(op: string, inputs: string[], attributes: Readonly<Record<string, AttributeInput>> = {}): string {
    const name = `${this.prefix}${op}_${this.count++}`;
    this.nodes.push({ name, op, domain: '', inputs, outputs: [name], attributes: toAttributes(attributes) });
    return name;
  }

  /**
   * Float constant; `base` must be given once only, or always with the same values.
   *
   * @param values may be a function, called if the constant is not there yet
   */
  constant(base: string, dims: readonly number[], values: Float32Array | (() => Float32Array)): string {
    const name = this.prefix + base;
    if (!this.initializers.has(name)) {
      const data = typeof values === 'function' ? values() : values;
      const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      this.initializers.set(name, { name, dims: [...dims], type: FLOAT, raw });
    }
    return name;
  }

  /** Float constant whose values are read when the model is written; named as `constant` is. */
  later(base: string, dims: readonly number[], read: () => Promise<Float32Array>): string {
    const name = this.prefix + base;
    if (!this.initializers.has(name)) {
      const load = async () => {
        const { buffer, byteOffset, byteLength } = await read();
        return new Uint8Array(buffer, byteOffset, byteLength);
      };
      const length = 4 * dims.reduce((product, n) => product * n, 1);
      this.initializers.set(name, { name, dims: [...dims], type: FLOAT, later: { length, load } });
    }
    return name;
  }

  weight(name: string, { dims, data }: Constant): string {
    return this.constant(name, dims, data);
  }

  scalar(value: number): string {
    return this.constant(`scalar ${value}`, [], Float32Array.of(value));
  }

  /** One-dimensional int64 constant: shapes, axes, slice bounds. */
  ints(...values: number[]): string {
    return this.indices(`ints ${values.join(' ')}`, [values.length], values);
  }

  /** Int64 constant of any shape; named as `constant` is. */
  indices(base: string, dims: readonly number[], values: readonly number[]): string {
    const name = this.prefix + base;
    if (!this.initializers.has(name)) {
      const raw = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
      this.initializers.set(name, { name, dims: [...dims], type: INT64, raw });
    }
    return name;
  }

  add(a: string, b: string): string {
    return this.node('Add', [a, b]);
  }

  mul(a: string, b: string): string {
    return this.node('Mul', [a, b]);
  }

  sub(a: string, b: string): string {
    return this.node('Sub', [a, b]);
  }

  div(a: string, b: string): string {
    return this.node('Div', [a, b]);
  }

  matMul(a: string, b: string): string {
    return this.node('MatMul', [a, b]);
  }

  /** `0` keeps the length of that axis, `-1` is what is left. */
  reshape(x: string, ...shape: number[]): string {
    return this.node('Reshape', [x, this.ints(...shape)]);
  }

  transpose(x: string, ...perm: number[]): string {
    return this.node('Transpose', [x], { perm });
  }

  softmax(x: string): string {
    return this.node('Softmax', [x], { axis: -1 });
  }

  /** Over the last axis. */
  layerNorm(x: string, weight: string, bias: string, epsilon: number): string {
    return this.node('LayerNormalization', [x, weight, bias], { axis: -1, epsilon: { float: epsilon } });
  }

  /** Takes the mean over the last axis off. (`Sum`, as with `Sub` a norm that follows would be fused back, see below.) */
  centre(x: string): string {
    const mean = this.node('ReduceMean', [x], { axes: [-1], keepdims: 1 });
    return this.node('Sum', [x, this.node('Neg', [mean])]);
  }

  /**
   * Layer norm of rows whose mean is zero. Spelt so that ONNX Runtime fuses it; in wasm less than half as long as its
   * LayerNormalization, which is why the large ones are written so that the mean is zero.
   */
  centredNorm(x: string, weight: string, bias: string, epsilon: number): string {
    const square = this.node('ReduceMean', [this.node('Pow', [x, this.scalar(2)])], { axes: [-1], keepdims: 1 });
    const root = this.node('Sqrt', [this.add(square, this.scalar(epsilon))]);
    return this.add(this.mul(this.node('Div', [x, root]), weight), bias);
  }

  /** The exact one (erf), spelt as ONNX Runtime's fusion expects it. */
  gelu(x: string): string {
    const erf = this.node('Erf', [this.node('Div', [x, this.scalar(Math.SQRT2)])]);
    return this.mul(this.mul(x, this.add(erf, this.scalar(1))), this.scalar(0.5));
  }

  /** Positions `from` to `to` (exclusive) of one axis, the second if not said otherwise. */
  slice(x: string, from: number, to: number, axis = 1): string {
    return this.node('Slice', [x, this.ints(from), this.ints(to), this.ints(axis)]);
  }

  /**
   * One tensor, computed one way or the other; what is not chosen is not computed. The branches see all tensors made so
   * far, but not each other's.
   */
  branch(condition: string, then: (g: GraphBuilder) => string, otherwise: (g: GraphBuilder) => string): string {
    const graphOf = (name: string, build: (g: GraphBuilder) => string): OnnxGraph => {
      const inner = new GraphBuilder(`${this.prefix}${name}/`);
      inner.output(`${this.prefix}${name}/result`, build(inner));
      return inner.graph(name);
    };
    return this.node('If', [condition], {
      then_branch: { graph: graphOf('then', then) },
      else_branch: { graph: graphOf('else', otherwise) },
    });
  }

  finish(name: string): OnnxModel {
    const graph = this.graph(name);
    const opsets = [{ domain: '', version: 17 }];
    if (graph.nodes.some(({ domain }) => domain === MICROSOFT)) opsets.push({ domain: MICROSOFT, version: 1 });
    return { irVersion: 8, producer: 'micro-sam-imjoy', opsets, graph };
  }

  private graph(name: string): OnnxGraph {
    return {
      name,
      nodes: this.nodes,
      initializers: [...this.initializers.values()],
      inputs: this.inputs,
      outputs: this.outputs,
      values: [],
    };
  }
}

export function toAttributes(attributes: Readonly<Record<string, AttributeInput>>): OnnxAttribute[] {
  return Object.entries(attributes).map(([name, value]) => {
    if (typeof value === 'number') return { name, type: 'int', value };
    if ('graph' in value) return { name, type: 'graph', value: value.graph };
    if ('text' in value) return { name, type: 'string', value: new TextEncoder().encode(value.text) };
    if ('float' in value) return { name, type: 'float', value: value.float };
    return { name, type: 'ints', value };
  });
}
