import { SamError } from '../errors.js';
import { arrayOver, type Dtype, dtypeOf, isDtype, type TypedArray } from '../ndimage/array.js';
import { isPlainData } from './messages.js';

/**
 * One message as bytes, for transports that carry only bytes: JSON with its arrays and buffers lifted out. An array arrives
 * as the array it was, with only its own bytes.
 *
 *     u32 little endian: length of the header | header, JSON | padding to 8 | bytes 0 | padding to 8 | bytes 1 …
 *     header = { message: …with null for each array or buffer, buffers: [[path, byteLength, dtype of an array], …] }
 */
type Path = readonly (string | number)[];

interface Header {
  readonly message: unknown;
  readonly buffers: readonly (readonly [path: Path, byteLength: number, dtype?: Dtype])[];
}

const aligned = (length: number) => (length + 7) & ~7;

export function packMessage(message: object): Uint8Array {
  const parts: Uint8Array[] = [];
  const places: Header['buffers'][number][] = [];
  const lift = (value: unknown, path: Path): unknown => {
    if (value instanceof ArrayBuffer) {
      parts.push(new Uint8Array(value));
      places.push([path, value.byteLength]);
      return null;
    }
    if (ArrayBuffer.isView(value)) {
      parts.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      places.push([path, value.byteLength, dtypeOf(value as TypedArray)]);
      return null;
    }
    if (Array.isArray(value)) return value.map((item, i) => lift(item, [...path, i]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, lift(item, [...path, key])]));
  };
  const header = new TextEncoder().encode(
    JSON.stringify({ message: lift(message, []), buffers: places } satisfies Header),
  );
  let length = aligned(4 + header.length);
  const placed = parts.map((part) => {
    const offset = length;
    length = aligned(length + part.length);
    return { part, offset };
  });
  const packed = new Uint8Array(length);
  new DataView(packed.buffer).setUint32(0, header.length, true);
  packed.set(header, 4);
  for (const { part, offset } of placed) packed.set(part, offset);
  return packed;
}

/** @throws SamError `invalid_argument` for anything that `packMessage` did not make */
export function unpackMessage(packed: Uint8Array): object {
  try {
    const length = new DataView(packed.buffer, packed.byteOffset, packed.byteLength).getUint32(0, true);
    const { message, buffers } = JSON.parse(
      new TextDecoder('utf-8', { fatal: true }).decode(packed.subarray(4, 4 + length)),
    ) as Header;
    if (typeof message !== 'object' || message === null || !isPlainData(message)) throw new TypeError('No message.');
    let offset = aligned(4 + length);
    for (const [path, byteLength, dtype] of buffers) {
      if (!(byteLength >= 0) || offset + byteLength > packed.byteLength) throw new RangeError('A buffer is cut short.');
      if (dtype !== undefined && !isDtype(dtype)) throw new TypeError('An array of no known type.');
      const parent = path.slice(0, -1).reduce<object>((at, key) => own(at, key) as object, message);
      const key = path.at(-1);
      if (key === undefined || own(parent, key) !== null) throw new TypeError('A buffer has no place.');
      const { buffer } = new Uint8Array(packed.subarray(offset, offset + byteLength));
      Object.assign(parent, { [key]: dtype === undefined ? buffer : arrayOver(dtype, buffer) });
      offset = aligned(offset + byteLength);
    }
    return message;
  } catch (error) {
    throw new SamError('invalid_argument', 'Received bytes that are not a message of this program.', { cause: error });
  }
}

function own(at: object, key: string | number): unknown {
  return Object.getOwnPropertyDescriptor(at, key)?.value;
}
