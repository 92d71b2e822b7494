import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import * as v from 'valibot';
import { type WebSocket, WebSocketServer } from 'ws';
import { MANAGER, Peer, type Service } from './peer.js';

/**
 * The server as Hypha's clients know one: `hypha_rpc.connect_to_server({ server_url, token })` in Python and
 * `connectToServer` in JavaScript find the service `micro-sam` here, without a Hypha server and without code of ours on
 * their side. Only programs of this machine may connect: they name files by path, as whoever knows the token may.
 */
export interface HyphaOptions {
  readonly token: string;
  /** Of the pages that may connect; programs send no origin. */
  readonly origins: () => readonly string[];
  /** What one client gets; each has its own. */
  readonly open: () => ScriptClient;
  readonly log: (line: string) => void;
}

export interface ScriptClient {
  readonly service: Service;
  close(): Promise<void>;
}

const PATH = '/ws';
const SERVICE = 'micro-sam';
/** Of one message; longer ones come in pieces. */
const MAX_PAYLOAD = 64 << 20;

const helloSchema = v.object({
  token: v.optional(v.nullable(v.string())),
  client_id: v.optional(v.nullable(v.string())),
  workspace: v.optional(v.nullable(v.string())),
});

export class HyphaEndpoint {
  private readonly sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_PAYLOAD });

  constructor(private readonly options: HyphaOptions) {}

  attach(server: Server): void {
    server.on('upgrade', (request, socket, head) => {
      if (new URL(request.url ?? '/', 'http://here').pathname !== PATH) return;
      if (!this.isAllowed(request)) return void socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n');
      this.sockets.handleUpgrade(request, socket, head, (client) => this.greet(client));
    });
  }

  close(): void {
    for (const client of this.sockets.clients) client.terminate();
  }

  private isAllowed({ headers, socket }: IncomingMessage): boolean {
    const address = socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
    const here = address === '::1' || address.startsWith('127.');
    return here && (headers.origin === undefined || this.options.origins().includes(headers.origin));
  }

  private greet(socket: WebSocket): void {
    const { token, log } = this.options;
    socket.on('error', () => socket.terminate());
    socket.once('message', (data) => {
      const hello = read(data);
      if (!hello || !isSame(hello.token ?? '', token)) {
        socket.send(
          JSON.stringify({
            type: 'error',
            message: 'The token is missing or wrong: it is in the address that micro-sam prints.',
          }),
        );
        socket.close(1008);
        return;
      }
      const workspace = hello.workspace ?? SERVICE;
      const client = `${workspace}/${hello.client_id ?? randomBytes(8).toString('hex')}`;
      socket.send(
        JSON.stringify({
          type: 'connection_info',
          workspace,
          client_id: client.split('/')[1],
          manager_id: MANAGER,
          reconnection_token: token,
        }),
      );
      this.serve(socket, client);
      log('A script connected.');
    });
  }

  private serve(socket: WebSocket, client: string): void {
    const { service, close } = this.options.open();
    const services = new Map<string, Service>([[SERVICE, service]]);
    const send = (message: Uint8Array) => socket.send(message);
    const peer = new Peer({ client, send, services });
    services.set('default', manager(peer, client));
    socket.on('message', (data, isBinary) => {
      try {
        if (isBinary) peer.receive(data as Buffer);
        else if (String(data).includes('"ping"')) socket.send('{"type":"pong"}');
      } catch {
        socket.close(1007); // "not consistent with the type of the message"
      }
    });
    socket.on('close', () => {
      peer.close();
      void close().catch(() => undefined);
    });
  }
}

/** The part of Hypha's workspace manager that clients ask for when they connect, and to find the service. */
function manager(peer: Peer, client: string): Service {
  const idOf = (query: unknown) => {
    const id = typeof query === 'object' && query !== null ? (query as { id?: unknown }).id : query;
    return String(id).split(/[:/]/).at(-1)!.split('@')[0];
  };
  const info = { id: `*/${MANAGER}:${SERVICE}`, name: SERVICE, type: SERVICE };
  return {
    get_service: (query: unknown) => peer.describe(idOf(query)),
    get_service_info: () => info,
    list_services: () => [info],
    register_service: (service: { id?: string }) => ({ ...service, id: `${client}:${service?.id ?? 'default'}` }),
    unregister_service: () => null,
    subscribe: () => null,
    unsubscribe: () => null,
    echo: (value: unknown) => value ?? null,
  };
}

function read(data: unknown): v.InferOutput<typeof helloSchema> | undefined {
  try {
    const result = v.safeParse(helloSchema, JSON.parse(String(data)));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
