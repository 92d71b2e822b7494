import type { YXYX } from '../../src/ndimage/array.js';
import type { ViewerEvent, ViewTrack } from '../../src/presenter/viewer.js';
import { callable, within } from './callbacks.js';
import { toXY } from './geometry.js';
import { hearing } from './keys.js';
import type { KaibuVectorLayer, KaibuWindow, XY } from './window.js';

/** Lines, `[x, y]` with y up, that nobody draws in. */
export interface ShownLine {
  readonly path: readonly XY[];
  readonly properties: Readonly<Record<string, unknown>>;
}

/** A layer of lines, e.g. the ways of tracked cells. Made when there is something to show for the first time. */
export class LineLayer {
  readonly #window: KaibuWindow;
  readonly #name: string;
  readonly #emit: (event: ViewerEvent) => void;
  #layer: KaibuVectorLayer | undefined;
  #shown = '';

  constructor(window: KaibuWindow, name: string, emit: (event: ViewerEvent) => void) {
    this.#window = window;
    this.#name = name;
    this.#emit = emit;
  }

  /** @returns true if the layer was added, which takes the selection where the viewer does not know `selected` */
  async show(lines: readonly ShownLine[]): Promise<boolean> {
    if (!this.#layer && lines.length === 0) return false;
    const added = this.#layer === undefined;
    if (!this.#layer) {
      const config = { name: this.#name, selected: false, ...hearing(this.#emit) };
      this.#layer = await within(this.#window.add_shapes([], callable(config)), `add ${this.#name}`);
      // What is falsy counts only after creation.
      await within(this.#layer.update_config({ draw_enable: false }), 'update_config');
    }
    const features = lines.map(({ path, properties }) => ({
      type: 'Feature',
      geometry: { type: 'LineString', coordinates: path },
      properties,
    }));
    const text = JSON.stringify({ type: 'FeatureCollection', features });
    if (text !== this.#shown) await within(this.#layer.set_features(text), 'set_features');
    this.#shown = text;
    return added;
  }
}

export function trackLine({ id, color, path }: ViewTrack, height: number): ShownLine {
  return {
    path: path.map((at) => toXY(at, height)),
    properties: { id, edge_color: color, edge_width: 2, size: 4 },
  };
}

/** An outline without a face, so that it hides nothing and takes no click. */
export function tileOutline([top, left, bottom, right]: YXYX, height: number): ShownLine {
  const corners = [
    [top, left],
    [top, right],
    [bottom, right],
    [bottom, left],
    [top, left],
  ] as const;
  return {
    path: corners.map((at) => toXY(at, height)),
    properties: { edge_color: '#8fa7bd', edge_width: 1, size: 1 },
  };
}
