import { SamError } from '../errors.js';
import { bytesPerElement, exactNumbers, type FileDtype, isFileDtype, swapBytes, viewElements } from '../io/elements.js';
import { DTYPES, dtypeOf, pack, sizeOf, type Tensor, type TypedArray } from '../ndimage/array.js';
import { shortly } from './problem.js';

/**
 * Arrays as ImJoy sends them: `{ _rtype: 'ndarray', _rvalue, _rshape, _rdtype }`, where Python's numpy arrives with
 * dtypes that JavaScript arrays do not have (bool, int64, uint64, float16). They become the nearest that holds them
 * exactly; 64-bit integers that none does are refused.
 */
export interface RpcArray {
  readonly _rtype: 'ndarray';
  readonly _rvalue: ArrayBuffer;
  readonly _rshape: readonly number[];
  readonly _rdtype: string;
}

/** Packed, since a view would be sent with its whole buffer. */
export function toRpcArray({ data, shape }: Tensor): RpcArray {
  const { buffer } = pack(data);
  return { _rtype: 'ndarray', _rvalue: buffer as ArrayBuffer, _rshape: [...shape], _rdtype: dtypeOf(data) };
}

/** Also takes `{ data, shape }` with a typed array. */
export function isArrayLike(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { _rtype, data, shape } = value as Record<string, unknown>;
  return _rtype === 'ndarray' || (ArrayBuffer.isView(data) && Array.isArray(shape));
}

/** numpy's scalars (np.int64(3)) come as arrays of no axes. Anything else is returned as it is. */
export function scalarOf(value: unknown): unknown {
  if (!isArrayLike(value)) return value;
  const { _rshape, shape = _rshape, _rdtype } = value as Partial<RpcArray> & { shape?: unknown };
  if (!Array.isArray(shape) || shape.length > 0) return value;
  const [number] = fromRpcArray(value).data;
  return /bool|\?/.test(String(_rdtype)) ? number !== 0 : number;
}

/** Arrays inside of lists, and arrays where lists are expected, as lists of numbers; very large ones stay. */
export function plainNumbers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainNumbers);
  if (!isArrayLike(value)) return value;
  const { _rshape, shape = _rshape } = value as Partial<RpcArray> & { shape?: readonly number[] };
  if (!Array.isArray(shape) || sizeOf(shape) > MOST_PLAIN) return value;
  const { data } = fromRpcArray(value);
  const nested = (axis: number, at: number): unknown =>
    axis === shape.length
      ? data[at]
      : Array.from({ length: shape[axis] }, (_, k) => nested(axis + 1, at * shape[axis] + k));
  return nested(0, 0);
}

const MOST_PLAIN = 100_000;

/** Lists in lists, all of one length: numbers, or true and false. */
export function isNestedList(value: unknown): value is readonly unknown[] {
  let first = value;
  for (let depth = 0; depth < 8 && Array.isArray(first) && first.length > 0; depth++) first = first[0];
  return Array.isArray(value) && (typeof first === 'number' || typeof first === 'boolean');
}

/**
 * The smallest of uint8, uint32 and int32 that holds them all, else float64.
 *
 * @throws SamError `invalid_argument` for lists of several lengths, and for what is no number
 */
export function fromNestedList(list: readonly unknown[]): Tensor {
  const shape: number[] = [];
  for (let first: unknown = list; Array.isArray(first); first = first[0]) shape.push(first.length);
  const values = new Float64Array(sizeOf(shape));
  let at = 0;
  const fill = (value: unknown, axis: number): void => {
    if (axis === shape.length) {
      if (typeof value !== 'number' && typeof value !== 'boolean')
        throw new SamError('invalid_argument', `A list of numbers has ${shortly(value)} in it.`);
      values[at++] = Number(value);
      return;
    }
    if (!Array.isArray(value) || value.length !== shape[axis])
      throw new SamError(
        'invalid_argument',
        `Lists in lists must be of one length: ${shape[axis]} entries expected, got ${shortly(value)}.`,
      );
    for (const item of value) fill(item, axis + 1);
  };
  fill(list, 0);
  const whole = values.every(Number.isInteger);
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  const least = values.reduce((a, b) => Math.min(a, b), 0);
  if (whole && least >= 0 && most <= 255) return { data: Uint8Array.from(values), shape };
  if (whole && least >= 0 && most <= 0xffffffff) return { data: Uint32Array.from(values), shape };
  if (whole && least >= -(2 ** 31) && most < 2 ** 31) return { data: Int32Array.from(values), shape };
  return { data: values, shape };
}

