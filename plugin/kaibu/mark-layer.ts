import type { YX, YXYX } from '../../src/ndimage/array.js';
import type { ViewerEvent, ViewTrack } from '../../src/presenter/viewer.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import type { Hand } from '../remote-functions.js';
import { within } from './callbacks.js';
import { promptGeometry, toXY } from './geometry.js';
import { hearing } from './keys.js';
import type { Geometry, KaibuVectorLayer, KaibuWindow } from './window.js';

/** A mark, `[x, y]` with y up, that nobody draws in. */
export interface Mark {
  readonly geometry: Geometry;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** A layer of marks, e.g. the ways of tracked cells. Made when there is something to show for the first time. */
export class MarkLayer {
  readonly #window: KaibuWindow;
  readonly #name: string;
  readonly #emit: (event: ViewerEvent) => void;
  readonly #hand: Hand;
  #layer: KaibuVectorLayer | undefined;
  #shown = '';

  constructor(window: KaibuWindow, name: string, emit: (event: ViewerEvent) => void, hand: Hand) {
    this.#window = window;
    this.#name = name;
    this.#emit = emit;
    this.#hand = hand;
  }

  async create(): Promise<KaibuVectorLayer> {
    if (this.#layer) return this.#layer;
    const config = { name: this.#name, selected: false, ...hearing(this.#emit) };
    const layer = await within(this.#window.add_shapes([], this.#hand(config)), `add ${this.#name}`);
    this.#layer = layer;
    // What is falsy counts only after creation.
    await within(layer.update_config({ draw_enable: false }), 'update_config');
    return layer;
  }

  /** @returns true if the layer was added, which takes the selection where the viewer does not know `selected` */
  async show(marks: readonly Mark[]): Promise<boolean> {
    if (!this.#layer && marks.length === 0) return false;
    const added = this.#layer === undefined;
    const layer = await this.create();
    const features = marks.map((mark) => ({ type: 'Feature', ...mark }));
    const text = JSON.stringify({ type: 'FeatureCollection', features });
    if (text !== this.#shown) await within(layer.set_features(text), 'set_features');
    this.#shown = text;
    return added;
  }
}

export function trackLine({ id, color, path }: ViewTrack, height: number): Mark {
  return {
    geometry: line(path, height),
    properties: { id, edge_color: color, edge_width: 2, size: 4 },
  };
}

/** An outline without a face, so that it hides nothing and takes no click. */
export function tileOutline([top, left, bottom, right]: YXYX, height: number): Mark {
  const corners = [
    [top, left],
    [top, right],
    [bottom, right],
    [bottom, left],
    [top, left],
  ] as const;
  return {
    geometry: line(corners, height),
    properties: { edge_color: '#8fa7bd', edge_width: 1, size: 1 },
  };
}

/** The prompt of an object whose mask is still to come. */
export function closingMark(prompt: Prompt, height: number): Mark {
  return {
    geometry: promptGeometry(prompt, height),
    properties: { edge_color: '#c8d2dc', edge_width: 1.5, face_color: 'rgba(200, 210, 220, 0.25)', size: 6 },
  };
}

function line(path: readonly YX[], height: number): Mark['geometry'] {
  return { type: 'LineString', coordinates: path.map((at) => toXY(at, height)) };
}
