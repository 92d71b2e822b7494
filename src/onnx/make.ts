import { FLOAT, INT64, type OnnxNode, type OnnxTensor } from './model.js';

/** Nodes and constants for graphs that are rewritten in place; whole graphs are built by builder.ts. */

/** A node of one output, called like it. */
export function operation(
  op: string,
  inputs: string[],
  output: string,
  attributes: OnnxNode['attributes'] = [],
): OnnxNode {
  return { name: output, op, domain: '', inputs, outputs: [output], attributes };
}

export function transposition(input: string, output: string, perm: number[]): OnnxNode {
  return operation('Transpose', [input], output, [{ name: 'perm', type: 'ints', value: perm }]);
}

export function floatTensor(
  name: string,
  dims: readonly number[],
  { buffer, byteOffset, byteLength }: Float32Array,
): OnnxTensor {
  return { name, dims: [...dims], type: FLOAT, raw: new Uint8Array(buffer, byteOffset, byteLength) };
}

export function int64Tensor(name: string, values: readonly number[]): OnnxTensor {
  return {
    name,
    dims: [values.length],
    type: INT64,
    raw: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
  };
}
