import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeMulti, encode } from '@msgpack/msgpack';
import { type WebSocket, WebSocketServer } from 'ws';
import { Peer } from '../../src/worker/hypha/peer.js';

/**
 * What a Hypha server does for workers and their clients: it knows who offers what in one workspace and forwards messages.
 * tests/integration/hypha.test.ts does the same with the real one.
 */
export interface HyphaHub {
  /** `http://127.0.0.1:…`. */
  readonly server: string;
  readonly workspace: string;
  readonly token: string;
  /** `hypha://…` of a service, token included. */
  address(service?: string): string;
  /** Ends the connection of every client. */
  drop(): void;
  close(): Promise<void>;
}

const MANAGER = '*/manager';

export async function hyphaHub(port = 0): Promise<HyphaHub> {
  const [workspace, token] = ['ws-of-the-test', 'a token of the test'];
  const http = createServer();
  const sockets = new WebSocketServer({ server: http, path: '/ws', maxPayload: 64 << 20 });
  const clients = new Map<string, WebSocket>();
  const offered = new Map<string, Offered>();
  const tellAll = (type: string, data: object) => {
    for (const client of clients.values()) client.send(encode({ type, to: workspace, data }));
  };
  const deliver = (to: string, message: Uint8Array) => clients.get(to)?.send(message);

  sockets.on('connection', async (socket) => {
    const [said] = await once(socket, 'message');
    const hello = JSON.parse(String(said)) as { client_id: string; workspace?: string; token?: string };
    if (hello.token !== token || (hello.workspace ?? workspace) !== workspace) {
      socket.send(JSON.stringify({ type: 'error', message: 'Permission denied.' }));
      return socket.close();
    }
    const self = `${workspace}/${hello.client_id}`;
    clients.set(self, socket);
    const manager = new Peer({
      self: MANAGER,
      other: self,
      send: (message) => socket.send(message),
      services: new Map([['default', managerOf(offered, token, tellAll)]]),
    });
    socket.on('message', (data, isBinary) => {
      if (!isBinary) return;
      const bytes = new Uint8Array(data as Buffer);
      const [{ to }] = decodeMulti(bytes) as Iterable<{ to: string }>;
      if (to === MANAGER) manager.receive(bytes);
      else deliver(to, bytes);
    });
    socket.on('close', () => {
      clients.delete(self);
      for (const id of offered.keys()) if (id.startsWith(`${self}:`)) offered.delete(id);
      tellAll('client_disconnected', { id: hello.client_id, workspace });
    });
    socket.send(
      JSON.stringify({ type: 'connection_info', workspace, client_id: hello.client_id, manager_id: 'manager' }),
    );
  });
  await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(http.address() as AddressInfo).port}`;
  const drop = () => {
    for (const client of sockets.clients) client.terminate();
  };
  return {
    server: `http://${host}`,
    workspace,
    token,
    address: (service = 'micro-sam-worker') =>
      `hypha://${host}/${workspace}/${service}?token=${encodeURIComponent(token)}`,
    drop,
    async close() {
      drop();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

interface Offered {
  readonly id: string;
  readonly type?: string;
}

function managerOf(offered: Map<string, Offered>, token: string, tellAll: (type: string, data: object) => void) {
  return {
    register_service(service: Offered) {
      offered.set(service.id, service);
      if (!service.id.endsWith(':built-in')) tellAll('service_added', service);
    },
    list_services: ({ type }: { readonly type?: string }) =>
      [...offered.values()].filter((service) => type === undefined || service.type === type),
    generate_token: () => token,
    subscribe: () => true,
  };
}
