import { KaibuViewer } from '../../../plugin/kaibu/kaibu-viewer.js';
import type { ViewerEvent } from '../../../src/presenter/viewer.js';

/**
 * A page with ImJoy and one viewer window, driven by a test: `viewer` is the adapter, over real RPC, and `events` what it
 * reported. `?src=` names another viewer than ours; with `?deaf` nobody listens until `listen()`.
 */
interface Core {
  readonly pm: { readonly internal_plugins: Record<string, { startup: boolean }> };
  readonly api: { createWindow(config: object): Promise<unknown> };
  readonly event_bus: { on(event: string, listener: (window: { window_id: string }) => void): void };
  start(options: { workspace: null }): Promise<void>;
}

declare const imjoyCore: { readonly ImJoy: new (options: object) => Core };

const imjoy = new imjoyCore.ImJoy({
  default_base_frame: new URL('/base_frame.html', location.href).href,
  default_rpc_base_url: new URL('/core/', location.href).href,
  imjoy_api: {},
});
imjoy.event_bus.on('add_window', ({ window_id }) => {
  const element = document.createElement('div');
  element.id = window_id;
  document.body.append(element);
});
imjoy.event_bus.on('close_window', ({ window_id }) => document.getElementById(window_id)?.remove());
for (const internal of Object.values(imjoy.pm.internal_plugins)) internal.startup = false;
await imjoy.start({ workspace: null });

const events: ViewerEvent[] = [];
const src = new URLSearchParams(location.search).get('src') ?? new URL('/viewer/index.html', location.href).href;
const plainKaibu = new URLSearchParams(location.search).has('plain');
let opened: { close(): Promise<void> } | undefined;
/** Keeps hold of the window, to close it as its title bar would. */
const opener = {
  async createWindow(config: object) {
    const window = await imjoy.api.createWindow(config);
    opened = window as { close(): Promise<void> };
    return plainKaibu ? withoutExtras(window) : window;
  },
};
const viewer = await KaibuViewer.open(opener, { src });
const listen = () =>
  viewer.on((event) => {
    if (event.kind !== 'view') events.push(event);
  });
if (!new URLSearchParams(location.search).has('deaf')) listen();
Object.assign(globalThis, { viewer, events, listen, imjoy, closeWindow: () => opened?.close() });
document.title = 'ready';

/** The same window as an old Kaibu would look: none of the functions that only our viewer has. */
function withoutExtras(window: unknown): unknown {
  const { get_capabilities, set_listeners, set_tool, screenshot, set_layer_visible, ...kaibu } = window as Record<
    string,
    unknown
  >;
  void [get_capabilities, set_listeners, set_tool, screenshot, set_layer_visible];
  return kaibu;
}
