import { type LabelImage, tensor } from '../../src/ndimage/array.js';

export type Ring = [x: number, y: number][];
export interface Feature {
  geometry: { type: string; coordinates: Ring[] | Ring[][]; plane?: { c: number; z: number; t: number } };
  properties: { label: number; name: string; measurements: Record<string, number> };
}

export const featuresOf = (text: string): Feature[] => JSON.parse(text).features;
export const ringsOf = ({ geometry }: Feature): Ring[] =>
  geometry.type === 'Polygon' ? (geometry.coordinates as Ring[]) : (geometry.coordinates as Ring[][]).flat();

/** Even-odd rule at pixel centres, straight from its definition. */
function inside(rings: Ring[], y: number, x: number): boolean {
  let odd = false;
  for (const ring of rings)
    for (let i = 0; i + 1 < ring.length; i++) {
      const [[x0, y0], [x1, y1]] = [ring[i], ring[i + 1]];
      if (y0 > y !== y1 > y && x < x0 + ((y - y0) / (y1 - y0)) * (x1 - x0)) odd = !odd;
    }
  return odd;
}

export function paintedByDefinition(features: Feature[], shape: readonly number[]): LabelImage {
  const [planes, height, width] = shape.length === 3 ? shape : [1, ...shape];
  const data = new Uint32Array(planes * height * width);
  for (const feature of features) {
    const z = feature.geometry.plane?.z ?? 0;
    const rings = ringsOf(feature);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        if (inside(rings, y + 0.5, x + 0.5)) data[(z * height + y) * width + x] = feature.properties.label;
  }
  return tensor(data, shape);
}
