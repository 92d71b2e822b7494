import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Guard } from './routes.js';
import { isSecret } from './token.js';

/** What answers at one address over a WebSocket. */
export interface SocketRoute {
  readonly path: string;
  /** Of one message, in bytes. */
  readonly maxPayload: number;
  /** Who may connect, besides pages of this server and programs, which send no origin. */
  isAllowed?(request: IncomingMessage): boolean;
  /** @param hello the client's first message, a JSON object whose `token` is right */
  greet(client: WebSocket, hello: object): void;
  /** Said to a client whose token is missing or wrong. */
  readonly refusal?: object;
}

/** A client that has not shown the token has so long to do so, and may send no more than that. */
const HELLO_WITHIN_MS = 30_000;
const HELLO_BYTES = 4096;

/**
 * Answers requests for a WebSocket. As with other requests, nothing that is sent can end the process, and who asks under
 * another host name or from a page of another origin is refused; the token comes in the first message, since browsers send
 * no headers of ours here.
 *
 * @returns ends all connections
 */
export function answerSockets(server: Server, routes: readonly SocketRoute[], guard: Guard): () => void {
  const served = routes.map((route) => ({
    route,
    sockets: new WebSocketServer({ noServer: true, maxPayload: route.maxPayload }),
  }));
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const path = pathOf(request);
    const found = served.find(({ route }) => route.path === path);
    const { host, origin = `http://${host}` } = request.headers;
    const isHere = [`http://${host}`, origin].every((asked) => guard.origins().includes(asked));
    if (!found || !isHere || found.route.isAllowed?.(request) === false) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n');
      return;
    }
    const { route, sockets } = found;
    sockets.handleUpgrade(request, socket, head, (client) => {
      client.on('error', () => client.terminate());
      hearHello(client, socket, guard.token, (hello) => {
        if (hello) return route.greet(client, hello);
        if (route.refusal) client.send(JSON.stringify(route.refusal));
        client.close(1008, 'The token is missing or wrong.');
      });
    });
  });
  return () => {
    for (const { sockets } of served) for (const client of sockets.clients) client.terminate();
  };
}

/** @param heard given the first message if it holds the token, else nothing */
function hearHello(client: WebSocket, socket: Duplex, token: string, heard: (hello: object | undefined) => void): void {
  let bytes = 0;
  const count = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > HELLO_BYTES) client.terminate();
  };
  socket.on('data', count);
  const timer = setTimeout(() => client.terminate(), HELLO_WITHIN_MS);
  client.once('close', () => clearTimeout(timer));
  client.once('message', (data) => {
    clearTimeout(timer);
    socket.off('data', count);
    const hello = parseObject(String(data));
    const given = hello && 'token' in hello && typeof hello.token === 'string' ? hello.token : '';
    heard(isSecret(given, token) ? hello : undefined);
  });
}

/** Undefined for a target that is no address. */
function pathOf({ url = '/' }: IncomingMessage): string | undefined {
  return URL.canParse(url, 'http://here') ? new URL(url, 'http://here').pathname : undefined;
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
