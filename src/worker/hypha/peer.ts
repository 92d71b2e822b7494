import { decodeMulti } from '@msgpack/msgpack';
import { SamError } from '../../errors.js';
import { membersOf, present } from '../../items.js';
import { lengthOf } from '../../ndimage/array.js';
import { MessageCache } from './message-cache.js';
import { joined, type Parts, packed, piece } from './parts.js';
import { isIterator, Streams } from './streams.js';
import { errorToWire, fromWire, toWire } from './values.js';

/**
 * One end of Hypha's RPC (hypha-rpc 0.21, of Python and JavaScript): the services it offers, and calls of those of others.
 * A message is two values of msgpack, one after the other: `{ type: 'method', from, to, method, session }` and
 * `{ args, with_kwargs, promise }`. The answer is a call of the caller's `<session>.resolve` or `.reject`; while it is
 * awaited, `<session>.heartbeat` keeps the caller from giving up. Messages beyond 448 KB are sent in pieces, through calls
 * of `built-in.message_cache`. The clients that are on npm and PyPI lack one thing each that is needed here: that of
 * JavaScript loses arguments by position where there are some by name, and sends no arrays that Python takes for numpy's.
 */
export interface PeerOptions {
  /** Of this end, as `workspace/client`. */
  readonly self: string;
  readonly send: (message: Uint8Array) => void;
  readonly services: ReadonlyMap<string, Service>;
  /** The only correspondent, where no server forwards messages. */
  readonly other?: string;
  /** Something that the server tells all who have subscribed. */
  readonly onEvent?: (type: string, data: unknown) => void;
  /** Milliseconds without a sign of life after which a call is given up. */
  readonly silence?: number;
}

/** Functions and plain values by name. */
export type Service = Readonly<Record<string, unknown>>;
type Fields = Readonly<Record<string, unknown>>;
type Call = (...args: unknown[]) => unknown;

/** What is awaited of another. */
interface Waiting {
  readonly to: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
  /** It is still at work. */
  heartbeat(): void;
}

/** Bytes of a message; clients of Python take no more than 512,000. */
const PIECE = 448 * 1024;
/** Of a message around its piece: names. */
const ENVELOPE = 1024;
/** Pieces in work at once. */
const AT_ONCE = 8;
const SILENCE = 180_000;

export class Peer {
  private readonly waiting = new Map<string, Waiting>();
  private readonly caches = new Map<string, MessageCache>();
  private readonly streams = new Streams();
  private closed: string | undefined;

  constructor(private readonly options: PeerOptions) {}

  /** @throws SamError `invalid_argument` for what is no message; the connection is not worth keeping then */
  receive(bytes: Uint8Array): void {
    let fields: Fields;
    try {
      const [main, extra] = decodeMulti(bytes) as Iterable<Fields>;
      fields = { ...main, ...extra };
    } catch (cause) {
      throw new SamError('invalid_argument', 'Received something that is not a message of Hypha.', { cause });
    }
    if (fields.type === 'method') {
      if (typeof fields.method === 'string') void this.answer(fields.method, fields);
      return;
    }
    if (fields.type === 'client_disconnected') this.forget(clientOf(fields));
    this.options.onEvent?.(String(fields.type), fields.data);
  }

