import { SamError } from '../errors.js';
import { DTYPES, dtypeOf, isTypedArray, pack, sizeOf, type Tensor, type TypedArray } from '../ndimage/array.js';
import { bytesPerElement, exactNumbers, type FileDtype, isFileDtype, swapBytes, viewElements } from './elements.js';

/**
 * Arrays as ImJoy sends them, of any number of axes, in C order. numpy's arrive with dtypes that JavaScript arrays do not
 * have (bool, int64, uint64, float16). They become the nearest that holds them exactly; 64-bit integers that none does are
 * refused.
 */
export interface RpcArray {
  readonly _rtype: 'ndarray';
  readonly _rvalue: ArrayBuffer;
  readonly _rshape: readonly number[];
  readonly _rdtype: string;
}

/** What somebody else sent for an array, unread. */
interface Sent {
  readonly _rtype?: unknown;
  readonly _rvalue?: unknown;
  readonly _rshape?: unknown;
  readonly _rdtype?: unknown;
  readonly data?: unknown;
  readonly shape?: unknown;
}

/** Packed, since a view would be sent with its whole buffer. */
export function toRpcArray({ data, shape }: Tensor): RpcArray {
  const { buffer } = pack(data);
  return { _rtype: 'ndarray', _rvalue: buffer as ArrayBuffer, _rshape: [...shape], _rdtype: dtypeOf(data) };
}

/** An ndarray of ImJoy's, or `{ data, shape }` with a typed array. What is in it is looked at when it is read. */
export function isArrayLike(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const { _rtype, data, shape }: Sent = value;
  return _rtype === 'ndarray' || (ArrayBuffer.isView(data) && Array.isArray(shape));
}

/** The shape that an array says it has, if it is one. */
export function shapeOf(value: object): readonly number[] | undefined {
  const shape = saidShape(value);
  return isShape(shape) ? shape : undefined;
}

function saidShape({ _rtype, _rshape, shape }: Sent): unknown {
  return _rtype === 'ndarray' ? _rshape : shape;
}

/** True and false, which are read as 1 and 0. */
export function isBoolean({ _rdtype }: Sent): boolean {
  return nameOfDtype(_rdtype) === 'bool';
}

/**
 * The numbers of what `isArrayLike`, in memory of their own.
 *
 * @throws SamError `invalid_argument` for what is no array, `invalid_image` if the bytes do not fill the shape,
 *   `unsupported` for complex numbers, text and the like
 */
export function fromRpcArray(value: unknown): Tensor {
  return read(value, true);
}

/** As `fromRpcArray`, but in the memory of what was given where the numbers can be used as they lie there. */
export function viewRpcArray(value: unknown): Tensor {
  return read(value, false);
}

function read(value: unknown, own: boolean): Tensor {
  if (!isArrayLike(value))
    throw new SamError(
      'invalid_argument',
      'Expected an ndarray { _rtype, _rvalue, _rshape, _rdtype } or { data, shape }.',
    );
  const { _rtype, _rvalue, _rdtype, data: given }: Sent = value;
  const shape = saidShape(value);
  if (!isShape(shape))
    throw new SamError('invalid_image', `An ndarray has the shape ${JSON.stringify(shape)}; expected whole numbers.`);
  const data = _rtype === 'ndarray' ? decode(_rvalue, _rdtype, own) : numbersIn(given, own);
  if (data.length !== sizeOf(shape))
    throw new SamError(
      'invalid_image',
      `An ndarray has ${data.length} values, which do not fill its shape [${shape}].`,
    );
  return { data, shape: [...shape] };
}

/** Lists in lists, one level for each axis; of an array of no axes its number. */
export function toNestedList({ data, shape }: Tensor): unknown {
  const nested = (axis: number, at: number): unknown => {
    const length = shape[axis];
    return length === undefined ? data[at] : Array.from({ length }, (_, k) => nested(axis + 1, at * length + k));
  };
  return nested(0, 0);
}

function isShape(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((length) => Number.isSafeInteger(length) && length >= 0);
}

function decode(_rvalue: unknown, _rdtype: unknown, own: boolean): TypedArray {
  const dtype = nameOfDtype(_rdtype);
  if (!isFileDtype(dtype))
    throw new SamError(
      'unsupported',
      `Arrays of type ${String(_rdtype).slice(0, 40)} are not supported; convert to ${DTYPES.join(', ')}.`,
    );
  const width = bytesPerElement(dtype);
  const bigEndian = String(_rdtype).startsWith('>');
  const bytes = bytesOf(_rvalue, own || bigEndian);
  if (bigEndian) swapBytes(new Uint8Array(bytes), width);
  if (bytes.byteLength % width !== 0)
    throw new SamError('invalid_image', `${bytes.byteLength} bytes are no whole number of ${dtype} values.`);
  return numbersOf(dtype, bytes);
}

/** @param own whether a copy is asked for; of a view it is one in any case, since the view may begin anywhere */
function bytesOf(value: unknown, own: boolean): ArrayBuffer {
  if (value instanceof ArrayBuffer) return own ? value.slice(0) : value;
  if (ArrayBuffer.isView(value)) {
    const copy = new Uint8Array(value.byteLength);
    copy.set(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    return copy.buffer;
  }
  throw new SamError('invalid_argument', 'The _rvalue of an ndarray must be an ArrayBuffer.');
}

function numbersIn(data: unknown, own: boolean): TypedArray {
  if (data instanceof BigInt64Array) return narrowSigned(data);
  if (data instanceof BigUint64Array) return narrowUnsigned(data);
  if (data instanceof Uint8ClampedArray) return new Uint8Array(data);
  if (!isTypedArray(data)) throw new SamError('unsupported', 'The data of an array must be a numeric typed array.');
  return own ? (data.slice() as TypedArray) : data;
}

function numbersOf(dtype: FileDtype, bytes: ArrayBuffer): TypedArray {
  if (dtype === 'bool') return new Uint8Array(bytes).map((value) => (value ? 1 : 0));
  if (dtype === 'int64') return narrowSigned(new BigInt64Array(bytes));
  if (dtype === 'uint64') return narrowUnsigned(new BigUint64Array(bytes));
  return viewElements(bytes, dtype, bytes.byteLength / bytesPerElement(dtype));
}

function nameOfDtype(said: unknown): string {
  const code = String(said).replace(/^[<>|=]/, '');
  return (Object.hasOwn(CODES, code) ? CODES[code] : undefined) ?? code;
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
