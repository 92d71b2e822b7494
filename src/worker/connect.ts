import { SamError } from '../errors.js';
import { type Channel, type PortLike, portChannel, type SocketLike, socketChannel } from './channel.js';
import type { Silence } from './connection.js';
import { isHyphaAddress } from './hypha/address.js';
import { type RemoteOptions, remoteWorker } from './remote.js';
import type { SamWorker } from './sam-worker.js';

export interface ConnectOptions extends Pick<RemoteOptions, 'onChange'> {
  /** Give up after this many milliseconds without an answer. Default 20 s. */
  readonly timeout?: number;
  /**
   * With requests pending, give up after so many milliseconds in which nothing at all arrived. A worker that computes
   * may not be able to answer, so this must be longer than one image takes. Default 3 minutes; for a Worker half a minute
   * where no image is encoded.
   */
  readonly silence?: number;
  /** How to open a WebSocket; the platform's if absent. Node before 22 has none: pass that of `ws`. */
  readonly openSocket?: (url: string) => SocketLike;
}

const LONG = 180_000;
/** A network may take long to send an embedding, too. */
const SOCKET_SILENCE: Silence = { usual: LONG };
const PORT_SILENCE: Silence = {
  usual: 30_000,
  of: { load: LONG, encode: LONG, decodeCandidates: LONG, instanceMaps: LONG },
};

/**
 * @param target a Worker running hosts/web-worker.ts, a MessagePort to one, or the address of a worker process,
 *   `ws://host:port/?token=…`, or of workers that a Hypha server knows, `hypha://host/workspace/service`. Closing the result terminates a Worker and closes a port or socket.
 * @throws SamError `worker_lost` if nothing answers
 */
export async function connectWorker(target: PortLike | string | URL, options: ConnectOptions = {}): Promise<SamWorker> {
  const { timeout = 20_000, onChange } = options;
  const given = options.silence === undefined ? undefined : { usual: options.silence };
  const address = typeof target === 'string' || target instanceof URL ? String(target) : undefined;
  if (address !== undefined && isHyphaAddress(address)) {
    const { connectHypha } = await import('./hypha/connect.js');
    return connectHypha(address, { onChange, openSocket: options.openSocket });
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new SamError('worker_lost', `${shown(address)} did not answer within ${timeout / 1000} s.`)),
      timeout,
    );
  });
  late.catch(() => undefined); // the race may be over, or never begin
  let channel: Channel | undefined;
  try {
    if (address === undefined) {
      channel = portChannel(target as PortLike);
      return await Promise.race([remoteWorker(channel, { silence: given ?? PORT_SILENCE, onChange }), late]);
    }
    const socket = openSocket(address, options);
    channel = socket.channel;
    await Promise.race([socket.open, late]);
    return await Promise.race([remoteWorker(channel, { silence: given ?? SOCKET_SILENCE, onChange }), late]);
  } catch (error) {
    channel?.close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The channel is there before the socket is open: its first messages may come together with the news that it is. */
function openSocket(address: string, options: ConnectOptions): { channel: Channel; open: Promise<void> } {
  if (!URL.canParse(address) || !/^wss?:$/.test(new URL(address).protocol))
    throw new SamError(
      'invalid_argument',
      `A worker's address looks like ws://127.0.0.1:9001/?token=… or hypha://host/workspace/service, got ${address}.`,
    );
  if (!options.openSocket && typeof WebSocket === 'undefined')
    throw new SamError('unsupported', 'This Node version has no WebSocket: pass openSocket, or use Node 22.');
  const socket = options.openSocket?.(address) ?? (new WebSocket(address) as SocketLike);
  const channel = socketChannel(socket);
  const open = new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    const fail = () =>
      reject(
        new SamError(
          'worker_lost',
          `${shown(address)} refused the connection: it may not run, the token may be wrong, or it may not accept pages from here.`,
        ),
      );
    socket.addEventListener('error', fail);
    socket.addEventListener('close', fail);
  });
  return { channel, open };
}

/** The address without its token, for messages. */
function shown(address: string | undefined): string {
  if (address === undefined) return 'The worker';
  const { protocol, host } = new URL(address);
  return `The worker at ${protocol}//${host}`;
}
