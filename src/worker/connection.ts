import { asSamError, ERROR_CODES, SamError } from '../errors.js';
import { membersOf } from '../items.js';
import type { Progress, TaskOptions } from '../task.js';
import type { Channel } from './channel.js';
import { isMessage, type Message, type SentError } from './messages.js';
import { PROTOCOL } from './sam-worker.js';
import { letProcessEnd } from './watchful-timer.js';

/**
 * Calls between two ends of this program, over a channel: each end may call the functions that the other offers, cancel its
 * calls, and is told of their progress. Both begin by saying their version. Whoever sends anything but messages of
 * `messages.ts` loses the connection; when it ends, all that waits rejects with `worker_lost`, and what runs here is cancelled.
 */
export type Functions = Readonly<Record<string, Served>>;

/** @param args of the other side, which may send anything */
export type Served = (task: Required<TaskOptions>, ...args: unknown[]) => unknown;

export interface ConnectionOptions {
  /** How long the other side may be silent while calls are pending; for ever if absent. */
  readonly silence?: Silence;
}

/** Milliseconds in which nothing at all may arrive before the other side is given up. */
export interface Silence {
  readonly usual: number;
  /** Where such calls are pending, by their names. */
  readonly of?: Readonly<Record<string, number>>;
}

/** Questions that go unanswered before the other side is given up, at least. */
const QUESTIONS = 4;
/** In place of a call's number, for what waits for the other side's first message. */
const HELLO = 0;

interface Pending {
  readonly name: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly onProgress?: TaskOptions['onProgress'];
}

export class Connection {
  /** Rejects with `unsupported` if the other side is of another version, with `worker_lost` if it goes before it says so. */
  readonly ready: Promise<void>;
  /** Calls of this side that wait for their answer. */
  private readonly pending = new Map<number, Pending>();
  /** Calls of the other side that are at work here. */
  private readonly running = new Map<number, AbortController>();
  private lastId = HELLO;
  private lost?: SamError;
  private unanswered = 0;

  constructor(
    private readonly channel: Channel,
    private readonly functions: Functions,
    { silence }: ConnectionOptions = {},
  ) {
    this.ready = new Promise<unknown>((resolve, reject) => {
      this.pending.set(HELLO, { name: 'hello', resolve, reject });
    }).then(() => undefined);
    this.ready.catch(() => undefined); // who calls nothing need not hear of a loss
    if (silence) this.watch(silence);
    channel.onClose((reason) => this.end(new SamError('worker_lost', reason)));
    this.send({ type: 'hello', protocol: PROTOCOL });
    channel.onMessage((message) => this.receive(message));
  }

  /**
   * @returns what the function of the other side returns. Rejects with the SamError that it throws, with `cancelled` at once
   *   when the signal aborts, with `unsupported` if there is no such function, and with `worker_lost` when the connection ends.
   */
  async call<T>(name: string, args: readonly unknown[] = [], { signal, onProgress }: TaskOptions = {}): Promise<T> {
    const cancelled = () => new SamError('cancelled', 'Cancelled.', { cause: signal?.reason });
    if (signal?.aborted) throw cancelled();
    await this.ready;
    if (signal?.aborted) throw cancelled();
    const id = ++this.lastId;
    let stop = () => {};
    try {
      return await new Promise<T>((resolve, reject) => {
        if (this.lost) throw this.lost;
        stop = () => {
          this.send({ type: 'cancel', id });
          reject(cancelled());
        };
        signal?.addEventListener('abort', stop, { once: true });
        this.pending.set(id, { name, resolve: resolve as Pending['resolve'], reject, onProgress });
        this.send({ type: 'call', id, name, args });
      });
    } finally {
      signal?.removeEventListener('abort', stop);
      this.pending.delete(id);
    }
  }

  close(reason?: string): void {
    this.channel.close(reason);
  }

  private receive(message: object): void {
    if (this.lost) return;
    this.unanswered = 0;
    if (this.pending.has(HELLO)) this.greet(message);
    else if (isMessage(message)) this.take(message);
    else this.refuse();
  }

