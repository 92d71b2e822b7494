import { SamError } from '../errors.js';
import { concatBytes } from '../ndimage/array.js';
import type { LaterBytes } from './model.js';

/**
 * Protocol buffers' wire format, as much as ONNX files use. Reading never copies: `bytes()` gives views of the file.
 * Whatever is wrong with the input ends in a `WireError`, never in an endless loop or an out-of-bounds value.
 */
export class WireError extends Error {
  override readonly name = 'WireError';
}

const VARINT = 0;
const FIXED64 = 1;
export const BYTES = 2;
const FIXED32 = 5;

const decoder = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

export class WireReader {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  position = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.position >= this.bytes.length;
  }

  /** A signed 64-bit integer; exact for every value that a double can hold, and a bigint otherwise. */
  int(): number | bigint {
    let low = 0; // the first 28 bits, as a number: nearly all values end here
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return low;
    }
    let high = 0n;
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      high |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        const value = BigInt.asIntN(64, high | BigInt(low));
        const number = Number(value);
        return Number.isSafeInteger(number) ? number : value;
      }
    }
    throw new WireError(`an integer at byte ${this.position} has no end`);
  }

  /** An integer that must fit a double: tags, lengths, dimensions, enumerations. */
  number(): number {
    const value = this.int();
    if (typeof value === 'number') return value;
    throw new WireError(`${value} at byte ${this.position} is too large`);
  }

  tag(): { field: number; type: number } {
    const key = this.number();
    const field = Math.floor(key / 8);
    if (field < 1 || field > 0x1fffffff) throw new WireError(`no field has the number ${field}`);
    return { field, type: key & 7 };
  }

  view8(): Uint8Array {
    return this.take(this.number());
  }

  text(): string {
    const bytes = this.view8();
    try {
      return decoder.decode(bytes);
    } catch {
      throw new WireError('a name is not valid UTF-8');
    }
  }

  float32(): number {
    const start = this.position;
    this.take(4);
    return this.view.getFloat32(start, true);
  }

  /** Passes over one value of the given wire type. */
  skip(type: number): void {
    if (type === VARINT) this.int();
    else if (type === FIXED64) this.take(8);
    else if (type === BYTES) this.view8();
    else if (type === FIXED32) this.take(4);
    else throw new WireError(`wire type ${type} does not exist`);
  }

  private byte(): number {
    if (this.position >= this.bytes.length) throw new WireError('the data ends in the middle of a value');
    return this.bytes[this.position++];
  }

  private take(length: number): Uint8Array {
    const end = this.position + length;
    if (length < 0 || end > this.bytes.length)
      throw new WireError(`${length} bytes are announced where ${this.bytes.length - this.position} are left`);
    const taken = this.bytes.subarray(this.position, end);
    this.position = end;
    return taken;
  }
}

/** Collects pieces and joins them once; large byte fields are kept as views, or unmade, until then. */
export class WireWriter {
  readonly pieces: (Uint8Array | LaterBytes)[] = [];
  length = 0;

  int(field: number, value: number | bigint): void {
    this.key(field, VARINT);
    this.varint(value);
  }

  float32(field: number, value: number): void {
    this.key(field, FIXED32);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.raw(bytes);
  }

  bytes(field: number, value: Uint8Array | LaterBytes): void {
    this.key(field, BYTES);
    this.varint(value.length);
    this.raw(value);
  }

  text(field: number, value: string): void {
    this.bytes(field, encoder.encode(value));
  }

  message(field: number, write: (writer: WireWriter) => void): void {
    const inner = new WireWriter();
    write(inner);
    this.nested(field, inner);
  }

  /** A message that has been written already. */
  nested(field: number, inner: WireWriter): void {
    this.key(field, BYTES);
    this.varint(inner.length);
    for (const piece of inner.pieces) this.pieces.push(piece);
    this.length += inner.length;
  }

  /** A whole field, key included, as it was read. */
  raw(bytes: Uint8Array | LaterBytes): void {
    this.pieces.push(bytes);
    this.length += bytes.length;
  }

  /** @throws SamError `internal` if bytes are still to be made: such files are written piece by piece */
  finish(): Uint8Array {
    return concatBytes(
      this.pieces.map((piece) => {
        if (piece instanceof Uint8Array) return piece;
        throw new SamError('internal', 'The model has weights that are not read yet.');
      }),
    );
  }

  private key(field: number, type: number): void {
    this.varint(field * 8 + type);
  }

  varint(value: number | bigint): void {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    do {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      bytes.push(rest === 0n ? low : low | 0x80);
    } while (rest !== 0n);
    this.raw(Uint8Array.from(bytes));
  }
}
