import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { SamError } from '../../errors.js';
import { type Channel, socketChannel } from '../channel.js';
import { servePlugin } from '../plugin-face.js';
import type { SamWorker } from '../sam-worker.js';
import { serveWorker } from '../served.js';
import { offeredModels } from './node-offered-models.js';

/**
 * Serves a worker over WebSocket to pages and processes that know the token. Any page in a browser can open a socket to
 * this machine, so besides the token the page's origin is checked where there is one. A client that sends anything but
 * messages of ours, or too large ones, loses its connection; the server and the other clients go on.
 */
export interface WorkerServerOptions {
  readonly worker: SamWorker;
  /** 0 (default) takes a free one. */
  readonly port?: number;
  /** Default 127.0.0.1: this machine only. */
  readonly host?: string;
  /** Secret in the address; a random one if absent. */
  readonly token?: string;
  /** Origins of pages that may connect, or '*'; pages served from this machine if absent. Programs send no origin. */
  readonly allowedOrigins?: readonly string[];
  /** Folders whose models clients of other machines and pages from elsewhere may have loaded, besides registered ones. */
  readonly modelFolders?: readonly string[];
  /** Largest message in bytes. Default 256 MiB, an RGB image of 9000 x 9000. */
  readonly maxPayload?: number;
  readonly log?: (line: string) => void;
}

export interface WorkerServer {
  /** Address to connect to, token included. */
  readonly url: string;
  readonly clients: number;
  /** Ends all connections; the worker is the caller's to close. */
  close(): Promise<void>;
}

/** How often clients are asked whether they are still there, in milliseconds. */
const HEARTBEAT = 60_000;
/** Time for a client to learn why its connection ends, in milliseconds. */
const LAST_WORDS = 250;

export async function startWorkerServer(options: WorkerServerOptions): Promise<WorkerServer> {
  const { worker, port = 0, host = '127.0.0.1', maxPayload = 256 << 20, log = () => {} } = options;
  const token = options.token ?? randomBytes(16).toString('hex');
  const http = createServer((_, response) => {
    response.writeHead(426, { 'Content-Type': 'text/plain' }).end('This is a micro-sam worker; connect by WebSocket.');
  });
  // Images and embeddings do not compress enough to pay for it.
  const sockets = new WebSocketServer({ noServer: true, maxPayload, perMessageDeflate: false });
  const answering = new WeakSet<WebSocket>();

  http.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const problem = refusal(request, token, options.allowedOrigins);
    if (problem) {
      log(`Refused a connection from ${request.socket.remoteAddress}: ${problem}.`);
      socket.end(`HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n${problem}\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (client) => {
      answering.add(client);
      client.on('pong', () => answering.add(client));
      client.on('error', (error) => {
        log(`A client's connection failed: ${error.message}.`);
        // `ws` has said why by now, but would wait half a minute for an answer that it no longer reads.
        setTimeout(() => client.terminate(), LAST_WORDS).unref();
      });
      const channel: Channel = socketChannel(client);
      channel.onClose(() => log(`A client left; ${sockets.clients.size} remain.`));
      const { searchParams } = addressOf(request);
      const offer = isFromHere(request) ? undefined : offeredModels(options.modelFolders);
      if (searchParams.get('as') === 'plugin')
        servePlugin(channel, worker).catch((error: Error) => {
          log(`A client could not be served: ${error.message}`);
          client.terminate();
        });
      else serveWorker(channel, worker, { offer });
      log(
        `A client connected from ${request.headers.origin ?? 'a program'}; ${sockets.clients.size} are connected now.`,
      );
    });
  });
  const check = () => {
    for (const client of sockets.clients) {
      if (!answering.delete(client)) client.terminate();
      else client.ping();
    }
  };
  // A computation holds this thread up; answers that came in meanwhile are read before they are missed.
  const heartbeat = setInterval(() => setImmediate(check), HEARTBEAT);
  heartbeat.unref();

  await new Promise<void>((resolve, reject) => {
    http.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'it is in use; choose another with --port' : error.message;
      reject(new SamError('invalid_argument', `Cannot listen on ${host}:${port}: ${why}.`, { cause: error }));
    });
    http.listen(port, host, resolve);
  });
  const address = http.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `ws://${name}:${address.port}/?token=${encodeURIComponent(token)}`,
    get clients() {
      return sockets.clients.size;
    },
    async close() {
      clearInterval(heartbeat);
      for (const client of sockets.clients) client.terminate();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

function addressOf(request: IncomingMessage): URL {
  const path = request.url ?? '/';
  return URL.canParse(path, 'ws://worker') ? new URL(path, 'ws://worker') : new URL('ws://worker');
}

function refusal(request: IncomingMessage, token: string, allowed: readonly string[] | undefined): string | undefined {
  const given = Buffer.from(addressOf(request).searchParams.get('token') ?? '');
  const wanted = Buffer.from(token);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return 'The token is missing or wrong';
  const { origin } = request.headers;
  if (origin === undefined || allowed?.includes('*') || allowed?.includes(origin)) return undefined;
  if (allowed === undefined && isLoopback(origin)) return undefined;
  return `Pages from ${origin} may not connect`;
}

/** Programs of this machine and pages that it serves; they may name any model, as whoever started the worker may. */
function isFromHere({ socket, headers }: IncomingMessage): boolean {
  const address = socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
  return (
    (address === '::1' || address.startsWith('127.')) && (headers.origin === undefined || isLoopback(headers.origin))
  );
}

function isLoopback(origin: string): boolean {
  return URL.canParse(origin) && ['localhost', '127.0.0.1', '[::1]'].includes(new URL(origin).hostname);
}
