import type { Feature, KaibuWindow } from '../../plugin/kaibu/window.js';
import type { LabelUpdate, ViewerListeners } from '../../plugin/viewer/protocol.js';

/**
 * A Kaibu window without a screen: keeps what it is told to draw, calls back for its own writes as for those of the hand,
 * each after a while, and counts what it is asked. With `extras` it has what only our viewer has.
 */
type Callback = (...values: unknown[]) => unknown;

export class FakeKaibu {
  readonly layers = new Map<string, FakeLayer>();
  /** Calls of the adapter. */
  messages: string[] = [];
  listeners: ViewerListeners = {};

  constructor(
    readonly extras: boolean,
    private readonly delay: () => Promise<void>,
  ) {}

  /** As a hand draws it: the callback comes in the order of the hand. */
  draw(layer: string, feature: Feature): void {
    const known = this.layers.get(layer);
    if (known) known.put(feature);
  }

  /** As a hand moves it. */
  drag(layer: string, feature: Feature): void {
    this.layers.get(layer)?.change(feature);
  }

  window(): KaibuWindow {
    const asked =
      <A extends unknown[], R>(act: (...values: A) => R) =>
      async (...values: A): Promise<Awaited<R>> => {
        this.messages.push(`${act}`.slice(0, 60));
        await this.delay();
        return await act(...values);
      };
    const functions = {
      view_image: asked(() => undefined),
      add_shapes: asked((_: unknown, config: object) => this.add(config as LayerConfig).api(asked)),
      add_layer: asked((config: object) => void this.add(config as LayerConfig)),
      get_layer: asked((name: string) =>
        name === 'image' ? { set_image: asked(() => undefined) } : this.layers.get(name)?.api(asked),
      ),
      select_layer: asked(() => undefined),
      clear_layers: asked(() => this.layers.clear()),
      add_widget: asked(() => ({ set_elements: asked(() => undefined) })),
      set_sliders: asked(() => undefined),
      update_slider: asked(() => undefined),
      set_loader: asked(() => undefined),
      open_sidebar: asked(() => undefined),
    };
    if (!this.extras) return functions as unknown as KaibuWindow;
    const all = ['pointer', 'secondary', 'painting', 'labels', 'set_image', 'screenshot'] as const;
    return {
      ...functions,
      get_capabilities: asked(() => Object.fromEntries(all.map((name) => [name, true]))),
      set_listeners: asked((listeners: ViewerListeners) => {
        this.listeners = listeners;
      }),
      set_tool: asked(() => undefined),
      set_layer_visible: asked(() => undefined),
    } as unknown as KaibuWindow;
  }

  private add(config: LayerConfig): FakeLayer {
    const layer = new FakeLayer(config, this.delay);
    this.layers.set(config.name, layer);
    return layer;
  }
}

interface LayerConfig {
  readonly name: string;
  readonly [option: string]: unknown;
}

export class FakeLayer {
  readonly features = new Map<string, Feature>();
  /** Objects of a label layer: id, colour, box and runs as text. */
  readonly objects = new Map<number, string>();

  private called: Promise<void> = Promise.resolve();

  constructor(
    private readonly config: LayerConfig,
    private readonly delay: () => Promise<void>,
  ) {}

  change(feature: Feature): void {
    this.features.set(feature.properties?.id ?? '', feature);
    this.call('change_feature_callback', feature);
  }

  put(feature: Feature): void {
    this.features.set(feature.properties?.id ?? '', feature);
    // As OpenLayers: what is added is given its id, which is a change.
    this.call('change_feature_callback', feature);
    this.call('add_feature_callback', feature);
  }

  api(asked: <A extends unknown[], R>(act: (...values: A) => R) => (...values: A) => Promise<Awaited<R>>): object {
    const parse = (text: string) => (JSON.parse(text) as { features: Feature[] }).features;
    return {
      id: this.config.name,
      name: this.config.name,
      update_config: asked(() => undefined),
      set_features: asked((text: string) => {
        this.features.clear();
        for (const feature of parse(text)) this.put(feature);
      }),
      add_features: asked((text: string) => {
        for (const feature of parse(text)) this.put(feature);
      }),
      update_feature: asked((id: string, text: string) => {
        if (!this.features.has(id)) throw new Error(`Feature not found (id=${id})`);
        const feature = JSON.parse(text) as Feature;
        this.features.set(id, feature);
        this.call('change_feature_callback', feature);
      }),
      remove_features: asked((ids: readonly string[]) => {
        for (const id of ids) {
          const feature = this.features.get(id);
          if (!feature) continue;
          this.features.delete(id);
          this.call('remove_feature_callback', feature);
        }
      }),
      get_features: asked(() => ({ features: [...this.features.values()] })),
      update_labels: asked((update: LabelUpdate) => this.updateLabels(update)),
    };
  }

  private updateLabels({ order, ids, colors, boxes, offsets, runs }: LabelUpdate): void {
    ids.forEach((id, k) => {
      const box = boxes.slice(4 * k, 4 * k + 4);
      this.objects.set(id, JSON.stringify([colors[k], [...box], [...runs.slice(offsets[k], offsets[k + 1])]]));
    });
    const shown = new Set(order);
    for (const id of this.objects.keys()) if (!shown.has(id)) this.objects.delete(id);
  }

  /** Some hosts call back at once, others long after: here some time after, in order. */
  private call(name: string, feature: Feature): void {
    const callback = this.config[name] as Callback | undefined;
    if (!callback) return;
    this.called = Promise.all([this.called, this.delay()]).then(() => void callback(feature));
  }
}