/** @throws SamError `invalid_image` if the bytes do not fill the shape, `unsupported` for complex numbers, text and the like */
export function fromRpcArray(value: unknown): Tensor {
  if (!isArrayLike(value))
    throw new SamError(
      'invalid_argument',
      'Expected an ndarray { _rtype, _rvalue, _rshape, _rdtype } or { data, shape }.',
    );
  const array = value as Partial<RpcArray> & { data?: ArrayBufferView; shape?: readonly number[] };
  const shape = array._rtype === 'ndarray' ? array._rshape : array.shape;
  if (!Array.isArray(shape) || !shape.every((length) => Number.isSafeInteger(length) && length >= 0))
    throw new SamError('invalid_image', `An ndarray has the shape ${JSON.stringify(shape)}; expected whole numbers.`);
  const data = array._rtype === 'ndarray' ? decode(array) : plainArray(array.data as ArrayBufferView);
  if (data.length !== sizeOf(shape))
    throw new SamError(
      'invalid_image',
      `An ndarray has ${data.length} values, which do not fill its shape [${shape}].`,
    );
  return { data, shape: [...shape] };
}

function decode({ _rvalue, _rdtype }: Partial<RpcArray>): TypedArray {
  const code = String(_rdtype).replace(/^[<>|=]/, '');
  const dtype = (Object.hasOwn(CODES, code) ? CODES[code] : undefined) ?? code;
  if (!isFileDtype(dtype))
    throw new SamError(
      'unsupported',
      `Arrays of type ${String(_rdtype).slice(0, 40)} are not supported; convert to ${DTYPES.join(', ')}.`,
    );
  const width = bytesPerElement(dtype);
  const bytes = bytesOf(_rvalue);
  if (String(_rdtype).startsWith('>')) swapBytes(new Uint8Array(bytes), width);
  if (bytes.byteLength % width !== 0)
    throw new SamError('invalid_image', `${bytes.byteLength} bytes are no whole number of ${dtype} values.`);
  return numbersOf(dtype, bytes);
}

/** A copy: aligned, and nobody else's. */
function bytesOf(value: unknown): ArrayBuffer {
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (ArrayBuffer.isView(value)) {
    const copy = new Uint8Array(value.byteLength);
    copy.set(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    return copy.buffer;
  }
  throw new SamError('invalid_argument', 'The _rvalue of an ndarray must be an ArrayBuffer.');
}

function plainArray(data: ArrayBufferView): TypedArray {
  if (data instanceof BigInt64Array) return narrowSigned(data);
  if (data instanceof BigUint64Array) return narrowUnsigned(data);
  if (data instanceof Uint8ClampedArray) return new Uint8Array(data);
  try {
    dtypeOf(data as TypedArray);
  } catch (cause) {
    throw new SamError('unsupported', 'The data of an array must be a numeric typed array.', { cause });
  }
  return (data as TypedArray).slice() as TypedArray;
}

function numbersOf(dtype: FileDtype, bytes: ArrayBuffer): TypedArray {
  if (dtype === 'bool') return new Uint8Array(bytes).map((value) => (value ? 1 : 0));
  if (dtype === 'int64') return narrowSigned(new BigInt64Array(bytes));
  if (dtype === 'uint64') return narrowUnsigned(new BigUint64Array(bytes));
  return viewElements(bytes, dtype, bytes.byteLength / bytesPerElement(dtype));
}

/** numpy's short names, which say the order of bytes before them ('>u2'), and ImJoy's for clamped bytes. */
const CODES: Readonly<Record<string, string>> = {
  ...{ u1: 'uint8', i1: 'int8', u2: 'uint16', i2: 'int16', u4: 'uint32', i4: 'int32', u8: 'uint64', i8: 'int64' },
  ...{ f2: 'float16', f4: 'float32', f8: 'float64', b1: 'bool', '?': 'bool', uint8c: 'uint8' },
};

function narrowSigned(values: BigInt64Array): TypedArray {
  const fits = values.every((value) => value >= -2147483648n && value <= 2147483647n);
  return fits ? Int32Array.from(values, Number) : exactNumbers(values);
}

function narrowUnsigned(values: BigUint64Array): TypedArray {
  const fits = values.every((value) => value <= 4294967295n);
  return fits ? Uint32Array.from(values, Number) : exactNumbers(values);
}
