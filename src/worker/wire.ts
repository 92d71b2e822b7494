import { SamError } from '../errors.js';

/**
 * One imjoy-rpc message as bytes, for transports that carry only bytes: JSON with its buffers lifted out.
 *
 *     u32 little endian: length of the header | header, JSON | padding to 8 | buffer 0 | padding to 8 | buffer 1 …
 *     header = { message: …with null for each buffer, buffers: [[path, byteLength], …] }
 */
type Path = readonly (string | number)[];

interface Header {
  readonly message: unknown;
  readonly buffers: readonly (readonly [path: Path, byteLength: number])[];
}

const aligned = (length: number) => (length + 7) & ~7;

export function packMessage(message: object): Uint8Array {
  const buffers: Uint8Array[] = [];
  const places: [Path, number][] = [];
  const lift = (value: unknown, path: Path): unknown => {
    const bytes = bytesOf(value);
    if (bytes) {
      buffers.push(bytes);
      places.push([path, bytes.byteLength]);
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
  const offsets = buffers.map((buffer) => {
    const offset = length;
    length = aligned(length + buffer.length);
    return offset;
  });
  const packed = new Uint8Array(length);
  new DataView(packed.buffer).setUint32(0, header.length, true);
  packed.set(header, 4);
  for (const [i, buffer] of buffers.entries()) packed.set(buffer, offsets[i]);
  return packed;
}

function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return undefined;
}

/** @throws SamError `invalid_argument` for anything that `packMessage` did not make */
export function unpackMessage(packed: Uint8Array): object {
  try {
    const length = new DataView(packed.buffer, packed.byteOffset, packed.byteLength).getUint32(0, true);
    const { message, buffers } = JSON.parse(
      new TextDecoder('utf-8', { fatal: true }).decode(packed.subarray(4, 4 + length)),
    ) as Header;
    if (typeof message !== 'object' || message === null) throw new TypeError('No message.');
    let offset = aligned(4 + length);
    for (const [path, byteLength] of buffers) {
      if (!(byteLength >= 0) || offset + byteLength > packed.byteLength) throw new RangeError('A buffer is cut short.');
      const parent = path.slice(0, -1).reduce<object>((at, key) => own(at, key) as object, message);
      // A buffer of its own: imjoy-rpc hands on the whole buffer of whatever it gets.
      const bytes = packed.slice(offset, offset + byteLength);
      if (own(parent, path[path.length - 1]) !== null) throw new TypeError('A buffer has no place.');
      Object.assign(parent, { [path[path.length - 1]]: bytes.buffer });
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
