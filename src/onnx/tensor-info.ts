import { SamError } from '../errors.js';
import { attribute } from './graph.js';
import { FLOAT, INT64, type OnnxNode, type OnnxTensor } from './model.js';

/** What is known of a tensor before anything runs. */
export interface TensorInfo {
  /** ONNX number of the element type. */
  readonly type: number;
  readonly shape: readonly number[];
  /** The elements, row-major, where they are known and few; booleans as 0 and 1. */
  readonly values?: readonly number[];
}

export const BOOL = 9;
export const INT32 = 6;

/** Larger constants are not computed with. */
export const MOST_VALUES = 4096;

/** What a node takes; `undefined` for what is left out. */
export type Inputs = readonly (TensorInfo | undefined)[];

export function infoOfTensor(tensor: OnnxTensor): TensorInfo {
  return { type: tensor.type, shape: tensor.dims, values: valuesOf(tensor) };
}

function valuesOf({ type, dims, raw, floats, int32s, int64s }: OnnxTensor): readonly number[] | undefined {
  if (elementCount(dims) > MOST_VALUES) return undefined;
  if (floats) return floats;
  if (int64s ?? int32s) return (int64s ?? int32s)?.map(Number);
  if (!raw) return undefined;
  const bytes = raw.slice().buffer;
  if (type === FLOAT) return [...new Float32Array(bytes)];
  if (type === INT64) return Array.from(new BigInt64Array(bytes), Number);
  if (type === INT32) return [...new Int32Array(bytes)];
  if (type === BOOL) return [...new Uint8Array(bytes)];
  return undefined;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** The shape of an elementwise result. @throws SamError `unsupported` if the shapes do not go together */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const m = a[a.length - rank + i] ?? 1;
    const n = b[b.length - rank + i] ?? 1;
    if (m !== n && m !== 1 && n !== 1) throw misfit(`Shapes [${a}] and [${b}] cannot be broadcast.`);
    return m === 1 ? n : m;
  });
}

export function misfit(message: string): SamError {
  return new SamError('unsupported', message);
}

export function intsAttribute(node: OnnxNode, name: string): number[] | undefined {
  const value = attribute(node, name);
  return Array.isArray(value) ? value.map(Number) : undefined;
}

/** An axis counted from the front. */
export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** Values that an operator needs to tell its shape. */
export function known(node: OnnxNode, info: TensorInfo | undefined): readonly number[] {
  if (info?.values) return info.values;
  throw misfit(`The shape that ${node.op} (${node.name}) gives depends on data that is not known in advance.`);
}

/** For every element of an array of the shape its indices. */
export function* indicesOf(shape: readonly number[]): Generator<readonly number[]> {
  const index = shape.map(() => 0);
  for (let n = elementCount(shape); n > 0; n--) {
    yield index;
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
}

export function positionOf(index: readonly number[], shape: readonly number[]): number {
  return shape.reduce((position, length, axis) => position * length + index[axis], 0);
}

export function expandValues({ shape, values = [] }: TensorInfo, to: readonly number[]): number[] {
  const offset = to.length - shape.length;
  const source = (index: readonly number[]) => shape.map((length, axis) => (length === 1 ? 0 : index[axis + offset]));
  return Array.from(indicesOf(to), (index) => values[positionOf(source(index), shape)]);
}

/** Known values taken from other places: `source` says where each comes from. */
export function picked(
  x: TensorInfo,
  shape: readonly number[],
  source: (index: readonly number[]) => readonly number[],
): readonly number[] | undefined {
  const { values } = x;
  return values && Array.from(indicesOf(shape), (index) => values[positionOf(source(index), x.shape)]);
}
