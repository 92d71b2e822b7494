import { SamError } from '../errors.js';
import { allocate, bytesOfDtype, type Dtype, isDtype, type TypedArray } from '../ndimage/array.js';
import { halfToFloat } from '../ndimage/half.js';

/**
 * Numbers as files hold them to numbers as we hold them. Files also have booleans (read as uint8), half floats (read as
 * float32) and 64-bit integers (read as float64 if every value fits exactly; else the error says which does not).
 */
export type FileDtype = Dtype | 'bool' | 'float16' | 'int64' | 'uint64';

/** Those that are not held as they are. */
const BYTES = { bool: 1, float16: 2, int64: 8, uint64: 8 } as const;

export function isFileDtype(name: unknown): name is FileDtype {
  return isDtype(name) || (typeof name === 'string' && Object.hasOwn(BYTES, name));
}

export function bytesPerElement(dtype: FileDtype): number {
  return isDtype(dtype) ? bytesOfDtype(dtype) : BYTES[dtype];
}

/** The dtype that values of `dtype` are given in. */
export function memoryDtype(dtype: FileDtype): Dtype {
  if (dtype === 'bool') return 'uint8';
  if (dtype === 'float16') return 'float32';
  if (dtype === 'int64' || dtype === 'uint64') return 'float64';
  return dtype;
}

/** `bytes` as numbers, in a buffer of their own. Extra bytes at the end that do not make up an element are ignored. */
export function decodeElements(bytes: Uint8Array, dtype: FileDtype, littleEndian: boolean): TypedArray {
  const size = bytesPerElement(dtype);
  const length = Math.floor(bytes.length / size);
  const own = new Uint8Array(length * size);
  own.set(bytes.subarray(0, own.length));
  if (!littleEndian) swapBytes(own, size);
  return viewElements(own.buffer, dtype, length);
}

/** Reverses the bytes of each element of `size` bytes, in place. */
export function swapBytes(bytes: Uint8Array, size: number): void {
  if (size === 1) return;
  for (let start = 0; start + size <= bytes.length; start += size)
    for (let low = start, high = start + size - 1; low < high; low++, high--) {
      const byte = bytes[low]!;
      bytes[low] = bytes[high]!;
      bytes[high] = byte;
    }
}

/** A little-endian buffer as numbers; shares the buffer where the dtype needs no conversion. */
export function viewElements(buffer: ArrayBuffer, dtype: FileDtype, length: number): TypedArray {
  if (dtype === 'float16') return Float32Array.from(new Uint16Array(buffer, 0, length), halfToFloat);
  if (dtype === 'int64') return exactNumbers(new BigInt64Array(buffer, 0, length));
  if (dtype === 'uint64') return exactNumbers(new BigUint64Array(buffer, 0, length));
  const View = allocate(memoryDtype(dtype), 0).constructor as new (
    buffer: ArrayBuffer,
    offset: number,
    length: number,
  ) => TypedArray;
  return new View(buffer, 0, length);
}

export function exactNumbers(values: BigInt64Array | BigUint64Array): Float64Array {
  const numbers = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const number = Number(values[i]);
    if (!Number.isSafeInteger(number))
      throw new SamError(
        'unsupported',
        `The 64-bit integer ${values[i]} has no exact double; 64-bit images are read if all values are below 2^53. Convert the image to 32 bit.`,
      );
    numbers[i] = number;
  }
  return numbers;
}
