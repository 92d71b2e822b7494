import type { YXYX } from '../../src/ndimage/array.js';
import type { ViewerEvent } from '../../src/presenter/viewer.js';
import { callable, within } from './callbacks.js';
import { toXY } from './geometry.js';
import { hearing } from './keys.js';
import type { KaibuVectorLayer, KaibuWindow } from './window.js';

/** The layer `tiles`: thin lines where the image is cut for the encoder. Made when they are to be seen for the first time. */
export class TileLayer {
  readonly #window: KaibuWindow;
  readonly #height: number;
  readonly #emit: (event: ViewerEvent) => void;
  #layer: KaibuVectorLayer | undefined;

  constructor(window: KaibuWindow, height: number, emit: (event: ViewerEvent) => void) {
    this.#window = window;
    this.#height = height;
    this.#emit = emit;
  }

  /** @returns true if a layer was added, which takes the selection where the viewer does not know `selected` */
  async show(tiles: readonly YXYX[]): Promise<boolean> {
    if (!this.#layer && tiles.length === 0) return false;
    const added = this.#layer === undefined;
    if (!this.#layer) {
      const config = { name: 'tiles', selected: false, ...hearing(this.#emit) };
      this.#layer = await within(this.#window.add_shapes([], callable(config)), 'add tiles');
      // What is falsy counts only after creation.
      await within(this.#layer.update_config({ draw_enable: false }), 'update_config');
    }
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
