import type { YXYX } from '../../src/ndimage/array.js';
import { within } from './callbacks.js';
import { toXY } from './geometry.js';
import type { KaibuVectorLayer, KaibuWindow } from './window.js';

/** The layer `tiles`: thin lines where the image is cut for the encoder. Made when they are to be seen for the first time. */
export class TileLayer {
  readonly #window: KaibuWindow;
  readonly #height: number;
  #layer: KaibuVectorLayer | undefined;

  constructor(window: KaibuWindow, height: number) {
    this.#window = window;
    this.#height = height;
  }

  /** @returns true if a layer was added, which takes the selection */
  async show(tiles: readonly YXYX[]): Promise<boolean> {
    if (!this.#layer && tiles.length === 0) return false;
    const added = this.#layer === undefined;
    const config = { name: 'tiles', draw_enable: false };
    this.#layer ??= await within(this.#window.add_shapes([], config), 'add tiles');
    // What is falsy counts only after creation.
    if (added) await within(this.#layer.update_config(config), 'update_config');
    const features = tiles.map((box) => this.#feature(box));
    await within(this.#layer.set_features(JSON.stringify({ type: 'FeatureCollection', features })), 'set_features');
    return added;
  }

  /** An outline without a face, so that it hides nothing and takes no click. */
  #feature([top, left, bottom, right]: YXYX): object {
    const corners = [
      [top, left],
      [top, right],
      [bottom, right],
      [bottom, left],
      [top, left],
    ] as const;
    return {
      type: 'Feature',
      geometry: { type: 'LineString', coordinates: corners.map((at) => toXY(at, this.#height)) },
      properties: { edge_color: '#8fa7bd', edge_width: 1, size: 1 },
    };
  }
}
