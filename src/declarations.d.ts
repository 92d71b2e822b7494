declare module '@cornerstonejs/codec-libjpeg-turbo-8bit/decode' {
  /** The Emscripten module factory; see io/formats/jpeg.ts for the part of it that is used. */
  const load: (options: { print: () => void; printErr: () => void }) => Promise<unknown>;
  export default load;
}

declare module 'imjoy-rpc/dist/imjoy-rpc.js' {
  /** The part of imjoy-rpc that worker/imjoy-peer.ts uses; its own typings are loose. CommonJS, hence a default export. */
  interface RpcConnection {
    readonly peer_id: string;
    on(event: string, handler: (message: never) => void): void;
    once(event: string, handler: (message: never) => void): void;
    off(event: string, handler?: (message: never) => void): void;
    emit(message: object): void;
    execute(code: unknown): Promise<void>;
    disconnect(): void;
  }
  class RPC {
    constructor(connection: RpcConnection, config: Readonly<Record<string, unknown>>, codecs: object);
    on(event: 'remoteReady' | 'interfaceSetAsRemote' | 'disconnected', handler: () => void): void;
    setInterface(api: object): Promise<void>;
    requestRemote(): void;
    getRemote(): unknown;
  }
  const imjoyRPC: { readonly RPC: typeof RPC; readonly API_VERSION: string; readonly VERSION: string };

  export type { RpcConnection };
  export default imjoyRPC;
}
