import { itemAt } from '../../src/items.js';
import type { Mask } from '../../src/ndimage/mask.js';
import type { ViewObject } from '../../src/presenter/viewer.js';
import type { ObjectLayerName } from '../../src/session/state.js';
import { maskPolygons } from './geometry.js';
import type { Feature, XY } from './window.js';

/** Objects as GeoJSON, for a viewer that has only vector layers. */
/** More colours than this and objects start to share them: Kaibu's cost is by feature, so one feature holds a colour. */
const MAX_COLORS = 24;

/** Opacity of the inside, as two hexadecimal digits. Kaibu draws no dashes: what is only proposed is nearly empty. */
export const FILL: Readonly<Record<ObjectLayerName, string>> = {
  committed_objects: '55',
  auto_segmentation: '11',
  current_object: '55',
};

/** One MultiPolygon per colour. */
export function objectFeatures(objects: readonly ViewObject[], height: number, fill: string): Feature[] {
  return [...masksByColor(objects)].map(([color, masks]) => colorFeature(color, masks, height, fill));
}

/** Objects of one colour, which is that of several where there are many. */
export function masksByColor(objects: readonly ViewObject[]): Map<string, Mask[]> {
  const byColor = new Map<string, Mask[]>();
  for (const { id, color, mask } of objects) {
    const known = byColor.get(color);
    if (known) known.push(mask);
    else if (byColor.size < MAX_COLORS) byColor.set(color, [mask]);
    else itemAt([...byColor.values()], id % MAX_COLORS).push(mask);
  }
  return byColor;
}

export const featureId = (color: string) => `objects ${color}`;

export function colorFeature(color: string, masks: readonly Mask[], height: number, fill: string): Feature {
  const coordinates = masks.flatMap((mask): XY[][][] => maskPolygons(mask, height));
  return {
    type: 'Feature',
    geometry: { type: 'MultiPolygon', coordinates },
    properties: { id: featureId(color), edge_color: color, edge_width: 1.5, face_color: `${color}${fill}` },
  };
}
