import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import * as v from 'valibot';
import type { WebSocket } from 'ws';
import { hasMembers } from '../../items.js';
import { Peer, type Service } from '../../worker/hypha/peer.js';
import type { SocketRoute } from './sockets.js';

/**
 * The server as Hypha's clients know one: `hypha_rpc.connect_to_server({ server_url, token })` in Python and
 * `connectToServer` in JavaScript find the service `micro-sam` here, without a Hypha server and without code of ours on
 * their side. Only programs of this machine may connect: they name files by path, as whoever knows the token may.
 */
export interface HyphaOptions {
  readonly token: string;
  /** What one client gets; each has its own. */
  readonly open: () => Service & { close(): Promise<void> };
  readonly log: (line: string) => void;
}

const SERVICE = 'micro-sam';
/** As the client knows this side. */
const MANAGER = 'micro-sam';
const helloSchema = v.object({
  client_id: v.optional(v.nullable(v.string())),
  workspace: v.optional(v.nullable(v.string())),
});

export class HyphaEndpoint implements SocketRoute {
  readonly path = '/ws';
  /** Longer messages come in pieces. */
  readonly maxPayload = 64 << 20;
  readonly refusal = {
    type: 'error',
    message: 'The token is missing or wrong: it is in the address that micro-sam prints.',
  };

  constructor(private readonly options: HyphaOptions) {}

  isAllowed({ socket }: IncomingMessage): boolean {
    const address = socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
    return address === '::1' || address.startsWith('127.');
  }

  greet(socket: WebSocket, said: object): void {
    const { token, log } = this.options;
    const hello = v.safeParse(helloSchema, said);
    if (!hello.success) {
      socket.close(1008, 'This is not the greeting of a Hypha client.');
      return;
    }
    const workspace = hello.output.workspace ?? SERVICE;
    const client = `${workspace}/${hello.output.client_id ?? randomBytes(8).toString('hex')}`;
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
  }

  private serve(socket: WebSocket, client: string): void {
    const service = this.options.open();
    const services = new Map<string, Service>([[SERVICE, service]]);
    const send = (message: Uint8Array) => socket.send(message);
    const peer = new Peer({ self: `*/${MANAGER}`, other: client, send, services });
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
      peer.close('The client is gone.');
      void service.close().catch(() => undefined);
    });
  }
}

/** The part of Hypha's workspace manager that clients ask for when they connect, and to find the service. */
function manager(peer: Peer, client: string): Service {
  const idOf = (query: unknown) => {
    const id = hasMembers(query) ? query.id : query;
    return String(id)
      .replace(/^.*[:/]/s, '')
      .replace(/@.*$/s, '');
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
