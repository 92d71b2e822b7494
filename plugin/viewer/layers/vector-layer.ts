import type Feature from 'ol/Feature.js';
import GeoJSON from 'ol/format/GeoJSON.js';
import type Geometry from 'ol/geom/Geometry.js';
import type Draw from 'ol/interaction/Draw.js';
import OlVectorLayer from 'ol/layer/Vector.js';
import VectorSource from 'ol/source/Vector.js';
import { remoteFunctions } from '../../remote-functions.js';
import { drawInteraction } from '../interactions/draw.js';
import { EditInteraction } from '../interactions/edit.js';
import type { LayerKey } from '../protocol.js';
import type { Stage } from '../stage.js';
import { type LayerApi, randomId, type ViewerLayer } from './layer.js';
import { featuresOf, type VectorConfig, withDefaults } from './vector-config.js';
import { featureStyle } from './vector-style.js';

/** Which way a feature goes, in map coordinates. */
const ARROWS: ReadonlyMap<string, readonly [dx: number, dy: number]> = new Map([
  ['ArrowLeft', [-1, 0]],
  ['ArrowRight', [1, 0]],
  ['ArrowUp', [0, 1]],
  ['ArrowDown', [0, -1]],
]);

type Change = { readonly added?: Feature; readonly removed?: Feature };

/**
 * `vector`: shapes drawn by people and by callers. Callbacks come as in Kaibu: `add` also for features that the caller
 * itself adds, `change` before the first `add` of a drawn one, no `remove` from set_features and clear_features.
 */
export class VectorLayer implements ViewerLayer {
  readonly id = randomId();
  readonly type = 'vector';
  readonly listed = true;
  readonly name: string;
  readonly ol: OlVectorLayer<VectorSource>;
  readonly api: LayerApi;
  readonly #config: VectorConfig;
  readonly #stage: Stage;
  readonly #source = new VectorSource();
  readonly #format = new GeoJSON();
  readonly #edit: EditInteraction;
  readonly #history: Change[] = [];
  #draw: Draw | undefined;
  #selected = false;
  #undoing = false;
  #chosen: Feature[] = [];

