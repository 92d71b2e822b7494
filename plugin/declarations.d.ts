/** The smallest of imjoy-rpc's bundles; its own typings do not describe what a window uses. */
declare module 'imjoy-rpc/dist/imjoy-rpc.js' {
  /** Resolves once the host has answered; rejects outside an iframe or worker. */
  export function setupRPC(config: {
    name: string;
    type: 'rpc-window';
    version?: string;
    description?: string;
    [option: string]: unknown;
  }): Promise<ImJoyApi>;

  export interface ImJoyApi {
    export(api: object): Promise<void> | void;
    createWindow(config: object, extra?: object): Promise<Record<string, unknown>>;
    getWindow(config: object | string): Promise<Record<string, unknown> | null>;
    getPlugin(config: object | string): Promise<Record<string, unknown>>;
    registerCodec(codec: object): void;
    showMessage(message: string): Promise<void>;
    alert(message: string): Promise<void>;
    log(...message: unknown[]): void;
    on?(event: string, listener: () => void): unknown;
    /** Takes away all listeners to an event of this window. */
    off?(event: string): unknown;
    [name: string]: unknown;
  }
}

declare module '*.css';
