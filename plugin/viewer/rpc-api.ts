import { isArrayLike, toNestedList, viewRpcArray } from '../../src/io/rpc-array.js';
import type { ViewMove } from '../../src/presenter/viewer.js';
import type { ChannelControls } from './channels.js';
import type { PaintInteraction } from './interactions/paint.js';
import type { LayerStack } from './layer-stack.js';
import { ImageLayer } from './layers/image-layer.js';
import { LabelLayer } from './layers/label-layer.js';
import type { LayerApi, ViewerLayer } from './layers/layer.js';
import { RemoteLayer, type RemoteLayerConfig } from './layers/remote-layer.js';
import type { VectorConfig } from './layers/vector-config.js';
import { VectorLayer } from './layers/vector-layer.js';
import type { Listeners } from './listeners.js';
import type {
  ChannelControl,
  LabelLayerConfig,
  PixelScale,
  SectionConfig,
  ToolConfig,
  ViewerExtras,
  ViewerListeners,
} from './protocol.js';
import type { Sections } from './sections.js';
import type { Stage } from './stage.js';
import type { SliderConfig, Sliders, Widgets } from './widgets.js';

/** What the RPC functions act on. */
export interface ViewerParts {
  readonly stage: Stage;
  readonly stack: LayerStack;
  readonly widgets: Widgets;
  readonly sliders: Sliders;
  readonly paint: PaintInteraction;
  readonly channels: ChannelControls;
  readonly sections: Sections;
  readonly listeners: Listeners;
  /** What the page listens to ends. */
  close(): void;
  setBusy(busy: boolean): void;
  openSidebar(open: boolean): void;
  setScale(scale: PixelScale | undefined): void;
  setReadout(text: string): void;
  screenshot(): Promise<Uint8Array>;
  /** Functions of the owner's that are not called any more. */
  letGo(received: unknown): void;
}

interface LayerConfig {
  type?: string;
  name?: string;
  data?: unknown;
  index?: number;
  /** False leaves the selection where it is. Kaibu does not know it. */
  selected?: boolean;
  visible?: boolean;
  [option: string]: unknown;
}

const EXTRAS: ViewerExtras = {
  version: 1,
  pointer: true,
  secondary: true,
  painting: true,
  labels: true,
  set_image: true,
  screenshot: true,
  scale: true,
  channels: true,
  sections: true,
  view: true,
  readout: true,
};

/** CSS pixels; in narrower windows the image comes first, and the sidebar opens by its button. */
const ROOM_FOR_SIDEBAR = 720;