  /**
   * Calls a function of another and returns what it returns. Rejects with `worker_lost` if that one goes away.
   *
   * @param room for the message; in use until there is an answer
   */
  ask(to: string, method: string, args: readonly unknown[], room?: Uint8Array): Promise<unknown> {
    const session = newName();
    const { silence = SILENCE } = this.options;
    const answer = new Promise<unknown>((resolve, reject) => {
      if (this.closed !== undefined) return reject(new SamError('worker_lost', this.closed));
      let timer: ReturnType<typeof setTimeout>;
      const settle =
        <T>(settled: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          this.waiting.delete(session);
          settled(value);
        };
      const fail = settle(reject);
      const heartbeat = () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          fail(new SamError('worker_lost', `Nothing was heard from ${to} for ${Math.round(silence / 1000)} s.`));
        }, silence);
      };
      heartbeat();
      this.waiting.set(session, { to, resolve: settle(resolve), reject: fail, heartbeat });
    });
    answer.catch(() => undefined);
    const extra = { promise: '*', t: silence / 3000 };
    return this.tell(to, method, args.map(toWire), { main: { session }, extra, room }).then(() => answer);
  }

  /** Rejects what is awaited. */
  close(reason = 'The connection was closed.'): void {
    this.closed = reason;
    for (const { reject } of [...this.waiting.values()]) reject(new SamError('worker_lost', reason));
    this.caches.clear();
    this.streams.end();
  }

  private forget(client: string): void {
    this.caches.delete(client);
    this.streams.end(client);
    for (const { to, reject } of [...this.waiting.values()])
      if (to === client) reject(new SamError('worker_lost', `${client} went away.`));
  }

  private async answer(method: string, fields: Fields): Promise<void> {
    const [, asked = '', how = ''] = /^(.+)\.(resolve|reject|heartbeat)$/.exec(method) ?? [];
    const waiting = this.waiting.get(asked);
    if (waiting) return settle(waiting, how, fields);
    const { resolve, reject, heartbeat, interval } = promiseOf(fields);
    const from = this.options.other ?? String(fields.from);
    const parent = { parent: fields.session };
    const tell = (name: string, args: readonly unknown[]) => this.tell(from, name, args, { main: parent });
    const beating = heartbeat && setInterval(() => void tell(heartbeat, []).catch(() => undefined), interval);
    try {
      const result = await this.carryOut(method, fields, from);
      if (resolve)
        await tell(resolve, [
          isIterator(result)
            ? this.streams.hold(result, { self: this.options.self, reader: from })
            : (toWire(result) ?? null),
        ]);
      else if (isIterator(result)) await result.return?.();
    } catch (error) {
      if (reject) await tell(reject, [errorToWire(error)]).catch(() => undefined);
    } finally {
      clearInterval(beating);
    }
  }

  private async carryOut(method: string, fields: Fields, from: string): Promise<unknown> {
    const args = fromWire(fields.args ?? [], (name) => this.callbackOf(name, from)) as unknown[];
    if (fields.with_kwargs && isObject(args.at(-1))) args.push({ ...(args.pop() as object), _rkwargs: true });
    const [, name = '', last = '', ...more] = method.split('.');
    if (method === 'services.built-in.get_service')
      return this.describe(present(String(args[0]).split(/[:@]/).at(-1), 'the name of a service'));
    if (method === 'services.built-in.ping') return args[0] ?? 'pong';
    if (method.startsWith('services.built-in.message_cache.')) return this.cachePiece(from, more[0] ?? '', args);
    if (method.startsWith('stream.')) return this.streams.read(name, last, from);
    const service = this.options.services.get(name);
    const call = service && more.length === 0 && Object.hasOwn(service, last) ? service[last] : undefined;
    if (!method.startsWith('services.') || typeof call !== 'function')
      throw new SamError('not_found', `There is no function ${method.slice(0, 200)}.`);
    return (call as Call)(...args);
  }

  private cachePiece(from: string, step: string, [key, ...rest]: unknown[]): void {
    const cache = this.caches.get(from) ?? new MessageCache();
    this.caches.set(from, cache);
    const whole = cache.step(step, String(key), rest);
    if (whole) this.receive(whole);
  }

  /** A service as others are told of it: for each function how it is called. */
  describe(id: string): Fields {
    const service = id === 'built-in' ? BUILT_IN : this.options.services.get(id);
    if (!service)
      throw new SamError(
        'not_found',
        `There is no service ${id}; there are ${[...this.options.services.keys()].join(', ')}.`,
      );
    const { self, other } = this.options;
    const told = (value: unknown, name: string): unknown => {
      if (isObject(value) && name === 'message_cache')
        return Object.fromEntries(
          Object.keys(value).map((step) => [step, methodOf(self, `${id}.${name}.${step}`, step)]),
        );
      return typeof value === 'function' ? methodOf(self, `${id}.${name}`, name) : value;
    };
    const functions = Object.entries(service).map(([name, value]) => [name, told(value, name)]);
    return {
      ...{ id, name: id, type: id, description: '' },
      config: {
        visibility: 'protected',
        require_context: false,
        api_version: 3,
        workspace: (other ?? self).split('/')[0],
      },
      ...Object.fromEntries(functions),
    };
  }

  /** A function of the caller's; it is called as often as one likes, as long as the call that brought it is not answered. */
  private callbackOf(method: string, from: string): Call {
    return (...args) => this.ask(from, method, args);
  }

  /** Calls a function of another's without waiting for what it returns. */
  private async tell(
    to: string,
    method: string,
    args: readonly unknown[],
    { main = {}, extra = {}, room }: { main?: Fields; extra?: Fields; room?: Uint8Array | undefined } = {},
  ): Promise<void> {
    const { self, other, send } = this.options;
    // What a server would add.
    const context = other === undefined ? {} : { ws: other.split('/')[0], user: { id: self.split('/')[1] } };
    const message = packed({ type: 'method', from: self, to, method, ...context, ...main }, { args, ...extra });
    if (lengthOf(message) <= PIECE || method.includes('.message_cache.')) return send(joined(message, room));
    await this.sendInPieces(to, message);
  }

  private async sendInPieces(to: string, message: Parts): Promise<void> {
    const key = newName();
    const step = (name: string, args: readonly unknown[], room?: Uint8Array) =>
      this.ask(to, `services.built-in.message_cache.${name}`, [key, ...args], room);
    await step('create', [false]);
    let next = 0;
    const count = Math.ceil(lengthOf(message) / PIECE);
    const lane = async () => {
      const room = new Uint8Array(PIECE + ENVELOPE); // new memory for every piece costs more than its copy
      while (next < count) {
        const at = next++;
        await step('set', [at, piece(message, at * PIECE, (at + 1) * PIECE), false], room);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, lane));
    await step('process', [false]);
  }
}

