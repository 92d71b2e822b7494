import type { Size, YX } from '../../src/ndimage/array.js';
import type { ViewerEvent } from '../../src/presenter/viewer.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import type { Hand } from '../remote-functions.js';
import type { LayerKey } from '../viewer/protocol.js';
import { within } from './callbacks.js';
import {
  drawnPrompt,
  isDrawnAs,
  movedPrompt,
  type Outline,
  promptGeometry,
  samePlace,
  toYX,
  whyRefused,
} from './geometry.js';
import { keyEvent } from './keys.js';
import { OwnWrites } from './own-writes.js';
import type { Feature, FeatureProperties, KaibuVectorLayer, KaibuWindow } from './window.js';

/** A dragged prompt is reported when it has rested this long: the viewer says "changed" on every step of the way. */
const SETTLED_MS = 120;

export const POSITIVE = '#2ee66b';
export const NEGATIVE = '#ff4d4d';
const TRACK = '#00ffff';
const DIVISION = '#ff00ff';

/** Label of a click that asks for the object under it, where the viewer reports no plain clicks. */
export const PICK = 'pick';

/** Label of a line that is a stroke of a tool, where the viewer reports no strokes. */
export const STROKE = 'stroke';

export interface PromptContext {
  readonly size: Size;
  readonly plane: number;
  /** Kind of what is drawn as an outline. */
  readonly shape: Outline;
  /** A click with a tool that draws nothing. */
  pick(at: YX): void;
  /** A stroke with a tool that draws no prompt. */
  stroke(path: readonly YX[]): void;
  emit(event: ViewerEvent): void;
}

/**
 * `point_prompts` or `prompts`: keeps the viewer's features equal to the session's prompts and turns what people draw, move
 * and delete into events. Callbacks also come for what we write ourselves, at once or long after.
 */
export class PromptLayer {
  readonly #layer: KaibuVectorLayer;
  readonly #context: () => PromptContext;
  readonly #shown = new Map<string, Prompt>();
  readonly #written = new OwnWrites();
  /** Geometry, as text, of what was put back last. */
  readonly #refused = new Map<string, string>();
  /** What we added and took away and have not heard of yet: by then the same prompt may be gone, or shown again. */
  readonly #entering = new Set<string>();
  readonly #leaving = new Set<string>();
  readonly #moving = new Map<string, { readonly settle: () => void; readonly timer: ReturnType<typeof setTimeout> }>();

  static async create(
    window: KaibuWindow,
    name: 'point_prompts' | 'prompts',
    context: () => PromptContext,
    hand: Hand,
  ): Promise<PromptLayer> {
    let layer: PromptLayer | undefined;
    let selection = false;
    const config = hand({
      name,
      draw_edge_color: POSITIVE,
      draw_edge_width: 2.5,
      draw_face_color: 'rgba(46, 230, 107, 0.08)',
      draw_size: 8,
      add_feature_callback: (feature: Feature) => layer?.added(feature),
      change_feature_callback: (feature: Feature) => layer?.changed(feature),
      remove_feature_callback: (feature: Feature) => {
        // What was deleted is no longer selected, and nobody says so.
        selection = false;
        layer?.removed(feature);
      },
      select_feature_callback: (features: unknown) => {
        selection = Array.isArray(features) ? features.length > 0 : features !== undefined && features !== null;
      },
      key_press_callback: (press: LayerKey) => {
        const event = keyEvent(press, selection);
        if (event) context().emit(event);
        return event !== undefined;
      },
    });
    layer = new PromptLayer(await within(window.add_shapes([], config), `add ${name}`), context);
    return layer;
  }

  private constructor(layer: KaibuVectorLayer, context: () => PromptContext) {
    this.#layer = layer;
    this.#context = context;
  }

  get id(): string {
    return this.#layer.id;
  }

