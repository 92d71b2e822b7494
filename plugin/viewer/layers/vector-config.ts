import type { LayerKey } from '../protocol.js';

/** Configuration of a vector layer, with Kaibu's names, defaults and its habit of replacing falsy values by defaults. */
export type FeatureCallback = (feature: unknown) => unknown;

export interface VectorConfig {
  name: string;
  data: unknown;
  shape_type: string | string[];
  edge_width: number | number[];
  edge_color: string | string[];
  face_color: string | string[];
  label?: string | string[];
  size: number;
  opacity: number;
  visible: boolean;
  text_placement: string | null;
  select_enable: boolean;
  draw_enable: boolean;
  draw_freehand: boolean;
  draw_label: string | null;
  draw_size: number;
  draw_shape_type: string;
  draw_edge_color: string;
  draw_edge_width: number;
  draw_face_color: string;
  draw_max_label_count: number;
  add_feature_callback?: FeatureCallback;
  change_feature_callback?: FeatureCallback;
  remove_feature_callback?: FeatureCallback;
  select_feature_callback?: FeatureCallback;
  key_press_callback?: (key: LayerKey) => Promise<unknown> | unknown;
}

const DEFAULTS: Omit<VectorConfig, 'name' | 'data' | 'edge_color'> = {
  shape_type: 'polygon',
  edge_width: 2,
  face_color: 'rgba(255, 255, 255, 0.2)',
  opacity: 1,
  visible: true,
  size: 7,
  text_placement: null,
  select_enable: false,
  draw_enable: false,
  draw_freehand: true,
  draw_label: null,
  draw_size: 7,
  draw_shape_type: 'Polygon',
  draw_face_color: '#FFFFFF0F',
  draw_edge_width: 2,
  draw_edge_color: '#0BF737',
  draw_max_label_count: 0,
};

export const FEATURE_DEFAULTS = { size: 7, edge_color: '#0BF737', edge_width: 2, face_color: '#FFFFFF0F' } as const;

/** The configuration with defaults in place of everything falsy, as Kaibu does: false and 0 need `update_config` later. */
export function withDefaults(config: Partial<VectorConfig>): VectorConfig {
  const filled: Record<string, unknown> = { ...config };
  const defaults = { name: 'vector', edge_color: randomColor(), ...DEFAULTS };
  for (const [key, value] of Object.entries(defaults)) if (!filled[key]) filled[key] = value;
  return filled as unknown as VectorConfig; // every field has a default
}

function randomColor(): string {
  return `#${Math.floor(Math.random() * 0x1000000)
    .toString(16)
    .padStart(6, '0')}`;
}

const SHAPES: Record<string, string> = {
  line: 'LineString',
  path: 'LineString',
  polygon: 'Polygon',
  rectangle: 'Polygon',
  point: 'MultiPoint',
  'multi-point': 'MultiPoint',
};

/** The shapes given at creation as GeoJSON features. Points make one MultiPoint, also when there are none. */
export function featuresOf(config: VectorConfig): object[] {
  const data = Array.isArray(config.data) ? (config.data as unknown[]) : [];
  const at = (key: 'shape_type' | 'edge_width' | 'edge_color' | 'face_color' | 'label', i: number) => {
    const value = config[key];
    if (!Array.isArray(value)) return value;
    if (value.length !== data.length) throw new Error(`${key} has ${value.length} elements for ${data.length} shapes.`);
    return value[i];
  };
  const properties = (i: number) => ({
    label: at('label', i),
    size: config.size,
    edge_width: at('edge_width', i),
    edge_color: at('edge_color', i),
    face_color: at('face_color', i),
  });
  if (['point', 'multi-point', 'MultiPoint'].includes(String(config.shape_type)))
    return [{ type: 'Feature', geometry: { type: 'MultiPoint', coordinates: data }, properties: properties(0) }];
  return data.map((shape, i) => {
    const name = String(at('shape_type', i));
    const type = SHAPES[name] ?? name;
    const coordinates = type === 'Polygon' ? [shape] : shape;
    return { type: 'Feature', geometry: { type, coordinates }, properties: properties(i) };
  });
}