const nothing = () => undefined;
const BUILT_IN = {
  get_service: nothing,
  ping: nothing,
  message_cache: { create: nothing, append: nothing, set: nothing, process: nothing, remove: nothing },
};

function methodOf(self: string, path: string, name: string) {
  return {
    _rtype: 'method',
    _rtarget: self,
    _rmethod: `services.${path}`,
    _rpromise: '*',
    _rname: name,
    _rdoc: name,
  };
}

function settle({ resolve, reject, heartbeat }: Waiting, how: string, { args }: Fields): void {
  const [value] = Array.isArray(args) ? args : [];
  if (how === 'heartbeat') heartbeat();
  else if (how === 'reject') reject(new Error(String(membersOf(value)._rvalue ?? value)));
  else
    try {
      resolve(fromWire(value, notSent));
    } catch (error) {
      reject(error as Error);
    }
}

/** Functions are found by their names here; none is taken from an answer. */
function notSent(): undefined {
  return undefined;
}

/** Where a call's answer goes: named by its session alone, or function by function. */
function promiseOf({ promise, session, t }: Fields) {
  if (promise === '*' && typeof session === 'string')
    return {
      resolve: `${session}.resolve`,
      reject: `${session}.reject`,
      heartbeat: `${session}.heartbeat`,
      interval: beat(t),
    };
  if (!isObject(promise)) return {};
  const of = (name: string) => {
    const end = promise[name];
    return isObject(end) ? String(end._rmethod) : undefined;
  };
  return { resolve: of('resolve'), reject: of('reject'), heartbeat: of('heartbeat'), interval: beat(promise.interval) };
}

/** @param seconds after which the client gives up without a heartbeat, halved already */
function beat(seconds: unknown): number {
  return 1000 * Math.min(60, Math.max(1, Number(seconds) || 10));
}

/** Of an event of the server's. */
function clientOf({ data, client }: Fields): string {
  const { id = client, workspace } = membersOf(data);
  return workspace === undefined ? String(id) : `${workspace}/${id}`;
}

function newName(): string {
  return crypto.randomUUID().replaceAll('-', '');
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}
