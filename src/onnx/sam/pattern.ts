import { attribute, type Constant, constantOf, numberAttribute, producers } from '../graph.js';
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../model.js';
import { transposed } from './fold.js';
import type { Attention, Convolution, Linear, Norm } from './weights.js';

/** The graph is not built the way we know; the message says where. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
}

/** Operators that move data without changing it. */
const PLUMBING = new Set(
  'Reshape Transpose Unsqueeze Squeeze Flatten Identity Cast Gather Slice Expand Tile Dropout'.split(' '),
);

/**
 * Reads a graph backwards, from a tensor to what made it, by the shape of the computation and not by names: exporters
 * rename and fold weights. Each method expects one building block that ends in `name`, returns its parameters and the
 * tensor it was applied to, and throws `PatternError` for anything else.
 */
export class PatternReader {
  private readonly made: Map<string, OnnxNode>;
  private readonly initializers: Map<string, OnnxTensor>;

  constructor(graph: OnnxGraph) {
    this.made = producers(graph);
    this.initializers = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  }

  /** The tensor that was computed, before reshapes, selections and the like. */
  origin(name: string): string {
    let current = name;
    for (let node = this.made.get(current); node && PLUMBING.has(node.op); node = this.made.get(current))
      current = node.inputs[0];
    return current;
  }

  /** The node that computed a tensor, of one of the given operators. */
  expect(name: string, ...ops: string[]): OnnxNode {
    const node = this.made.get(this.origin(name));
    if (node && ops.includes(node.op)) return node;
    throw new PatternError(`expected ${ops.join(' or ')} before "${name}", found ${node?.op ?? 'an input'}`);
  }

  is(name: string, op: string): boolean {
    return this.made.get(this.origin(name))?.op === op;
  }

  /** The values of a tensor that does not depend on the inputs (weights, possibly transposed, cast or joined). */
  constant(name: string): Constant | undefined {
    const tensor = this.initializers.get(name);
    if (tensor) return constantOf(tensor);
    const node = this.made.get(name);
    if (!node) return undefined;
    if (node.op === 'Constant') {
      const value = attribute(node, 'value');
      return typeof value === 'object' && 'dims' in value ? constantOf(value) : undefined;
    }
    if (['Identity', 'Cast', 'Expand', 'Unsqueeze', 'Squeeze', 'Reshape'].includes(node.op))
      return this.constant(node.inputs[0]);
    if (node.op === 'Transpose') {
      const source = this.constant(node.inputs[0]);
      return source?.dims.length === 2 ? transposed(source) : undefined;
    }
    if (node.op === 'Concat') {
      const parts = node.inputs.map((input) => this.constant(input));
      if (!parts.every((part) => part !== undefined)) return undefined;
      // Only used for rows of tokens, which lie one after the other.
      const data = Float32Array.from(parts.flatMap((part) => [...part.data]));
      return { dims: [data.length], data };
    }
    return undefined;
  }

  /** A weight with the given number of elements. */
  weight(name: string, length: number): Constant {
    const constant = this.constant(name);
    if (constant?.data.length === length) return constant;
    throw new PatternError(`expected ${length} constant values at "${name}", found ${constant?.data.length ?? 'none'}`);
  }

  /** The two inputs of a binary node, the one that depends on the inputs first and the constant second. */
  operands(node: OnnxNode): { variable: string; constant: Constant } {
    const constants = node.inputs.map((input) => this.constant(input));
    const index = constants.findIndex((constant) => constant !== undefined);
    const constant = constants[index];
    if (node.inputs.length !== 2 || !constant)
      throw new PatternError(`expected a constant in ${node.op} "${node.name}"`);
    return { variable: node.inputs[1 - index], constant };
  }

  /** x · W + b. */
  linear(name: string, inputs: number, outputs: number): { linear: Linear; input: string } {
    const node = this.expect(name, 'Add', 'Gemm');
    if (node.op === 'Gemm') {
      const stored = this.weight(node.inputs[1], inputs * outputs);
      const weight = numberAttribute(node, 'transB', 0) === 1 ? transposed(stored) : stored;
      if (numberAttribute(node, 'transA', 0) !== 0 || weight.dims[0] !== inputs)
        throw new PatternError(`unusual Gemm "${node.name}"`);
      return { linear: { weight, bias: this.weight(node.inputs[2], outputs) }, input: this.origin(node.inputs[0]) };
    }
    const { variable, constant } = this.operands(node);
    const product = this.expect(variable, 'MatMul');
    const weight = this.weight(product.inputs[1], inputs * outputs);
    if (constant.data.length !== outputs || weight.dims[0] !== inputs)
      throw new PatternError(`expected a ${inputs} to ${outputs} layer at "${name}"`);
    return { linear: { weight, bias: constant }, input: this.origin(product.inputs[0]) };
  }

  /** Linear layers with ReLU between them; `widths` from input to output. */
  perceptron(name: string, ...widths: number[]): { layers: Linear[]; input: string } {
    const layers: Linear[] = [];
    let input = name;
    for (let i = widths.length - 1; i > 0; i--) {
      const found = this.linear(input, widths[i - 1], widths[i]);
      layers.unshift(found.linear);
      input = i > 1 ? this.origin(this.expect(found.input, 'Relu').inputs[0]) : found.input;
    }
    return { layers, input };
  }

