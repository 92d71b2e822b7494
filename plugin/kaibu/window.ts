import type { ViewMove } from '../../src/presenter/viewer.js';
import type {
  ChannelControl,
  PixelScale,
  SectionConfig,
  ToolConfig,
  ViewerExtras,
  ViewerListeners,
} from '../viewer/protocol.js';

/** The functions of a Kaibu window that the adapter calls, as they look over RPC. The last block exists in our viewer only. */
export interface KaibuWindow {
  view_image(data: unknown, config: object): Promise<unknown>;
  add_shapes(shapes: readonly unknown[], config: object): Promise<KaibuVectorLayer>;
  add_layer(config: object): Promise<unknown>;
  get_layer(name: string): Promise<unknown>;
  select_layer(layer: { id: string }): Promise<unknown>;
  clear_layers(): Promise<unknown>;
  add_widget(config: object): Promise<KaibuControlWidget>;
  set_sliders(sliders: readonly object[]): Promise<unknown>;
  update_slider(name: string, value: number): Promise<unknown>;
  set_loader(busy: boolean): Promise<unknown>;
  open_sidebar(open: boolean): Promise<unknown>;
  /** Of every ImJoy window. */
  on?(event: 'close', listener: () => void): unknown;
  close?(): Promise<unknown>;

  get_capabilities?(): Promise<ViewerExtras>;
  set_listeners?(listeners: ViewerListeners): Promise<unknown>;
  set_tool?(tool: ToolConfig): Promise<unknown>;
  set_layer_visible?(name: string, visible: boolean): Promise<unknown>;
  set_channels?(channels: readonly ChannelControl[]): Promise<unknown>;
  set_sections?(config: SectionConfig | null): Promise<unknown>;
  set_scale?(scale: PixelScale | null): Promise<unknown>;
  move_view?(move: ViewMove): Promise<unknown>;
  set_readout?(text: string | null): Promise<unknown>;
  screenshot?(): Promise<Uint8Array>;
}

export interface KaibuVectorLayer {
  readonly id: string;
  readonly name: string;
  update_config(config: object): Promise<unknown>;
  set_features(geojson: string): Promise<unknown>;
  add_features(geojson: string): Promise<unknown>;
  update_feature(id: string, geojson: string): Promise<unknown>;
  remove_features(ids: readonly string[]): Promise<unknown>;
  get_features(options: { decimals: number }): Promise<{ features: readonly Feature[] }>;
}

export interface KaibuControlWidget {
  set_elements(elements: readonly object[]): Promise<unknown>;
  /** In our viewer only. */
  set_collapsed?(collapsed: boolean): Promise<unknown>;
}

/** A GeoJSON feature as Kaibu's callbacks give it. */
export interface Feature {
  readonly type: 'Feature';
  readonly id?: string;
  readonly geometry: Geometry;
  readonly properties: FeatureProperties | null;
}

export type XY = readonly [x: number, y: number];

export type Geometry =
  | { readonly type: 'Point'; readonly coordinates: XY }
  | { readonly type: 'LineString'; readonly coordinates: readonly XY[] }
  | { readonly type: 'Polygon'; readonly coordinates: readonly (readonly XY[])[] }
  | { readonly type: 'MultiPolygon'; readonly coordinates: readonly (readonly (readonly XY[])[])[] };

export interface FeatureProperties {
  readonly id?: string;
  readonly label?: string | null;
  readonly size?: number;
  readonly edge_color?: string;
  readonly edge_width?: number;
  readonly face_color?: string;
  /** When it was drawn, in milliseconds since the epoch; in our viewer only. */
  readonly drawn_at?: number;
}