  private take(message: Message): void {
    const { type } = message;
    if (type === 'ping') this.send({ type: 'pong' });
    else if (type === 'call') void this.serve(message);
    else if (type === 'cancel') this.running.get(message.id)?.abort();
    else if (type === 'progress') this.report(message);
    else if (type === 'value') this.pending.get(message.id)?.resolve(message.value);
    else if (type === 'error') this.pending.get(message.id)?.reject(receivedError(message.error));
  }

  private greet(message: object): void {
    const { type, protocol } = membersOf(message);
    if (type === 'hello' && protocol === PROTOCOL) {
      this.pending.get(HELLO)?.resolve(undefined);
      this.pending.delete(HELLO);
      return;
    }
    const theirs = type === 'hello' && typeof protocol === 'number' ? `protocol ${protocol}` : 'another protocol';
    const text = `The other side speaks ${theirs}, this program ${PROTOCOL}: install the same version on both sides.`;
    this.end(new SamError('unsupported', text));
    this.close(text);
  }

  private async serve({ id, name, args }: Extract<Message, { type: 'call' }>): Promise<void> {
    if (this.running.has(id)) return this.refuse();
    const controller = new AbortController();
    this.running.set(id, controller);
    try {
      const called = Object.hasOwn(this.functions, name) ? this.functions[name] : undefined;
      if (called === undefined)
        throw new SamError('unsupported', `There is no function '${name}' here: both sides must be of one version.`);
      const { signal } = controller;
      const task = { signal, onProgress: (progress: Progress) => this.send({ type: 'progress', id, progress }) };
      this.send({ type: 'value', id, value: await called.call(this.functions, task, ...args) });
    } catch (thrown) {
      this.send({ type: 'error', id, error: sentError(thrown) });
    } finally {
      this.running.delete(id);
    }
  }

  /** A caller that cannot take the news ends its call, as it does where no connection lies between. */
  private report({ id, progress }: Extract<Message, { type: 'progress' }>): void {
    const call = this.pending.get(id);
    try {
      call?.onProgress?.(progress);
    } catch (error) {
      this.send({ type: 'cancel', id });
      call?.reject(error);
    }
  }

  private refuse(): void {
    this.close('The other side sent what is not a message of this program.');
  }

  private send(message: Message): void {
    try {
      this.channel.send(message);
    } catch (error) {
      // A closed channel has told its listeners; only what cannot be sent at all is worth throwing.
      if (!(error instanceof SamError && error.code === 'worker_lost')) throw error;
    }
  }

  /** Questions are counted, not time: a machine that slept, or a clock that was put forward, is no silence. */
  private watch(silence: Silence): void {
    const interval = Math.min(silence.usual, ...Object.values(silence.of ?? {})) / QUESTIONS;
    const timer = setInterval(() => {
      const allowed = allowedSilence(silence, [...this.pending.values()]);
      if (this.pending.size === 0) this.unanswered = 0;
      else if (this.unanswered++ * interval < allowed) this.send({ type: 'ping' });
      else this.close(`Nothing was heard from the worker for ${Math.round(allowed / 1000)} s.`);
    }, interval);
    letProcessEnd(timer);
    this.channel.onClose(() => clearInterval(timer));
  }

  private end(error: SamError): void {
    if (this.lost) return;
    this.lost = error;
    for (const { reject } of this.pending.values()) reject(error);
    for (const controller of this.running.values()) controller.abort();
  }
}

/** A call may wait behind any other, so the most patient one counts. */
function allowedSilence({ usual, of }: Silence, pending: readonly Pending[]): number {
  return Math.max(0, ...pending.map(({ name }) => of?.[name] ?? usual));
}

function sentError(thrown: unknown): SentError {
  const { code, message, details } = asSamError(thrown);
  try {
    return { code, message, details: JSON.parse(JSON.stringify(details)) };
  } catch {
    return { code, message, details: {} };
  }
}

function receivedError({ code, message, details }: SentError): SamError {
  return new SamError(ERROR_CODES.find((known) => known === code) ?? 'internal', message, { details });
}
