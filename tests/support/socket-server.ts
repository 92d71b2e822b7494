import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerSockets, type SocketRoute } from '../../src/cli/serve/sockets.js';

/** A server that answers nothing but sockets. */
export interface SocketServer {
  /** `ws://…` without a slash at its end. */
  readonly address: string;
  readonly port: number;
  /** Ends all connections. */
  close(): Promise<void>;
}

export async function serveSockets(routes: readonly SocketRoute[], token: string, port = 0): Promise<SocketServer> {
  const server = createServer();
  let origin = '';
  const end = answerSockets(server, routes, { token, origins: () => [origin], log: () => undefined });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const { port: taken } = server.address() as AddressInfo;
  origin = `http://127.0.0.1:${taken}`;
  return {
    address: origin.replace('http', 'ws'),
    port: taken,
    async close() {
      end();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
