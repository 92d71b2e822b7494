import { SamError } from '../../errors.js';

/**
 * Values of Hypha's RPC: what msgpack has, and objects with `_rtype` for the rest. Arrays of numpy go both ways as ImJoy has
 * them, so the service needs to know nothing of it.
 */
type Plain = Readonly<Record<string, unknown>>;

/** Deeper values are nobody's arguments. */
const DEEPEST = 40;

/** @param callback makes the function that stands for one of the other side's, by its name there */
export function fromWire(value: unknown, callback: (method: string) => unknown, depth = 0): unknown {
  if (depth > DEEPEST) throw new SamError('invalid_argument', 'An argument is nested too deeply.');
  const inner = (item: unknown) => fromWire(item, callback, depth + 1);
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map(inner);
  const object = value as Plain;
  switch (object._rtype) {
    case undefined:
      break;
    case 'method':
      return callback(String(object._rmethod));
    case 'ndarray':
      return object;
    case 'memoryview':
    case 'bytes':
      return object._rvalue;
    case 'set':
      return inner(object._rvalue);
    case 'orderedmap':
      return Object.fromEntries((inner(object._rvalue) as [string, unknown][]) ?? []);
    default:
      throw new SamError(
        'unsupported',
        `A value of the kind ${JSON.stringify(object._rtype)} cannot be sent here; send numbers, text, lists, dicts, bytes or numpy arrays.`,
      );
  }
  return Object.fromEntries(Object.entries(object).map(([key, item]) => [key, inner(item)]));
}

/** Numbers, text, lists, objects, bytes and ndarrays; what is undefined is left out. */
export function toWire(value: unknown): unknown {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map((item) => toWire(item) ?? null);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, toWire(item)]])),
  );
}

export function errorToWire(error: unknown): Plain {
  return { _rtype: 'error', _rvalue: error instanceof Error ? error.message : String(error), _rtrace: '' };
}
