import type { RpcConnection } from 'imjoy-rpc/dist/imjoy-rpc.js';
import { asSamError, ERROR_CODES, type ErrorCode, SamError } from '../errors.js';
import { pack, type TypedArray } from '../ndimage/array.js';
import type { Channel } from './channel.js';
import { judge } from './message-check.js';

/**
 * imjoy-rpc over a channel. Its RPC class runs over any object with on, off, emit and a peer id, but has habits that
 * this file keeps to itself: typed-array views arrive as their whole buffer, so every array is packed; errors lose their
 * class, so results travel as `Reply`; pending calls outlive a lost connection, so `call` races them against it.
 */
export type Reply<T = unknown> =
  | { readonly value: T }
  | { readonly error: { readonly code: ErrorCode; readonly message: string; readonly details: object } };

export interface Connection {
  /** The peer's functions, once it has sent them. */
  readonly remote: Promise<Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>>;
  /** Calls a function of the peer that answers with a Reply. Rejects with `worker_lost` when the connection ends. */
  call<T>(name: string, ...args: unknown[]): Promise<T>;
  /** Calls a function of the peer for its effect; resolves when it has run, or the connection has ended. */
  tell(name: string, ...args: unknown[]): Promise<void>;
  close(): void;
}

export interface ConnectionOptions {
  /** imjoy-rpc's description of this side, e.g. name and type. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Say `initialized` first, as a plugin does that imjoy-core connects to. */
  readonly asPlugin?: boolean;
  /** How long the peer may be silent while calls are pending; for ever if absent. */
  readonly silence?: Silence;
}

/** Milliseconds in which nothing at all may arrive before a peer is given up. */
export interface Silence {
  readonly usual: number;
  /** Where such calls are pending, by their names. */
  readonly of?: Readonly<Record<string, number>>;
}

/** Questions that go unanswered before a peer is given up, at least. */
const QUESTIONS = 4;

/** @param api what the peer may call */
export async function connect(channel: Channel, api: object, options: ConnectionOptions = {}): Promise<Connection> {
  const { RPC, API_VERSION } = await loadRpc();
  const peerId = `peer-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
  const config = { name: 'micro-sam worker', api_version: API_VERSION, ...options.config };
  let unanswered = 0;
  const { connection, start } = rpcConnection(channel, peerId, new Set(Object.keys(api)), () => {
    unanswered = 0;
  });
  const rpc = new RPC(connection, config, {});
  type Remote = Awaited<Connection['remote']>;
  // Not Promise.race with one promise of the loss: that would keep every result for as long as the connection lives.
  const pending = new Map<(error: SamError) => void, string>();
  let lost: SamError | undefined;
  // Questions are counted, not time: a machine that slept, or a clock that was put forward, is no silence.
  const { silence } = options;
  const interval = silence && Math.min(silence.usual, ...Object.values(silence.of ?? {})) / QUESTIONS;
  const watch =
    interval &&
    setInterval(() => {
      const allowed = allowedSilence(silence as Silence, [...pending.values()]);
      if (pending.size === 0) unanswered = 0;
      else if (unanswered++ * interval < allowed) connection.emit({ type: 'ping' });
      else channel.close(`Nothing was heard of the worker for ${Math.round(allowed / 1000)} s.`);
    }, interval);
  (watch as { unref?(): void } | undefined)?.unref?.(); // in Node, being watchful keeps no process alive
  channel.onClose((reason) => {
    clearInterval(watch);
    lost = new SamError('worker_lost', reason);
    for (const reject of pending.keys()) reject(lost);
  });
  const orLost = <T>(
    name: string,
    start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (lost) return reject(lost);
      pending.set(reject, name);
      const settle =
        <V>(settled: (value: V) => void) =>
        (value: V) => {
          pending.delete(reject);
          settled(value);
        };
      start(settle(resolve), settle(reject));
    });
  const remote = orLost<Remote>('remote', (resolve) => rpc.on('remoteReady', () => resolve(rpc.getRemote() as Remote)));
  remote.catch(() => undefined); // who waits for nothing need not hear of a loss
  void rpc.setInterface(api);
  start(); // only now is there somebody to hand early messages to
  if (options.asPlugin) connection.emit({ type: 'initialized', config, peer_id: peerId, origin: '*' });
  else rpc.requestRemote();
  return {
    remote,
    async call<T>(name: string, ...args: unknown[]): Promise<T> {
      const functions = await remote;
      if (typeof functions[name] !== 'function')
        throw new SamError('unsupported', `The other side has no function '${name}'; both must be of one version.`);
      const reply = await orLost<unknown>(name, (resolve, reject) => {
        functions[name](...args.map(packed)).then(resolve, reject);
      });
      return unwrap<T>(reply as Reply<T>);
    },
    async tell(name, ...args) {
      try {
        const functions = await remote;
        await orLost<unknown>(name, (resolve, reject) => {
          functions[name](...args.map(packed)).then(resolve, reject);
        });
      } catch {
        // The peer is gone or does not want to know.
      }
    },
    close: () => channel.close(),
  };
}

/** A call may wait behind any other, so the most patient one counts. */
function allowedSilence({ usual, of }: Silence, pending: readonly string[]): number {
  return Math.max(0, ...pending.map((name) => of?.[name] ?? usual));
}

/** Runs a call for the peer and makes a Reply of whatever happens. */
export async function replyOf(job: () => Promise<unknown>): Promise<Reply> {
  try {
    return { value: packed(await job()) ?? null };
  } catch (thrown) {
    const { code, message, details } = asSamError(thrown);
    return { error: { code, message, details: plain(details) } };
  }
}

function unwrap<T>(reply: Reply<T> | undefined): T {
  if (reply && 'value' in reply) return reply.value;
  if (!reply || typeof reply !== 'object' || !('error' in reply))
    throw new SamError(
      'internal',
      `The worker answered with ${JSON.stringify(reply)}, which is neither value nor error.`,
    );
  const { code, message, details } = reply.error;
  throw new SamError(ERROR_CODES.includes(code) ? code : 'internal', message, { details: { ...details } });
}

/** The same plain data with every typed array in a buffer of its own and without undefined members. */
export function packed(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return pack(value as TypedArray);
  if (Array.isArray(value)) return value.map(packed);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, packed(item)]])),
  );
}

function plain(details: object): object {
  try {
    return JSON.parse(JSON.stringify(details)) as object;
  } catch {
    return {};
  }
}

/** @param heard called for whatever arrives */
function rpcConnection(channel: Channel, peerId: string, callable: ReadonlySet<unknown>, heard: () => void) {
  type Handler = (message: never) => void;
  const handlers = new Map<string, Set<Handler>>();
  const start = () =>
    channel.onMessage((message) => {
      heard();
      const { type } = message as { readonly type?: unknown };
      if (type === 'ping') return connection.emit({ type: 'pong' });
      const verdict = judge(message, callable);
      if (verdict === 'malformed') channel.close('The other side sent what is not a message of this program.');
      if (verdict !== 'deliver') return;
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
  // imjoy-rpc asks `instanceof ImageData` of whatever it encodes; Node has no such class.
  globalThis.ImageData ??= class {} as unknown as typeof ImageData;
  const loaded = await import('imjoy-rpc/dist/imjoy-rpc.js');
  return loaded.default;
}
