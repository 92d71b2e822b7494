import { WebSocket } from 'ws';
import type { SocketLike } from '../channel.js';
import { type ConnectOptions, connectWorker } from '../connect.js';
import type { SamWorker } from '../sam-worker.js';

/** `connectWorker` from a Node process, which has no WebSocket of its own before version 22. */
export function connectFromNode(url: string | URL, options: ConnectOptions = {}): Promise<SamWorker> {
  return connectWorker(url, { openSocket: openSocketInNode, ...options });
}

export function openSocketInNode(address: string): SocketLike {
  // Embeddings of many candidates are larger than the 100 MiB that `ws` takes by itself.
  return new WebSocket(address, { maxPayload: 1 << 30 });
}