/** The functions that callers reach over RPC: Kaibu's, under Kaibu's names and signatures, and the extras listed by `get_capabilities`. */
export function viewerFunctions(parts: ViewerParts): Record<string, unknown> {
  const { stage, stack, widgets, sliders, paint } = parts;

  /** @param received the config as it came */
  async function addLayer(config: LayerConfig, received = config): Promise<LayerApi> {
    const layer = await createLayer(config, stage);
    stack.add(layer, config, () => parts.letGo(received));
    return layer.api;
  }

  function layerOf(key: { id: string } | string): ViewerLayer {
    const layer = stack.find(typeof key === 'string' ? key : key.id);
    if (!layer) throw new Error(`There is no layer "${typeof key === 'string' ? key : key.id}".`);
    return layer;
  }

  /** Takes the place of what was given before. */
  function replacing<T>(set: (given: readonly T[]) => void): (given: readonly T[]) => void {
    let before: readonly T[] = [];
    return (given) => {
      set(given);
      before.forEach(parts.letGo);
      before = given;
    };
  }

  const viewImage = (data: unknown, config: LayerConfig = {}) =>
    addLayer({ name: '2d-image', ...config, type: '2d-image', data }, config);

  return {
    setup() {},
    exit: () => parts.close(), // ImJoy calls it last
    async run(context?: { config?: { open_sidebar?: boolean }; data?: { layers?: LayerConfig[] } }) {
      const { open_sidebar } = context?.config ?? {};
      if (open_sidebar !== undefined) parts.openSidebar(open_sidebar && window.innerWidth >= ROOM_FOR_SIDEBAR);
      const apis: LayerApi[] = [];
      for (const config of context?.data?.layers ?? []) apis.push(await addLayer(config));
      return apis;
    },
    view_image: viewImage,
    add_image: viewImage,
    add_shapes: (data: unknown, config: LayerConfig = {}) =>
      addLayer({ ...config, type: 'vector', data: plain(data) }, config),
    add_points: (data: unknown, config: LayerConfig = {}) =>
      addLayer({ ...config, type: 'vector', data: plain(data), shape_type: 'MultiPoint' }, config),
    add_layer: (config: LayerConfig) => addLayer(config),
    get_layer: (key: string) => stack.find(key)?.api,
    get_layer_ids: () => stack.layers.map(({ id }) => id),
    select_layer: (key: { id: string } | string) => stack.select(layerOf(key)),
    remove_layer: (key: { id: string } | string) => stack.remove(layerOf(key)),
    clear_layers: () => stack.clear(),
    set_ui: (config: { title?: string; name?: string; type?: string }) =>
      widgets.add({ type: 'control', ...config, name: config.title }),
    add_widget: (config: Parameters<Widgets['add']>[0]) => widgets.add(config),
    remove_widget() {},
    select_widget: (key: string | { name: string }) => widgets.select(typeof key === 'string' ? key : key.name),
    set_loader: (busy: boolean) => parts.setBusy(busy),
    set_mode() {},
    set_sliders: replacing<SliderConfig>((configs) => sliders.set(configs)),
    update_slider: (name: string, value: number) => sliders.update(name, value),
    set_timeout: (callback: () => void, delay: number) => window.setTimeout(callback, delay),
    clear_timeout: (id: number) => window.clearTimeout(id),
    open_sidebar: (open: boolean) => parts.openSidebar(open),

    get_capabilities: () => EXTRAS,
    set_listeners(listeners: ViewerListeners) {
      parts.listeners.set(listeners);
    },
    set_scale(scale: PixelScale | null) {
      parts.setScale(scale ?? undefined);
    },
    set_channels: replacing<ChannelControl>((channels) => parts.channels.set(channels)),
    set_sections: (config: SectionConfig | null) => parts.sections.set(config ?? undefined),
    set_tool: (tool: ToolConfig) => paint.setTool(tool),
    set_layer_visible: (key: string, visible: boolean) => layerOf(key).ol.setVisible(visible),
    move_view: (move: ViewMove) => stage.move(move),
    set_readout: (text: string | null) => parts.setReadout(text ?? ''),
    screenshot: () => parts.screenshot(),
  };
}

async function createLayer(config: LayerConfig, stage: Stage): Promise<ViewerLayer> {
  const layer = await (() => {
    switch (config.type) {
      case '2d-image':
        return ImageLayer.open(config.name ?? '2d-image', config.data);
      case 'vector':
        return new VectorLayer(config as Partial<VectorConfig>, stage);
      // Configurations come from other programs; what one lacks fails in the layer, and its caller hears of it.
      case 'remote':
        return new RemoteLayer(config as unknown as RemoteLayerConfig);
      case 'labels':
        return new LabelLayer(config as unknown as LabelLayerConfig, stage);
      default:
        throw new Error(`Layers of type "${config.type}" are not supported; use 2d-image, vector, remote or labels.`);
    }
  })();
  if (config.visible === false && config.type !== 'vector') layer.ol.setVisible(false);
  return layer;
}

/** Coordinates that came as typed arrays or ndarrays, as nested arrays. */
function plain(data: unknown): unknown {
  if (ArrayBuffer.isView(data)) return Array.from(data as ArrayBufferView & ArrayLike<number>);
  if (Array.isArray(data)) return data.map(plain);
  return isArrayLike(data) ? toNestedList(viewRpcArray(data)) : data;
}
