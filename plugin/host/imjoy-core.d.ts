/** The part of imjoy-core (a classic script with the global `imjoyCore`) that the host page uses. */
interface ImJoyWindow {
  readonly window_id: string;
  readonly name: string;
  readonly dialog?: boolean;
  close(): Promise<void>;
}

interface ImJoyWindowConfig {
  readonly src: string;
  readonly name?: string;
  readonly dialog?: boolean;
  readonly config?: Record<string, unknown>;
  readonly data?: Record<string, unknown>;
}

interface ImJoy {
  readonly pm: {
    readonly internal_plugins: Record<string, { startup: boolean }>;
    createWindow(plugin: unknown, config: ImJoyWindowConfig, extra?: Partial<ImJoyWindowConfig>): Promise<unknown>;
  };
  readonly api: Record<string, unknown>;
  readonly event_bus: { on(event: 'add_window' | 'close_window', listener: (window: ImJoyWindow) => void): void };
  start(options: { workspace: null }): Promise<void>;
}

declare const imjoyCore: {
  readonly ImJoy: new (options: {
    /** Absolute URL of the page that sandboxed plugins start in. */
    readonly default_base_frame: string;
    /** Absolute URL of the folder with imjoy-rpc.min.js, ending in '/'. */
    readonly default_rpc_base_url: string;
    /** Every function gets the calling plugin as its first argument. */
    readonly imjoy_api: Record<string, (plugin: unknown, ...rest: never[]) => unknown>;
    /** The PouchDB of its settings; a database of the browser's if absent. */
    readonly config_db?: { get(key: string): Promise<object>; put(document: object): Promise<unknown> };
  }) => ImJoy;
};
