import type { Size } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import type { ViewerEvent, ViewObject } from '../../src/presenter/viewer.js';
import type { ObjectLayerName } from '../../src/session/state.js';
import type { Hand } from '../remote-functions.js';
import type { LabelLayerConfig, LabelUpdate } from '../viewer/protocol.js';
import { within } from './callbacks.js';
import { geometryRings } from './geometry.js';
import { hearing } from './keys.js';
import { colorFeature, FILL, featureId, masksByColor, objectFeatures } from './object-features.js';
import { OwnWrites } from './own-writes.js';
import type { Feature, KaibuVectorLayer, KaibuWindow } from './window.js';

/** Shows the objects of one layer, by the means the viewer has. */
export interface ObjectsOnScreen {
  show(objects: readonly ViewObject[]): Promise<void>;
  setVisible(visible: boolean): Promise<void>;
}

interface LabelLayerApi {
  update_labels(update: LabelUpdate): Promise<unknown>;
  update_config(config: object): Promise<unknown>;
}

/** Pixel runs, where the viewer has label layers: only what changed is sent, so 3,000 objects cost as much as one. */
export class LabelObjects implements ObjectsOnScreen {
  readonly #layer: LabelLayerApi;
  #shown: readonly ViewObject[] = [];

  static async create(window: KaibuWindow, config: LabelLayerConfig, hand: Hand): Promise<LabelObjects> {
    const { pick_callback } = config;
    await within(window.add_layer(pick_callback ? hand(config) : config), `add ${config.name}`);
    return new LabelObjects((await within(window.get_layer(config.name), 'get_layer')) as LabelLayerApi);
  }

  private constructor(layer: LabelLayerApi) {
    this.#layer = layer;
  }

  async show(objects: readonly ViewObject[]): Promise<void> {
    const update = labelUpdate(objects, this.#shown);
    if (!update) return;
    this.#shown = objects;
    await within(this.#layer.update_labels(update), 'update_labels');
  }

  async setVisible(visible: boolean): Promise<void> {
    await within(this.#layer.update_config({ visible }), 'update_config');
  }
}

/** What to send so that a layer showing `before` shows `objects`; undefined if it already does. */
export function labelUpdate(objects: readonly ViewObject[], before: readonly ViewObject[]): LabelUpdate | undefined {
  const known = new Map(before.map((object) => [object.id, object]));
  const changed = objects.filter((object) => {
    const old = known.get(object.id);
    return !old || old.mask !== object.mask || old.color !== object.color;
  });
  const sameOrder = objects.length === before.length && objects.every(({ id }, k) => id === before[k]?.id);
  if (changed.length === 0 && sameOrder) return undefined;
  const offsets = new Uint32Array(changed.length + 1);
  let total = 0;
  changed.forEach(({ mask }, k) => {
    total += mask.runs.length;
    offsets[k + 1] = total;
  });
  const runs = new Uint32Array(total);
  const boxes = new Int32Array(4 * changed.length);
  changed.forEach(({ mask }, k) => {
    runs.set(mask.runs, offsets[k]);
    boxes.set(mask.box, 4 * k);
  });
  return {
    order: Uint32Array.from(objects, ({ id }) => id),
    ids: Uint32Array.from(changed, ({ id }) => id),
    colors: Uint32Array.from(changed, ({ color }) => Number.parseInt(color.slice(1), 16)),
    boxes,
    offsets,
    runs,
  };
}

/** Outlines as GeoJSON, for a viewer that has only vector layers: one MultiPolygon per colour, sent as a string. */
export class PolygonObjects implements ObjectsOnScreen {
  readonly #layer: KaibuVectorLayer;
  readonly #size: Size;
  #shown: readonly ViewObject[] = [];
  #masks: ReadonlyMap<string, readonly Mask[]> = new Map();
  readonly #written = new OwnWrites();
  #edited: ReturnType<typeof setTimeout> | undefined;

  static async create(
    window: KaibuWindow,
    name: ObjectLayerName,
    size: Size,
    emit: (event: ViewerEvent) => void,
    hand: Hand,
  ): Promise<PolygonObjects> {
    let objects: PolygonObjects | undefined;
    // Only the current object can be edited by hand: its layer holds one object, so it is clear which one is meant.
    const edited = (feature: Feature) => objects?.editedBy(feature, name, emit);
    const config =
      name === 'current_object'
        ? { add_feature_callback: edited, change_feature_callback: edited, remove_feature_callback: edited }
        : {};
    const adding = window.add_shapes([], hand({ name, ...config, ...hearing(emit) }));
    objects = new PolygonObjects(await within(adding, `add ${name}`), size, FILL[name]);
    return objects;
  }

  private constructor(
    layer: KaibuVectorLayer,
    size: Size,
    private readonly fill: string,
  ) {
    this.#layer = layer;
    this.#size = size;
  }

  async show(objects: readonly ViewObject[]): Promise<void> {
    const before = this.#masks;
    const masks = masksByColor(objects);
    const changed = [...masks].filter(([color, list]) => !sameMasks(list, before.get(color)));
    const sameColors = masks.size === before.size && [...masks.keys()].every((color) => before.has(color));
    this.#shown = objects;
    this.#masks = masks;
    if (sameColors && changed.length === 0) return;
    clearTimeout(this.#edited);
    if (sameColors) {
      // One object more changes the feature of one colour.
      for (const [color, list] of changed) {
        const feature = colorFeature(color, list, this.#size[0], this.fill);
        this.#written.note(featureId(color), feature.geometry);
        await within(this.#layer.update_feature(featureId(color), JSON.stringify(feature)), 'update_feature');
      }
    } else {
      const features = objectFeatures(objects, this.#size[0], this.fill);
      for (const { geometry, properties } of features) this.#written.note(String(properties?.id), geometry);
      await within(this.#layer.set_features(collection(features)), 'set_features');
    }
  }

  async setVisible(visible: boolean): Promise<void> {
    await within(this.#layer.update_config({ visible }), 'update_config');
  }

  /** Waits for the hand to rest, then reads the whole layer: what is in it now is the object. */
  editedBy(feature: Feature, layer: ObjectLayerName, emit: (event: ViewerEvent) => void): void {
    if (this.#written.knows(String(feature.properties?.id), feature.geometry)) return;
    clearTimeout(this.#edited);
    this.#edited = setTimeout(async () => {
      const { features } = await within(this.#layer.get_features({ decimals: 6 }), 'get_features');
      const rings = features.flatMap(({ geometry }) => geometryRings(geometry, this.#size[0]));
      emit({ kind: 'object-edited', layer, id: this.#shown[0]?.id ?? 1, rings });
    }, 200);
  }
}

function collection(features: readonly Feature[]): string {
  return JSON.stringify({ type: 'FeatureCollection', features });
}

function sameMasks(a: readonly Mask[], b: readonly Mask[] | undefined): boolean {
  return a.length === b?.length && a.every((mask, k) => mask === b[k]);
}
