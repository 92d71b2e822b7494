import { SamError } from '../../errors.js';
import type { LabelImage, YX } from '../../ndimage/array.js';
import { sizeOf } from '../../ndimage/array.js';
import { maskOutlines } from '../../ndimage/contour.js';
import { threeAxes } from '../../ndimage/label.js';
import { type Ring, rasterizePolygon } from '../../ndimage/rasterize.js';
import { masksFromLabels, paintMask } from '../../ndimage/rle.js';

/**
 * Objects as GeoJSON polygons in the dialect of QuPath (a FeatureCollection of annotations; coordinates are (x, y) in
 * pixels, y down). Outlines run along pixel edges, so rasterising them gives the labels back exactly, holes and
 * separate parts included. A plane of a stack is said in `geometry.plane`, as QuPath does.
 */

/** What is known about an object besides its pixels. */
export interface ObjectFacts {
  readonly id: number;
  readonly predictedIou?: number;
  readonly stability?: number;
  readonly name?: string;
  /** 1 to 9. */
  readonly objectClass?: number;
  /** What the class is called; its number if it has no name. */
  readonly className?: string;
  readonly comment?: string;
  readonly flagged?: boolean;
}

/**
 * @param labels [H, W] or [Z, H, W]; in a stack an object has one feature per plane
 * @param stack whether the planes are depths or times; default 'z'
 */
export function labelsToGeoJson(
  labels: LabelImage,
  { objects = [], stack = 'z' }: { objects?: readonly ObjectFacts[]; stack?: 'z' | 't' } = {},
): string {
  const facts = new Map(objects.map((object) => [object.id, object]));
  const [planes] = threeAxes(labels.shape);
  const features: string[] = [];
  for (let plane = 0; plane < planes; plane++) {
    for (const [id, mask] of masksFromLabels(labels, plane)) {
      const polygons = maskOutlines(mask).map(({ outer, holes }) => [outer, ...holes].map(toCoordinates));
      const geometry =
        polygons.length === 1
          ? { type: 'Polygon', coordinates: polygons[0] }
          : { type: 'MultiPolygon', coordinates: polygons };
      const place = labels.shape.length === 2 ? {} : { plane: { c: -1, z: 0, t: 0, [stack]: plane } };
      const { predictedIou, stability, name, className, comment, flagged } = facts.get(id) ?? {};
      const measurements = {
        Label: id,
        ...(predictedIou !== undefined && { 'Predicted IoU': predictedIou }),
        ...(stability !== undefined && { 'Stability score': stability }),
      };
      features.push(
        JSON.stringify({
          type: 'Feature',
          geometry: { ...geometry, ...place },
          properties: {
            objectType: 'annotation',
            name: name ?? String(id),
            label: id,
            ...(className && { classification: { name: className } }),
            ...((comment || flagged) && {
              metadata: { ...(comment && { comment }), ...(flagged && { flagged: 'true' }) },
            }),
            measurements,
          },
        }),
      );
    }
  }
  return `{"type":"FeatureCollection","features":[\n${features.join(',\n')}\n]}\n`;
}

/**
 * Paints the polygons of a GeoJSON text into labels of the given shape. The label of a feature is its `label` property,
 * or its measurement 'Label', or a number not used otherwise. Features that are not polygons are left out; planes that
 * the shape lacks are an error.
 */
export function geoJsonToLabels(text: string, shape: readonly number[]): LabelImage {
  const features = featuresOf(text);
  const [planes, height, width] = threeAxes(shape);
  const labels: LabelImage = { data: new Uint32Array(sizeOf(shape)), shape };
  let next = 1 + features.reduce((highest, feature) => Math.max(highest, labelOf(feature) ?? 0), 0);
  for (const feature of features) {
    const { geometry } = feature;
    const polygons = polygonsOf(geometry);
    if (polygons.length === 0) continue;
    const id = labelOf(feature) ?? next++;
    const plane = Math.max(geometry?.plane?.z ?? 0, geometry?.plane?.t ?? 0);
    if (plane >= planes)
      throw new SamError(
        'invalid_image',
        `The GeoJSON has an object in plane ${plane} and the image ${planes} planes.`,
      );
    for (const rings of polygons) paintMask(labels, rasterizePolygon(rings, [height, width]), id, { plane });
  }
  return labels;
}

interface Feature {
  readonly geometry?: {
    readonly type: string;
    readonly coordinates: unknown;
    readonly plane?: { readonly z?: number; readonly t?: number };
  };
  readonly properties?: {
    readonly label?: unknown;
    readonly measurements?: Readonly<Record<string, unknown>>;
  } | null;
}

function featuresOf(text: string): Feature[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SamError('invalid_image', 'This GeoJSON file is not JSON; it may be cut off.', { cause });
  }
  if (Array.isArray(value)) return value.filter(isFeature);
  if (typeof value === 'object' && value !== null && 'features' in value && Array.isArray(value.features))
    return value.features.filter(isFeature);
  if (isFeature(value)) return [value];
  throw new SamError('invalid_image', 'This file is JSON but not GeoJSON: expected a FeatureCollection of polygons.');
}

function isFeature(value: unknown): value is Feature {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Feature';
}

function labelOf({ properties }: Feature): number | undefined {
  const label = properties?.label ?? properties?.measurements?.Label;
  return typeof label === 'number' && Number.isInteger(label) && label > 0 && label <= 0xffffffff ? label : undefined;
}

function polygonsOf(geometry: Feature['geometry']): Ring[][] {
  if (geometry?.type === 'Polygon') return [toRings(geometry.coordinates)];
  if (geometry?.type === 'MultiPolygon' && Array.isArray(geometry.coordinates))
    return geometry.coordinates.map(toRings);
  return [];
}

function toRings(rings: unknown): Ring[] {
  const isPosition = (p: unknown): p is [number, number] =>
    Array.isArray(p) && Number.isFinite(p[0]) && Number.isFinite(p[1]);
  if (!Array.isArray(rings) || !rings.every((ring) => Array.isArray(ring) && ring.every(isPosition)))
    throw new SamError('invalid_image', 'A polygon of this GeoJSON has coordinates that are not pairs of numbers.');
  return rings.map((ring: [number, number][]) => ring.map(([x, y]): YX => [y, x]));
}

/** (x, y), closed: the first corner comes again at the end. */
function toCoordinates(ring: Ring): [x: number, y: number][] {
  return [...ring, ...ring.slice(0, 1)].map(([y, x]) => [x, y]);
}
