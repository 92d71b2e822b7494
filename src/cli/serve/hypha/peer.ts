import { randomBytes } from 'node:crypto';
import { decodeMulti, encode } from '@msgpack/msgpack';
import { SamError } from '../../../errors.js';
import { MessageCache } from './message-cache.js';
import { errorToWire, fromWire, type MethodReference, toWire } from './values.js';

/**
 * One client of Hypha's RPC (hypha-rpc 0.21, of Python and JavaScript), and the services it may call. A message is two
 * values of msgpack, one after the other: `{ type: 'method', from, to, method, session }` and `{ args, with_kwargs, promise }`.
 * The answer is a call of the client's `<session>.resolve` or `.reject`; while it is awaited, `<session>.heartbeat` keeps the
 * client from giving up. Messages beyond 256 KB are sent in pieces, through calls of `built-in.message_cache`.
 */
export interface PeerOptions {
  /** Of the client, as `workspace/client`. */
  readonly client: string;
  readonly send: (message: Uint8Array) => void;
  readonly services: ReadonlyMap<string, Service>;
}

/** Functions and plain values by name. */
export type Service = Readonly<Record<string, unknown>>;
type Fields = Readonly<Record<string, unknown>>;
type Call = (...args: unknown[]) => unknown;

/** As the client knows this side. */
export const MANAGER = 'micro-sam';
const PIECE = 256 * 1024;
/** Pieces in work at once. */
const AT_ONCE = 8;

