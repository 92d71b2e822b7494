import type { MessagePort } from 'node:worker_threads';

type Handler = (message: never) => void;
export type RemoteApi = Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>;

/**
 * One side of a plain imjoy-rpc connection over a MessagePort, as ImJoy itself makes them: no filter, no own rules.
 *
 * @param made gets imjoy-rpc's own object
 * @returns the other side's functions
 */
export async function rpcPeer(
  port: MessagePort,
  api: object,
  name: string,
  made: (rpc: object) => void = () => undefined,
): Promise<RemoteApi> {
  globalThis.ImageData ??= class {} as unknown as typeof ImageData; // imjoy-rpc asks for it, Node has none
  const { RPC } = (await import('imjoy-rpc/dist/imjoy-rpc.js')).default;
  const handlers = new Map<string, Set<Handler>>();
  const on = (event: string, handler: Handler) => {
    handlers.set(event, (handlers.get(event) ?? new Set<Handler>()).add(handler));
  };
  const off = (event: string, handler?: Handler) => {
    if (handler) handlers.get(event)?.delete(handler);
    else handlers.delete(event);
  };
  port.on('message', (message: { type: string }) => {
    for (const handler of [...(handlers.get(message.type) ?? [])]) handler(message as never);
  });
  const rpc = new RPC(
    {
      peer_id: name,
      on,
      off,
      once(event: string, handler: Handler) {
        const once: Handler = (message) => {
          off(event, once);
          handler(message);
        };
        on(event, once);
      },
      emit: (message: object) => port.postMessage(message),
      execute: () => Promise.reject(new Error('Nothing is executed here.')),
      disconnect: () => port.close(),
    },
    { name },
    {},
  );
  made(rpc);
  const ready = new Promise<RemoteApi>((resolve) => rpc.on('remoteReady', () => resolve(rpc.getRemote() as RemoteApi)));
  void rpc.setInterface(api);
  rpc.requestRemote();
  return ready;
}
