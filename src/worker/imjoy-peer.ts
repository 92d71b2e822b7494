import type { RpcConnection } from 'imjoy-rpc/dist/imjoy-rpc.js';
import { SamError } from '../errors.js';
import { membersOf } from '../items.js';
import { allocate, isDtype } from '../ndimage/array.js';
import type { Channel } from './channel.js';
import { isRecord } from './messages.js';

/**
 * imjoy-rpc over a channel, for where ImJoy is on the other side; our own ends speak `connection.ts`. Its RPC class runs over
 * any object with on, off, emit and a peer id. Its handlers trust their peer: a wrong type in the wrong place becomes an
 * exception or a rejection that nobody catches, which ends a Node process and everybody's work in it. So whatever arrives
 * is checked first, all of it, and a peer that sends anything else loses its connection.
 *
 * @param api what the peer may call
 * @param config imjoy-rpc's description of this side, which is said first, as a plugin does that imjoy-core connects to
 */
export async function offerToImJoy(
  channel: Channel,
  api: object,
  config: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { RPC, API_VERSION } = await loadRpc();
  const peerId = `peer-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
  const described = { api_version: API_VERSION, ...config };
  const { connection, start } = rpcConnection(channel, peerId, new Set(Object.keys(api)));
  const rpc = new RPC(connection, described, {});
  void rpc.setInterface(api);
  start(); // only now is there somebody to hand early messages to
  connection.emit({ type: 'initialized', config: described, peer_id: peerId, origin: '*' });
}

function rpcConnection(channel: Channel, peerId: string, callable: ReadonlySet<unknown>) {
  type Handler = (message: never) => void;
  const handlers = new Map<string, Set<Handler>>();
  const start = () =>
    channel.onMessage((message) => {
      const verdict = judge(message, callable);
      if (verdict === 'malformed') channel.close('The other side sent what is not a message of ImJoy.');
      if (verdict !== 'deliver') return;
      const { type } = membersOf(message);
      for (const handler of [...(handlers.get(String(type)) ?? [])]) handler(message as never);
    });
  const on = (event: string, handler: Handler) => {
    handlers.set(event, (handlers.get(event) ?? new Set<Handler>()).add(handler));
  };
  const off = (event: string, handler?: Handler) => {
    if (handler) handlers.get(event)?.delete(handler);
    else handlers.delete(event);
  };
  const connection: RpcConnection = {
    peer_id: peerId,
    on,
    off,
    once(event, handler) {
      const first: Handler = (message) => {
        off(event, first);
        handler(message);
      };
      on(event, first);
    },
    emit(message) {
      try {
        channel.send(message);
      } catch (error) {
        // A closed channel has told its listeners; only what cannot be sent at all is worth throwing.
        if (!(error instanceof SamError && error.code === 'worker_lost')) throw error;
      }
    },
    execute: () => Promise.reject(new SamError('unsupported', 'Code from the other side is not executed.')),
    disconnect: () => channel.close(),
  };
  return { connection, start };
}

async function loadRpc() {
  // imjoy-rpc asks `instanceof ImageData` of whatever it encodes, and takes the class from nowhere but the global scope,
  // where Node has none. Not before a peer of ImJoy's is there: whoever takes that name for the sign of a browser is misled.
  globalThis.ImageData ??= class {} as unknown as typeof ImageData;
  const loaded = await import('imjoy-rpc/dist/imjoy-rpc.js');
  return loaded.default;
}

type Verdict = 'deliver' | 'ignore' | 'malformed';

/** Deep enough for what plugins send. */
const DEPTH = 16;

/** @param callable names the peer may call: imjoy-rpc alone would follow any path of properties, up to `Function` */
function judge(message: object, callable: ReadonlySet<unknown>): Verdict {
  const { type, name, object_id, id, args, promise, api } = membersOf(message);
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
  if (!(_rvalue instanceof ArrayBuffer)) return false;
  return isDtype(_rdtype) ? _rvalue.byteLength % allocate(_rdtype, 0).BYTES_PER_ELEMENT === 0 : _rdtype === 'array';
}