  constructor(config: Partial<VectorConfig>, stage: Stage) {
    this.#config = withDefaults(config);
    this.#stage = stage;
    this.name = this.#config.name;
    this.ol = new OlVectorLayer({
      source: this.#source,
      style: (feature, resolution) =>
        featureStyle(feature, resolution, this.#config.text_placement, this.#chosen.includes(feature as Feature)),
    });
    this.ol.setOpacity(this.#config.opacity);
    this.ol.setVisible(this.#config.visible);
    this.ol.on('change:visible', () => this.#updateInteractions());
    this.#edit = new EditInteraction(
      this.#source,
      (feature) => this.select(feature ? [feature] : []),
      (feature) => this.#reportChange(feature),
    );
    this.#edit.setActive(false);
    stage.map.addInteraction(this.#edit);
    this.#listen();
    this.#source.addFeatures(this.#read({ type: 'FeatureCollection', features: featuresOf(this.#config) }));
    this.api = this.#functions();
  }

  setSelected(selected: boolean): void {
    this.#selected = selected;
    if (!selected) this.select([], false);
    this.#updateInteractions();
  }

  /** Whether the caller wants keys. */
  get hears(): boolean {
    return this.#config.key_press_callback !== undefined;
  }

  /** True if the caller took the key. */
  async key(press: LayerKey): Promise<boolean> {
    if (this.#config.key_press_callback && (await this.#config.key_press_callback(press))) return true;
    if (!this.ol.getVisible()) return false;
    const { code, ctrl_key, meta_key, shift_key } = press;
    if (code === 'Backspace' || code === 'Delete') {
      for (const feature of [...this.#chosen]) this.#source.removeFeature(feature);
      this.select([], false);
    } else if (code === 'KeyZ' && (ctrl_key || meta_key)) this.#undo();
    else if (code.startsWith('Arrow')) {
      const step = ctrl_key || meta_key ? 1 : shift_key ? 30 : 10;
      const [dx, dy] = ARROWS.get(code) ?? [0, 0];
      for (const feature of this.#chosen) feature.getGeometry()?.translate(dx * step, dy * step);
      return this.#chosen.length > 0;
    } else return false;
    return true;
  }

  /** True while a click draws. */
  get drawing(): boolean {
    return this.#draw !== undefined;
  }

  /** Lets go of the shape being drawn. */
  cancelDrawing(): void {
    this.#draw?.abortDrawing();
  }

  select(features: Feature[], report = true): void {
    this.#chosen = features;
    this.ol.changed();
    if (!report) return;
    const written = features.map((feature) => this.#write(feature));
    this.#config.select_feature_callback?.(written.length > 1 ? written : written[0]);
  }

  dispose(): void {
    if (this.#draw) this.#stage.map.removeInteraction(this.#draw);
    this.#stage.map.removeInteraction(this.#edit);
    this.ol.dispose();
  }

  #listen(): void {
    this.#source.on('addfeature', ({ feature }) => {
      if (!feature) return;
      if (!feature.get('id')) feature.set('id', crypto.randomUUID());
      feature.setId(feature.get('id'));
      this.#config.add_feature_callback?.(this.#write(feature));
      if (!this.#undoing) this.#history.push({ added: feature });
      this.#limitCount(feature);
    });
    this.#source.on('changefeature', ({ feature }) => {
      if (feature && feature !== this.#edit.moving) this.#reportChange(feature);
    });
    this.#source.on('removefeature', ({ feature }) => {
      if (!feature) return;
      this.#chosen = this.#chosen.filter((other) => other !== feature);
      this.#config.remove_feature_callback?.(this.#write(feature));
      if (!this.#undoing) this.#history.push({ removed: feature });
    });
  }

  #reportChange(feature: Feature): void {
    this.#config.change_feature_callback?.(this.#write(feature));
  }

  /** Keeps at most `draw_max_label_count` features with the label being drawn, dropping the oldest. */
  #limitCount(added: Feature): void {
    const { draw_label, draw_max_label_count } = this.#config;
    if (!draw_label || !draw_max_label_count || added.get('label') !== draw_label) return;
    const same = this.#source.getFeatures().filter((other) => other.get('label') === draw_label && other !== added);
    for (const old of same.slice(0, Math.max(0, same.length - draw_max_label_count + 1)))
      this.#source.removeFeature(old);
  }

  #undo(): void {
    const change = this.#history.pop();
    if (!change) return;
    this.#undoing = true;
    try {
      if (change.added && this.#source.hasFeature(change.added)) this.#source.removeFeature(change.added);
      if (change.removed) this.#source.addFeature(change.removed);
    } finally {
      this.#undoing = false;
    }
  }

  #updateInteractions(): void {
    const { map } = this.#stage;
    if (this.#draw) map.removeInteraction(this.#draw);
    this.#draw = undefined;
    const active = this.#selected && this.ol.getVisible();
    this.#edit.setActive(active);
    if (active && this.#config.draw_enable) {
      this.#draw = drawInteraction(this.#source, this.#config);
      map.addInteraction(this.#draw);
      // The edit interaction must see the pointer before the drawing one does.
      map.removeInteraction(this.#edit);
      map.addInteraction(this.#edit);
    }
  }

  #write(feature: Feature): object {
    return this.#format.writeFeatureObject(feature);
  }

  #read(geojson: unknown): Feature[] {
    return this.#format.readFeatures(geojson) as Feature[];
  }

  #replace(features: Feature[]): void {
    this.#source.clear(true);
    this.#chosen = [];
    this.#source.addFeatures(features);
  }

  #functions(): LayerApi {
    const find = (id: string) => this.#source.getFeatureById(id) as Feature | null;
    const present = (ids: string[]) => ids.map(find).filter((feature) => feature !== null);
    return remoteFunctions({
      name: this.name,
      id: this.id,
      clear_features: () => this.#replace([]),
      set_features: (geojson: unknown) => this.#replace(this.#read(geojson)),
      add_feature: (geojson: unknown) => this.#source.addFeatures(this.#read(geojson)),
      add_features: (geojson: unknown) => this.#source.addFeatures(this.#read(geojson)),
      update_feature: (id: string, geojson: unknown) => {
        const feature = find(id);
        if (!feature) throw new Error(`Feature not found (id=${id})`);
        const [changed] = this.#read(geojson);
        if (!changed) throw new Error('The GeoJSON holds no feature.');
        feature.setGeometry(changed.getGeometry() as Geometry);
        feature.setProperties(changed.getProperties());
      },
      remove_feature: (id: string) => this.#source.removeFeatures(present([id])),
      remove_features: (ids: string[]) => this.#source.removeFeatures(present(ids)),
      select_feature: (id: string) => this.select(present([id])),
      select_features: (ids: string[]) => this.select(present(ids)),
      get_features: (options: { decimals?: number } = {}) =>
        this.#format.writeFeaturesObject(this.#source.getFeatures(), { decimals: options.decimals ?? 2 }),
      get_selected_features: (options: { decimals?: number } = {}) =>
        this.#format.writeFeaturesObject(this.#chosen, { decimals: options.decimals ?? 2 }),
      update_config: (change: Partial<VectorConfig>) => {
        Object.assign(this.#config, change);
        if (change.visible !== undefined) this.ol.setVisible(change.visible);
        if (change.opacity !== undefined) this.ol.setOpacity(change.opacity);
        this.ol.changed();
        this.#updateInteractions();
      },
    });
  }
}