  /** Multi-head attention; `inner` is the width of its queries, keys and values. */
  attention(name: string, inner: number): { attention: Attention; q: string; k: string; v: string } {
    const out = this.linear(name, inner, 256);
    const mixed = this.expect(out.input, 'MatMul');
    const softmax = this.expect(mixed.inputs[0], 'Softmax');
    const products = this.expect(this.unscaled(softmax.inputs[0]), 'MatMul');
    const q = this.linear(this.unscaled(products.inputs[0]), 256, inner);
    const k = this.linear(this.unscaled(products.inputs[1]), 256, inner);
    const v = this.linear(mixed.inputs[1], 256, inner);
    return {
      attention: { q: q.linear, k: k.linear, v: v.linear, out: out.linear },
      q: q.input,
      k: k.input,
      v: v.input,
    };
  }

  /** Past a multiplication with one number (1/sqrt(d), wherever the exporter put it). */
  private unscaled(name: string): string {
    const node = this.made.get(this.origin(name));
    if (node?.op !== 'Mul' && node?.op !== 'Div') return name;
    const { variable, constant } = this.operands(node);
    if (constant.data.length !== 1) throw new PatternError(`unusual scale at "${name}"`);
    return variable;
  }

  /** Layer normalisation, as one node or spelt out. */
  norm(name: string, width: number): { norm: Norm; input: string } {
    const node = this.expect(name, 'LayerNormalization', 'Add');
    if (node.op === 'LayerNormalization') {
      const norm = {
        weight: this.weight(node.inputs[1], width),
        bias: this.weight(node.inputs[2], width),
        epsilon: numberAttribute(node, 'epsilon', 1e-5),
      };
      return { norm, input: this.origin(node.inputs[0]) };
    }
    const shift = this.operands(node);
    const scale = this.operands(this.expect(shift.variable, 'Mul'));
    const ratio = this.expect(scale.variable, 'Div');
    const variance = this.operands(this.expect(this.expect(ratio.inputs[1], 'Sqrt').inputs[0], 'Add'));
    const centred = this.expect(ratio.inputs[0], 'Sub');
    if (shift.constant.data.length !== width || scale.constant.data.length !== width)
      throw new PatternError(`expected a norm of ${width} channels at "${name}"`);
    return {
      norm: { weight: scale.constant, bias: shift.constant, epsilon: variance.constant.data[0] },
      input: this.origin(centred.inputs[0]),
    };
  }

  convolution(
    name: string,
    op: 'Conv' | 'ConvTranspose',
    shape: number[],
  ): { convolution: Convolution; input: string } {
    const node = this.expect(name, op);
    const weight = this.weight(
      node.inputs[1],
      shape.reduce((a, b) => a * b),
    );
    if (shape.some((length, axis) => weight.dims[axis] !== length))
      throw new PatternError(`expected a ${op} of ${shape.join('x')} at "${name}"`);
    const bias = this.weight(node.inputs[2], op === 'Conv' ? shape[0] : shape[1]);
    return { convolution: { weight, bias }, input: this.origin(node.inputs[0]) };
  }

  /** What the exact GELU was applied to. */
  gelu(name: string): string {
    const node = this.expect(name, 'Mul', 'Gelu');
    if (node.op === 'Gelu') return this.origin(node.inputs[0]);
    const erf = this.factors(node).find((factor) => this.isErfPlusOne(factor));
    if (erf === undefined) throw new PatternError(`expected GELU at "${name}"`);
    const inner = this.expect(this.operands(this.expect(erf, 'Add')).variable, 'Erf');
    return this.origin(this.operands(this.expect(inner.inputs[0], 'Div', 'Mul')).variable);
  }

  private factors(node: OnnxNode): string[] {
    return node.inputs.flatMap((input) => {
      const inner = this.made.get(input);
      return inner?.op === 'Mul' ? this.factors(inner) : [input];
    });
  }

  private isErfPlusOne(name: string): boolean {
    const node = this.made.get(name);
    return node?.op === 'Add' && node.inputs.some((input) => this.made.get(input)?.op === 'Erf');
  }

  /** All summands of nested additions. */
  terms(name: string): string[] {
    const node = this.made.get(this.origin(name));
    return node?.op === 'Add' ? node.inputs.flatMap((input) => this.terms(input)) : [name];
  }

  /** The two inputs of an addition of which `parse` accepts one: its result, and the other input. */
  residual<T>(name: string, parse: (branch: string) => T): { parsed: T; skip: string } {
    const { inputs } = this.expect(name, 'Add');
    const problems: string[] = [];
    for (const i of [1, 0]) {
      try {
        return { parsed: parse(inputs[i]), skip: this.origin(inputs[1 - i]) };
      } catch (error) {
        if (!(error instanceof PatternError)) throw error;
        problems.push(error.message);
      }
    }
    throw new PatternError(problems.join(', and '));
  }
}