export class Peer {
  private readonly cache = new MessageCache();
  private readonly answers = new Map<string, { resolve(value: unknown): void; reject(error: Error): void }>();

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
    if (fields.type === 'method' && typeof fields.method === 'string') void this.answer(fields.method, fields);
  }

  /** Rejects what is awaited of the client. */
  close(): void {
    for (const { reject } of this.answers.values()) reject(new SamError('worker_lost', 'The client is gone.'));
    this.answers.clear();
  }

  private async answer(method: string, fields: Fields): Promise<void> {
    const end = /^(.+)\.(resolve|reject|heartbeat)$/.exec(method);
    const waiting = end && this.answers.get(end[1]);
    if (waiting) return this.settle(end[1], end[2], fields);
    const { resolve, reject, heartbeat, interval } = promiseOf(fields);
    const beating = heartbeat && setInterval(() => void this.tell(heartbeat, []).catch(() => undefined), interval);
    try {
      const result = await this.carryOut(method, fields);
      if (resolve) await this.tell(resolve, [toWire(result) ?? null]);
    } catch (error) {
      if (reject) await this.tell(reject, [errorToWire(error)]).catch(() => undefined);
    } finally {
      clearInterval(beating);
    }
  }

  private settle(session: string, how: string, fields: Fields): void {
    const waiting = this.answers.get(session);
    if (how === 'heartbeat' || !waiting) return;
    this.answers.delete(session);
    const [value] = (fields.args as unknown[]) ?? [];
    if (how === 'resolve') waiting.resolve(value);
    else waiting.reject(new Error(String((value as Fields)?._rvalue ?? value)));
  }

  private async carryOut(method: string, fields: Fields): Promise<unknown> {
    const args = fromWire(fields.args ?? [], (reference) => this.callbackOf(reference)) as unknown[];
    if (fields.with_kwargs && isObject(args.at(-1))) args.push({ ...(args.pop() as object), _rkwargs: true });
    const [, name, ...path] = method.split('.');
    if (method === 'services.built-in.get_service')
      return this.describe(String(args[0]).split(/[:@]/).at(-1) as string);
    if (method === 'services.built-in.ping') return args[0] ?? 'pong';
    if (method.startsWith('services.built-in.message_cache.')) return this.cachePiece(path[1], args);
    const service = this.options.services.get(name);
    const call = service && path.length === 1 && Object.hasOwn(service, path[0]) ? service[path[0]] : undefined;
    if (!method.startsWith('services.') || typeof call !== 'function')
      throw new SamError('not_found', `There is no function ${method.slice(0, 200)}.`);
    return (call as Call)(...args);
  }

  private cachePiece(step: string, [key, ...rest]: unknown[]): void {
    const whole = this.cache.step(step, String(key), rest);
    if (whole) this.receive(whole);
  }

  /** A service as the client is told of it: for each function how it is called. */
  describe(id: string): Fields {
    const service = id === 'built-in' ? BUILT_IN : this.options.services.get(id);
    if (!service)
      throw new SamError(
        'not_found',
        `There is no service ${id}; there are ${[...this.options.services.keys()].join(', ')}.`,
      );
    const told = (value: unknown, name: string): unknown => {
      if (isObject(value) && name === 'message_cache')
        return Object.fromEntries(Object.keys(value).map((step) => [step, methodOf(`${id}.${name}.${step}`, step)]));
      return typeof value === 'function' ? methodOf(`${id}.${name}`, name) : value;
    };
    const functions = Object.entries(service).map(([name, value]) => [name, told(value, name)]);
    return {
      ...{ id, name: id, type: id, description: '' },
      config: {
        visibility: 'protected',
        require_context: false,
        api_version: 3,
        workspace: this.options.client.split('/')[0],
      },
      ...Object.fromEntries(functions),
    };
  }

  /** A function of the client's; it is called as often as one likes, as long as the call that brought it is not answered. */
  private callbackOf({ _rmethod }: MethodReference): Call {
    return (...args) => this.ask(String(_rmethod), args.map(toWire));
  }

  private async ask(method: string, args: readonly unknown[]): Promise<unknown> {
    const session = randomBytes(12).toString('hex');
    const answer = new Promise<unknown>((resolve, reject) => this.answers.set(session, { resolve, reject }));
    answer.catch(() => undefined);
    await this.tell(method, args, { main: { session }, extra: { promise: '*', t: 60 } });
    return answer;
  }

  /** Calls a function of the client's without waiting for what it returns. */
  private async tell(
    method: string,
    args: readonly unknown[],
    { main = {}, extra = {} }: { main?: Fields; extra?: Fields } = {},
  ): Promise<void> {
    const { client, send } = this.options;
    const [ws] = client.split('/');
    const head = encode({
      type: 'method',
      from: `*/${MANAGER}`,
      to: client,
      ws,
      user: { id: MANAGER },
      method,
      ...main,
    });
    const message = Buffer.concat([head, encode({ args, ...extra }, { ignoreUndefined: true })]);
    if (message.length <= PIECE || method.includes('.message_cache.')) return send(message);
    await this.sendInPieces(message);
  }

  private async sendInPieces(message: Uint8Array): Promise<void> {
    const key = randomBytes(12).toString('hex');
    const step = (name: string, ...args: unknown[]) =>
      this.ask(`services.built-in.message_cache.${name}`, [key, ...args]);
    await step('create', false);
    let next = 0;
    const count = Math.ceil(message.length / PIECE);
    const lane = async () => {
      while (next < count) {
        const at = next++;
        await step('set', at, message.subarray(at * PIECE, (at + 1) * PIECE), false);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, lane));
    await step('process', false);
  }
}

const nothing = () => undefined;
const BUILT_IN = {
  get_service: nothing,
  ping: nothing,
  message_cache: { create: nothing, append: nothing, set: nothing, process: nothing, remove: nothing },
};

function methodOf(path: string, name: string) {
  return {
    _rtype: 'method',
    _rtarget: `*/${MANAGER}`,
    _rmethod: `services.${path}`,
    _rpromise: '*',
    _rname: name,
    _rdoc: name,
  };
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
  const of = (name: string) => (isObject(promise[name]) ? String((promise[name] as Fields)._rmethod) : undefined);
  return { resolve: of('resolve'), reject: of('reject'), heartbeat: of('heartbeat'), interval: beat(promise.interval) };
}

/** @param seconds after which the client gives up without a heartbeat, halved already */
function beat(seconds: unknown): number {
  return 1000 * Math.min(60, Math.max(1, Number(seconds) || 10));
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}
