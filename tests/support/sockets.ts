import { WebSocket } from 'ws';
import type { SocketLike } from '../../src/worker/channel.js';
import { connectWorker } from '../../src/worker/connect.js';
import type { SamWorker } from '../../src/worker/sam-worker.js';

/** `connectWorker` by the `ws` client, since Node 20 has no WebSocket of its own. */
export function connectByWs(url: string, headers: Readonly<Record<string, string>> = {}): Promise<SamWorker> {
  return connectWorker(url, {
    openSocket: (address) => new WebSocket(address, { headers, maxPayload: 1 << 30 }) as unknown as SocketLike,
  });
}
