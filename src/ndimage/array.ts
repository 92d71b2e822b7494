import { keysOf } from '../items.js';
/**
 * The one data currency: a typed array with a shape, C order, tightly packed (`data.length` is the product of `shape`),
 * so it can be posted to a worker as it is. Coordinates are (y, x) or (z, y, x) everywhere outside `model/` and the
 * viewers.
 */
export type TypedArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

export type Dtype = 'int8' | 'uint8' | 'int16' | 'uint16' | 'int32' | 'uint32' | 'float32' | 'float64';

export interface Tensor<T extends TypedArray = TypedArray> {
  readonly data: T;
  readonly shape: readonly number[];
}

/** Instance labels, 0 is background. Shape [H, W] or [Z, H, W]. */
export type LabelImage = Tensor<Uint32Array>;

/** [y, x] in pixels; pixel (r, c) covers [r, r+1) x [c, c+1). */
export type YX = readonly [y: number, x: number];

/** [y0, x0, y1, x1] in pixels, upper bounds exclusive. */
export type YXYX = readonly [y0: number, x0: number, y1: number, x1: number];

/** [height, width] in pixels. */
export type Size = readonly [height: number, width: number];

const CONSTRUCTORS = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

export const DTYPES = keysOf(CONSTRUCTORS);

export type ArrayOf<D extends Dtype> = InstanceType<(typeof CONSTRUCTORS)[D]>;

export function allocate<D extends Dtype>(dtype: D, length: number): ArrayOf<D> {
  return new CONSTRUCTORS[dtype](length) as ArrayOf<D>;
}

/** The array of a type that a whole buffer holds. @throws RangeError if it holds no whole number of elements */
export function arrayOver<D extends Dtype>(dtype: D, buffer: ArrayBuffer): ArrayOf<D> {
  return new CONSTRUCTORS[dtype](buffer) as ArrayOf<D>;
}

export function bytesOfDtype(dtype: Dtype): number {
  return CONSTRUCTORS[dtype].BYTES_PER_ELEMENT;
}

export function isDtype(name: unknown): name is Dtype {
  return typeof name === 'string' && Object.hasOwn(CONSTRUCTORS, name);
}

export function isTypedArray(value: unknown): value is TypedArray {
  return Object.values(CONSTRUCTORS).some((ArrayType) => value instanceof ArrayType);
}

export function dtypeOf(data: TypedArray): Dtype {
  for (const [name, ArrayType] of Object.entries(CONSTRUCTORS)) if (data instanceof ArrayType) return name as Dtype;
  throw new TypeError(`Not a numeric array: ${Object.prototype.toString.call(data)}`);
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** A tensor over `data` after checking that it fits `shape`. */
export function tensor<T extends TypedArray>(data: T, shape: readonly number[]): Tensor<T> {
  if (data.length !== sizeOf(shape)) throw new RangeError(`${data.length} values do not fill the shape [${shape}].`);
  return { data, shape };
}

/** The same values in a buffer of their own: what may be posted or sent over RPC (views are sent with their whole buffer). */
export function pack<T extends TypedArray>(data: T): T {
  return data.byteLength === data.buffer.byteLength ? data : (data.slice() as T);
}

/** Bytes one after the other, in new memory. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return writeParts(new Uint8Array(lengthOf(parts)), parts);
}

/** How many elements all parts have. */
export function lengthOf(parts: readonly { readonly length: number }[]): number {
  return parts.reduce((length, part) => length + part.length, 0);
}

/** Puts the parts into `whole` one after the other, from its start on, and gives it back. */
export function writeParts<T extends Uint8Array | Float32Array>(whole: T, parts: readonly ArrayLike<number>[]): T {
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The same bytes for functions of the web that take none in memory that threads share. */
export function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return isUnshared(bytes) ? bytes : bytes.slice();
}

function isUnshared(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer;
}
