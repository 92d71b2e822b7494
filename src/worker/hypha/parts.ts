import { ExtensionCodec, encode } from '@msgpack/msgpack';
import { lengthOf, writeParts } from '../../ndimage/array.js';

/**
 * Messages as lists of their parts, in order: what is large in them stays where it is until the bytes are sent. An image of
 * 64 MB would else be copied for the encoding, for its growing buffer, for the message, and for each piece of it.
 */
export type Parts = readonly Uint8Array[];

/** Bytes that are worth a part of their own. */
const LARGE = 1 << 14;
/** Stands in what is encoded for what is not copied: an extension without data, of a kind that never leaves here. */
const KIND = 0;
const STAND_IN = 6;

interface Kept {
  readonly at: number;
  readonly bytes: Uint8Array;
}

const keeping = new ExtensionCodec<Kept[]>();
keeping.register({
  type: KIND,
  encode(value, kept) {
    if (!(value instanceof Uint8Array) || value.length < LARGE) return null;
    return (at: number) => {
      kept.push({ at, bytes: value });
      return new Uint8Array(0);
    };
  },
  decode: () => undefined,
});

/** Values of msgpack one after the other; of objects, what is undefined is left out. */
export function packed(...values: readonly unknown[]): Parts {
  return values.flatMap((value) => {
    const kept: Kept[] = [];
    const encoded = encode(value, { extensionCodec: keeping, context: kept, ignoreUndefined: true });
    let from = 0;
    const parts: Uint8Array[] = [];
    for (const { at, bytes } of kept) {
      parts.push(encoded.subarray(from, at - STAND_IN), header(bytes.length), bytes);
      from = at;
    }
    return [...parts, encoded.subarray(from)];
  });
}

/** Of binary data with its length in four bytes ("bin 32"). */
function header(length: number): Uint8Array {
  const bytes = new Uint8Array(5);
  bytes[0] = 0xc6;
  new DataView(bytes.buffer).setUint32(1, length);
  return bytes;
}

/**
 * One after the other.
 *
 * @param room where they are put; new memory if absent, or if they need more
 */
export function joined(parts: Parts, room?: Uint8Array): Uint8Array {
  const length = lengthOf(parts);
  return writeParts(room && room.length >= length ? room.subarray(0, length) : new Uint8Array(length), parts);
}

/** What lies from one byte to another: a view, where it is within one part. */
export function piece(parts: Parts, from: number, to: number): Uint8Array {
  const found: Uint8Array[] = [];
  let at = 0;
  for (const part of parts) {
    const view = part.subarray(Math.max(0, from - at), Math.max(0, to - at));
    if (view.length > 0) found.push(view);
    at += part.length;
  }
  const [first, ...more] = found;
  return first && more.length === 0 ? first : joined(found);
}
