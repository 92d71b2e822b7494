import type { ViewTrack } from '../../src/presenter/viewer.js';
import { within } from './callbacks.js';
import { toXY } from './geometry.js';
import type { KaibuVectorLayer, KaibuWindow } from './window.js';

/** The layer `tracks`: lines that nobody draws in. Made when there is something to show for the first time. */
export class TrackLayer {
  readonly #window: KaibuWindow;
  readonly #height: number;
  #layer: KaibuVectorLayer | undefined;
  #shown = '';

  constructor(window: KaibuWindow, height: number) {
    this.#window = window;
    this.#height = height;
  }

  /** @returns true if a layer was added, which takes the selection */
  async show(tracks: readonly ViewTrack[]): Promise<boolean> {
    if (!this.#layer && tracks.length === 0) return false;
    const added = this.#layer === undefined;
    const config = { name: 'tracks', draw_enable: false };
    this.#layer ??= await within(this.#window.add_shapes([], config), 'add tracks');
    // What is falsy counts only after creation.
    if (added) await within(this.#layer.update_config(config), 'update_config');
    const features = JSON.stringify({ type: 'FeatureCollection', features: tracks.map((t) => this.#feature(t)) });
    if (features !== this.#shown) await within(this.#layer.set_features(features), 'set_features');
    this.#shown = features;
    return added;
  }

  #feature({ id, color, path }: ViewTrack): object {
    return {
      type: 'Feature',
      geometry: { type: 'LineString', coordinates: path.map((at) => toXY(at, this.#height)) },
      properties: { id, edge_color: color, edge_width: 2, size: 4 },
    };
  }
}
