import { release } from '../remote-functions.js';
import type { ViewerLayer } from './layers/layer.js';
import type { Stage } from './stage.js';

/** The layers from bottom to top, which of them is selected, and their order on the map. */
export class LayerStack {
  readonly #stage: Stage;
  readonly #onChange: () => void;
  readonly #onRemoved = new Map<ViewerLayer, () => void>();
  #layers: ViewerLayer[] = [];
  #selected: ViewerLayer | undefined;
  #deafSince = 0;

  constructor(stage: Stage, onChange: () => void) {
    this.#stage = stage;
    this.#onChange = onChange;
  }

  get layers(): readonly ViewerLayer[] {
    return this.#layers;
  }

  get selected(): ViewerLayer | undefined {
    return this.#selected;
  }

  /**
   * Milliseconds since the first of the layers came, or the last that hears keys was removed; none while there are no
   * layers yet, infinite while one hears.
   */
  get waitsForListener(): number {
    if (this.#layers.length === 0) return 0;
    return this.#layers.some(({ hears }) => hears) ? Infinity : performance.now() - this.#deafSince;
  }

  find(key: string): ViewerLayer | undefined {
    return this.#layers.find((layer) => layer.name === key || layer.id === key);
  }

  /**
   * Adds on top, or at `index` from the bottom, and selects it, as Kaibu does, unless told not to.
   *
   * @param onRemoved called once, when it is gone
   */
  add(
    layer: ViewerLayer,
    { index, selected = true }: { index?: number; selected?: boolean } = {},
    onRemoved: () => void = () => undefined,
  ): void {
    this.#onRemoved.set(layer, onRemoved);
    if (this.#layers.length === 0) this.#deafSince = performance.now();
    this.#layers.splice(index ?? this.#layers.length, 0, layer);
    this.#stage.map.addLayer(layer.ol);
    if (layer.size) {
      const [width, height] = layer.size;
      // A picture of the size that is already shown leaves the view where it is.
      if (this.#stage.size?.[0] !== width || this.#stage.size[1] !== height) this.#stage.setFrame(layer.size);
    }
    if (layer.listed && selected) this.select(layer);
    this.#arrange();
  }

  select(layer: ViewerLayer): void {
    if (this.#selected !== layer) {
      this.#selected?.setSelected(false);
      this.#selected = layer;
      layer.setSelected(true);
    }
    this.#onChange();
  }

  remove(layer: ViewerLayer): void {
    this.#layers = this.#layers.filter((other) => other !== layer);
    this.#stage.map.removeLayer(layer.ol);
    if (this.#selected === layer) this.#selected = undefined;
    if (layer.hears) this.#deafSince = performance.now();
    layer.setSelected(false);
    layer.dispose();
    release(layer.api);
    this.#onRemoved.get(layer)?.();
    this.#onRemoved.delete(layer);
    this.#arrange();
  }

  clear(): void {
    for (const layer of this.#layers) this.remove(layer);
  }

  /** Moves a layer up (+1) or down (-1) among the listed ones. */
  move(layer: ViewerLayer, step: 1 | -1): void {
    const listed = this.#layers.filter((other) => other.listed);
    const neighbour = listed[listed.indexOf(layer) + step];
    if (!neighbour) return;
    const [a, b] = [this.#layers.indexOf(layer), this.#layers.indexOf(neighbour)];
    this.#layers[a] = neighbour;
    this.#layers[b] = layer;
    this.#arrange();
  }

  #arrange(): void {
    this.#layers.forEach((layer, index) => {
      layer.ol.setZIndex(index);
    });
    this.#onChange();
  }
}
