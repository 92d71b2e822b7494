import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { SocketRoute } from '../../src/cli/serve/sockets.js';
import { serveSockets } from '../support/socket-server.js';

describe('WebSockets of the server', () => {
  it('are refused to whom their route does not allow, also where the route is a class', async () => {
    class Nobody implements SocketRoute {
      readonly path = '/nobody';
      readonly maxPayload = 4096;
      greeted = 0;
      isAllowed() {
        return false;
      }
      greet() {
        this.greeted++;
      }
    }
    const route = new Nobody();
    const server = await serveSockets([route], 'secret');
    const client = new WebSocket(`${server.address}/nobody`);
    client.on('error', () => {}); // it is refused
    const [, response] = await once(client, 'unexpected-response');
    assert.equal(response.statusCode, 403);
    client.terminate();
    await server.close();
    assert.equal(route.greeted, 0);
  });
});