  /** Falsy options count only after creation, so all drawing options go through here. */
  async configure(options: object): Promise<void> {
    await within(this.#layer.update_config(options), 'update_config');
  }

  async show(prompts: readonly Prompt[]): Promise<void> {
    const wanted = new Map(prompts.map((prompt) => [prompt.id, prompt]));
    const gone = [...this.#shown.keys()].filter((id) => !wanted.has(id));
    const fresh: Prompt[] = [];
    const moved: Prompt[] = [];
    for (const prompt of prompts) {
      const before = this.#shown.get(prompt.id);
      if (!before) fresh.push(prompt);
      else if (!samePlace(before, prompt) || styleKey(before) !== styleKey(prompt)) moved.push(prompt);
    }
    // Entered first: the echo of a write may arrive before the write's answer.
    for (const id of gone) {
      this.#forget(id);
      this.#leaving.add(id);
    }
    for (const prompt of prompts) this.#shown.set(prompt.id, prompt);
    if (gone.length > 0) await within(this.#layer.remove_features(gone), 'remove_features');
    for (const prompt of moved) await within(this.#update(prompt), 'update_feature');
    if (fresh.length > 0) {
      for (const { id } of fresh) this.#entering.add(id);
      const features = fresh.map((prompt) => this.#feature(prompt));
      await within(this.#layer.add_features(JSON.stringify({ type: 'FeatureCollection', features })), 'add_features');
    }
  }

  added(feature: Feature): void {
    const id = idOf(feature);
    if (!id || this.#entering.delete(id) || this.#shown.has(id)) return;
    const context = this.#context();
    const { geometry } = feature;
    const height = context.size[0];
    if (feature.properties?.label === PICK || feature.properties?.label === STROKE) {
      void this.#layer.remove_features([id]);
      if (geometry.type === 'Point') context.pick(toYX(geometry.coordinates, height));
      if (geometry.type === 'LineString') context.stroke(geometry.coordinates.map((at) => toYX(at, height)));
      return;
    }
    const positive = feature.properties?.label !== 'negative';
    const prompt = drawnPrompt(feature, { id, plane: context.plane, kind: context.shape, positive }, context.size);
    if (!prompt) {
      void this.#layer.remove_features([id]);
      context.emit({ kind: 'prompt-refused', why: whyRefused(feature) });
      return;
    }
    this.#shown.set(id, prompt);
    // As it is now: cut at the edge of the image; of an ellipse Kaibu knows only its box.
    if (!isDrawnAs(prompt, feature, context.size[0])) {
      this.#written.note(id, feature.geometry);
      this.#redraw(prompt);
    }
    context.emit({ kind: 'prompt-added', prompt, ...timeOf(feature) });
  }

  changed(feature: Feature): void {
    const id = idOf(feature);
    const before = id && this.#shown.get(id);
    if (!id || !before) return;
    const moved = movedPrompt(before, feature, this.#context().size);
    this.#stopWaiting(id);
    if (this.#written.knows(id, feature.geometry) || (moved && samePlace(moved, before))) return;
    // What was put back comes back as well: a viewer that writes it in another way is not answered twice.
    const text = JSON.stringify(feature.geometry);
    if (!moved && this.#refused.get(id) === text) return;
    const settle = () => {
      this.#stopWaiting(id);
      if (!this.#shown.has(id)) return;
      if (moved) {
        this.#shown.set(id, moved);
        this.#context().emit({ kind: 'prompt-changed', prompt: moved });
      } else {
        // Dragged out of the image, or a mask, which is no outline of anybody's hand: put back.
        if (before.kind !== 'mask') this.#context().emit({ kind: 'prompt-refused', why: 'outside' });
        this.#refused.set(id, text);
        this.#redraw(before);
      }
    };
    this.#moving.set(id, { settle, timer: setTimeout(settle, SETTLED_MS) });
  }

  /** Reports at once what was moved and has not rested yet: something else is done now, which comes after it. */
  reportMoves(): void {
    for (const { settle } of [...this.#moving.values()]) settle();
  }

  removed(feature: Feature): void {
    const id = idOf(feature);
    if (!id || this.#leaving.delete(id) || !this.#shown.has(id)) return;
    this.#forget(id);
    this.#context().emit({ kind: 'prompt-removed', id });
  }

  #forget(id: string): void {
    this.#shown.delete(id);
    this.#refused.delete(id);
    this.#written.forget(id);
    this.#stopWaiting(id);
  }

  #stopWaiting(id: string): void {
    clearTimeout(this.#moving.get(id)?.timer);
    this.#moving.delete(id);
  }

  /** What is drawn, as the prompt has it; by the time it is written the viewer may have no such feature any more. */
  #redraw(prompt: Prompt): void {
    this.#update(prompt).catch(() => undefined);
  }

  #update(prompt: Prompt): Promise<unknown> {
    return this.#layer.update_feature(prompt.id, JSON.stringify(this.#feature(prompt)));
  }

  /** As it is about to be written. */
  #feature(prompt: Prompt): Feature {
    const geometry = promptGeometry(prompt, this.#context().size[0]);
    this.#written.note(prompt.id, geometry);
    return {
      type: 'Feature',
      geometry,
      properties: { id: prompt.id, ...promptStyle(prompt) },
    };
  }
}

/** Rings for points, green or red; tracking colours the ring by state and the inside by sign, as micro-sam does. */
function promptStyle(prompt: Prompt): FeatureProperties {
  const positive = prompt.kind !== 'point' || prompt.positive;
  const sign = positive ? POSITIVE : NEGATIVE;
  const edge = prompt.track ? (prompt.track.state === 'division' ? DIVISION : TRACK) : sign;
  const inside = positive ? '46, 230, 107' : '255, 77, 77';
  return {
    label: positive ? 'positive' : 'negative',
    size: 8,
    edge_color: edge,
    edge_width: 2.5,
    face_color: `rgba(${inside}, ${prompt.track ? 0.6 : 0.08})`,
  };
}

function styleKey(prompt: Prompt): string {
  return JSON.stringify(promptStyle(prompt));
}

function idOf(feature: Feature): string | undefined {
  return feature.properties?.id ?? feature.id;
}

/** When it was drawn, where the viewer says so. */
function timeOf({ properties }: Feature): { readonly time?: number } {
  return properties?.drawn_at === undefined ? {} : { time: properties.drawn_at };
}
