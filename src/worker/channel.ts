import { SamError } from '../errors.js';
import { pack, type TypedArray, unshared } from '../ndimage/array.js';
import { isPlainData, isRecord } from './messages.js';
import { packMessage, unpackMessage } from './wire.js';

/**
 * A way to send whole messages to one peer, whatever carries them. A message is plain data; of it, each typed array arrives
 * as the array it was with only its own bytes, and members that are undefined do not arrive.
 */
export interface Channel {
  send(message: object): void;
  onMessage(listener: (message: object) => void): void;
  /** Called once, when nothing can arrive any more; `reason` is a sentence. */
  onClose(listener: (reason: string) => void): void;
  /** @param reason for the listeners of `onClose`; they hear of it at once */
  close(reason?: string): void;
}

const CLOSED = 'The connection was closed.';

/** What a MessagePort, a Worker and a worker's own global scope have in common. */
export interface PortLike {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  addEventListener(type: string, listener: (event: Event) => void): void;
  start?(): void;
  close?(): void;
  terminate?(): void;
}

/**
 * Buffers that their owner no longer needs: a port moves them to the other side instead of copying them, after which they
 * are empty here. May be called for buffers that travel some other way, too.
 */
export function giveAway(...buffers: readonly ArrayBufferLike[]): void {
  for (const buffer of buffers) given.add(buffer);
}

const given = new WeakSet<ArrayBufferLike>();

/**
 * A message as it is posted: every array in a buffer of its own, since a port sends the whole buffer of a view.
 *
 * @param moved is given those buffers that may be moved
 */
function posted(value: unknown, moved: Set<ArrayBuffer>): unknown {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    const own = value instanceof ArrayBuffer ? value : pack(value as TypedArray);
    const buffer = own instanceof ArrayBuffer ? own : own.buffer;
    if (buffer instanceof ArrayBuffer && given.has(buffer)) moved.add(buffer);
    return own;
  }
  if (Array.isArray(value)) return value.map((item) => posted(item, moved));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, posted(item, moved)]])),
  );
}

export function portChannel(port: PortLike): Channel {
  const closed = once();
  const inbox = mailbox();
  const end = () => {
    if (port.terminate) port.terminate();
    else port.close?.();
  };
  const close = (reason = CLOSED) => {
    end();
    closed.fire(reason);
  };
  port.addEventListener('message', (event) => {
    const { data } = event as MessageEvent<unknown>;
    if (typeof data !== 'object' || data === null) return;
    if (isPlainData(data)) inbox.deliver(data);
    else close('The other side sent what is not a message of this program.');
  });
  for (const type of ['error', 'messageerror', 'close'])
    port.addEventListener(type, (event) => {
      const { message } = event as ErrorEvent;
      closed.fire(message ? `The worker stopped: ${message}` : 'The worker stopped.');
      if (type !== 'close') end();
    });
  return {
    send(message) {
      const moved = new Set<ArrayBuffer>();
      const data = posted(message, moved);
      port.postMessage(data, [...moved]);
    },
    onMessage(listener) {
      inbox.open(listener);
      port.start?.();
    },
    onClose: closed.add,
    close,
  };
}

/** The common part of a browser's WebSocket and that of `ws`. */
export interface SocketLike {
  binaryType: string;
  readonly readyState: number;
  send(data: Uint8Array<ArrayBuffer> | string): void;
  close(code?: number): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void;
  addEventListener(type: 'open' | 'error', listener: (event: object) => void): void;
}

const OPEN = 1;

export function socketChannel(socket: SocketLike): Channel {
  const closed = once();
  const inbox = mailbox();
  socket.binaryType = 'arraybuffer';
  socket.addEventListener('close', ({ code, reason }) =>
    closed.fire(reason ? `The connection was closed: ${reason}` : `The connection was lost (code ${code}).`),
  );
  socket.addEventListener('message', ({ data }) => {
    let message: object;
    try {
      if (!(data instanceof ArrayBuffer)) throw new SamError('invalid_argument', 'Expected a binary message.');
      message = unpackMessage(new Uint8Array(data));
    } catch {
      socket.close(1007); // "not consistent with the type of the message": this peer is not one of ours
      return;
    }
    inbox.deliver(message);
  });
  return {
    send(message) {
      if (socket.readyState !== OPEN) throw new SamError('worker_lost', 'The connection to the worker is closed.');
      socket.send(unshared(packMessage(message)));
    },
    onMessage: inbox.open,
    onClose: closed.add,
    close(reason = CLOSED) {
      closed.fire(reason); // a peer that is gone would not answer, and the socket wait half a minute for it
      socket.close(1000);
    },
  };
}

/** An event that happens once; late listeners are told at once. */
export function once() {
  let happened: string | undefined;
  const listeners: ((reason: string) => void)[] = [];
  return {
    /** What it happened for, once it has. */
    get happened() {
      return happened;
    },
    add(listener: (reason: string) => void) {
      if (happened !== undefined) listener(happened);
      else listeners.push(listener);
    },
    fire(reason: string) {
      if (happened !== undefined) return;
      happened = reason;
      for (const listener of listeners.splice(0)) listener(reason);
    },
  };
}

/** Keeps what arrives before somebody listens. */
export function mailbox() {
  const waiting: object[] = [];
  let deliver = (message: object): void => {
    waiting.push(message);
  };
  return {
    deliver: (message: object) => deliver(message),
    open(listener: (message: object) => void) {
      deliver = listener;
      for (const message of waiting.splice(0)) listener(message);
    },
  };
}
