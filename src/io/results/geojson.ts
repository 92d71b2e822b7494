import type { LabelImage } from '../../ndimage/array.js';
import { maskOutlines } from '../../ndimage/contour.js';
import { threeAxes } from '../../ndimage/label.js';
import type { Ring } from '../../ndimage/rasterize.js';
import { masksFromLabels } from '../../ndimage/rle.js';

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

/** (x, y), closed: the first corner comes again at the end. */
function toCoordinates(ring: Ring): [x: number, y: number][] {
  return [...ring, ...ring.slice(0, 1)].map(([y, x]) => [x, y]);
}
