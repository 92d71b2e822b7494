import { SamError } from '../errors.js';
import type { ByteSource } from '../io/bytes.js';
import { itemAt } from '../items.js';
import { halfValues } from '../ndimage/half.js';
import type { TaskOptions } from '../task.js';

/** A tensor of a checkpoint that stays in its file until it is read. */
export interface StoredTensor {
  readonly shape: readonly number[];
  /** All elements in row-major order; of types other than float32 the nearest float32. */
  read(options?: TaskOptions): Promise<Float32Array<ArrayBuffer>>;
}

/** Tensors by PyTorch's names. */
export type Tensors = ReadonlyMap<string, StoredTensor>;

/** Where the elements of a tensor lie: `source` holds nothing but its storage. Offset and strides count elements. */
export interface StridedView {
  readonly name: string;
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
  /** Elements of the storage, which may be shared with other tensors. */
  readonly length: number;
  readonly source: (options: TaskOptions) => Promise<ByteSource>;
}

export type ElementType = keyof typeof ELEMENTS;

type Decode = (view: DataView, at: number) => number;

/** Little-endian element types: bytes of one, and its value. */
const ELEMENTS = {
  float32: [4, (view, at) => view.getFloat32(at, true)],
  float64: [8, (view, at) => view.getFloat64(at, true)],
  float16: [2, (view, at) => halfValues()[view.getUint16(at, true)]!],
  bfloat16: [2, (view, at) => bfloat(view.getUint16(at, true))],
  int64: [8, (view, at) => Number(view.getBigInt64(at, true))],
  int32: [4, (view, at) => view.getInt32(at, true)],
  int16: [2, (view, at) => view.getInt16(at, true)],
  int8: [1, (view, at) => view.getInt8(at)],
  uint8: [1, (view, at) => view.getUint8(at)],
  bool: [1, (view, at) => Number(view.getUint8(at) !== 0)],
} as const satisfies Record<string, readonly [bytes: number, decode: Decode]>;

const scratch = new DataView(new ArrayBuffer(4));

/** The upper half of a float32. */
function bfloat(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

export function isElementType(name: string): name is ElementType {
  return Object.hasOwn(ELEMENTS, name);
}

export function bytesOf(dtype: ElementType): number {
  return ELEMENTS[dtype][0];
}

/** More elements than its storage has, as a tensor expanded by strides of 0, only up to so many. */
const MOST_EXPANDED = 2 ** 20;
/** 2 GB as float32: twice the largest matrix of a ViT-H. */
const MOST_ELEMENTS = 2 ** 29;

/**
 * A tensor as a view of a storage, checked: all of it lies inside.
 *
 * @throws SamError `model_unavailable`
 */
export function stridedTensor(view: StridedView): StoredTensor {
  const { name, shape, strides, offset, length } = view;
  const count = shape.reduce((product, n) => product * n, 1);
  const last = shape.reduce((at, n, axis) => at + (n - 1) * (strides[axis] ?? Number.NaN), offset);
  const isNatural = (n: number) => Number.isSafeInteger(n) && n >= 0;
  const whole = [offset, length, count, ...shape, ...strides].every(isNatural) && strides.length === shape.length;
  const inside = count === 0 || last < length;
  if (!whole || !inside || count > MOST_ELEMENTS || count > Math.max(length, MOST_EXPANDED))
    throw new SamError(
      'model_unavailable',
      `The checkpoint is damaged: its tensor '${name.slice(0, 100)}' of shape [${shape.slice(0, 8).join(', ')}] does not fit the ${length} elements that are stored for it.`,
      { details: { shape: shape.slice(0, 8), length } },
    );
  return {
    shape,
    async read(options = {}) {
      if (count === 0) return new Float32Array(0);
      const size = bytesOf(view.dtype);
      const source = await view.source(options);
      const bytes = await source.read(offset * size, (last + 1 - offset) * size, options);
      return elements(bytes, view, count);
    },
  };
}

/** @param bytes of the storage from the first element of the view on */
function elements(bytes: Uint8Array, { dtype, shape, strides }: StridedView, count: number): Float32Array<ArrayBuffer> {
  const [size, decode] = ELEMENTS[dtype];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const isContiguous = rowMajor(shape).every((stride, axis) => stride === strides[axis] || shape[axis] === 1);
  if (isContiguous && dtype === 'float32') return floats(bytes);
  const out = new Float32Array(count);
  if (isContiguous) {
    for (let i = 0; i < count; i++) out[i] = decode(view, i * size);
    return out;
  }
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0, at = 0; i < count; i++) {
    out[i] = decode(view, at * size);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const [stride, length] = [strides[axis]!, shape[axis]!];
      const next = index[axis]! + 1;
      at += stride;
      index[axis] = next < length ? next : 0;
      if (next < length) break;
      at -= stride * length;
    }
  }
  return out;
}

/** A view where the bytes are aligned and nobody else's, else a copy. */
function floats(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const alone = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  const buffer = alone ? (bytes.buffer as ArrayBuffer) : bytes.slice().buffer;
  return new Float32Array(buffer, 0, bytes.length / 4);
}

export function rowMajor(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--)
    strides[axis] = itemAt(strides, axis + 1) * itemAt(shape, axis + 1);
  return strides;
}
