/**
 * Is this a message that imjoy-rpc can be given? Its handlers trust their peer: a wrong type in the wrong place becomes an
 * exception or a rejection that nobody catches, which ends a Node process and everybody's work in it. So whatever arrives
 * is checked first, all of it, and a peer that sends anything else loses its connection.
 */
export type Verdict = 'deliver' | 'ignore' | 'malformed';

/** Deep enough for what is sent here; JSON that is nested deeper overflows the stack of whoever walks it. */
const DEPTH = 16;

const ELEMENT_SIZE: Readonly<Record<string, number>> = {
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  float32: 4,
  float64: 8,
  array: 1,
};

/** @param callable names the peer may call: imjoy-rpc alone would follow any path of properties, up to `Function` */
export function judge(message: object, callable: ReadonlySet<unknown>): Verdict {
  const { type, name, object_id, id, args, promise, api } = message as Readonly<Record<string, unknown>>;
  const judged = (fine: boolean): Verdict => (fine ? 'deliver' : 'malformed');
  switch (type) {
    case 'method':
      if (typeof name === 'string' && !callable.has(name)) return 'ignore';
      return judged(typeof name === 'string' && typeof object_id === 'string' && isCall(args, promise));
    case 'callback':
      return judged(Number.isInteger(id) && isCall(args, promise));
    case 'setInterface':
      return judged(isRecord(api) && isValue(api, DEPTH));
    case 'getInterface':
    case 'interfaceSetAsRemote':
    case 'disconnect':
      return 'deliver';
    default:
      return 'ignore'; // among them 'execute', code of the peer's, and 'init', at which imjoy-rpc itself throws
  }
}

function isCall(args: unknown, promise: unknown): boolean {
  return Array.isArray(args) && isValue(args, DEPTH) && (promise === undefined || promise === null || isPair(promise));
}

/** What resolves and what rejects. */
function isPair(promise: unknown): boolean {
  return (
    Array.isArray(promise) &&
    promise.length === 2 &&
    promise.every((end) => isRecord(end) && end._rtype === 'callback' && isCallback(end))
  );
}

function isValue(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth === 0) return false;
  if (Array.isArray(value)) return value.every((item) => isValue(item, depth - 1));
  if (!isRecord(value)) return true; // a buffer, or what a browser clones between its threads
  if (['constructor', 'hasOwnProperty', '__proto__'].some((key) => Object.hasOwn(value, key))) return false;
  const { _rtype: kind, _rvalue: content } = value;
  if (kind === 'callback' && !isCallback(value)) return false;
  if (kind === 'interface' && typeof content !== 'string') return false;
  if (kind === 'memoryview' && !(content instanceof ArrayBuffer)) return false;
  if (kind === 'typedarray' && !isTypedArray(value)) return false;
  if (['blob', 'file', 'set', 'orderedmap'].includes(String(kind))) return false; // nothing here takes them
  return Object.values(value).every((item) => isValue(item, depth - 1));
}

function isCallback({ _rvalue }: Readonly<Record<string, unknown>>): boolean {
  return Number.isInteger(_rvalue);
}

function isTypedArray({ _rvalue, _rdtype }: Readonly<Record<string, unknown>>): boolean {
  const size = ELEMENT_SIZE[String(_rdtype)];
  return size !== undefined && _rvalue instanceof ArrayBuffer && _rvalue.byteLength % size === 0;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
