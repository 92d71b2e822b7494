import type { ViewerEvent, ViewTrack } from '../../src/presenter/viewer.js';
import { callable, within } from './callbacks.js';
import { toXY } from './geometry.js';
import { hearing } from './keys.js';
import type { KaibuVectorLayer, KaibuWindow } from './window.js';

/** The layer `tracks`: lines that nobody draws in. Made when there is something to show for the first time. */
export class TrackLayer {
  readonly #window: KaibuWindow;
  readonly #height: number;
  readonly #emit: (event: ViewerEvent) => void;
  #layer: KaibuVectorLayer | undefined;
  #shown = '';

  constructor(window: KaibuWindow, height: number, emit: (event: ViewerEvent) => void) {
    this.#window = window;
    this.#height = height;
    this.#emit = emit;
  }

  /** @returns true if a layer was added, which takes the selection where the viewer does not know `selected` */
  async show(tracks: readonly ViewTrack[]): Promise<boolean> {
    if (!this.#layer && tracks.length === 0) return false;
    const added = this.#layer === undefined;
    if (!this.#layer) {
      const config = { name: 'tracks', selected: false, ...hearing(this.#emit) };
      this.#layer = await within(this.#window.add_shapes([], callable(config)), 'add tracks');
      // What is falsy counts only after creation.
      await within(this.#layer.update_config({ draw_enable: false }), 'update_config');
    }
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
