import { itemAt } from '../../src/items.js';
import type { Size, YX, YXYX } from '../../src/ndimage/array.js';
import { maskOutlines } from '../../src/ndimage/contour.js';
import { ellipseRing } from '../../src/ndimage/ellipse.js';
import type { Mask } from '../../src/ndimage/mask.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import type { Extent } from '../viewer/coordinates.js';
import type { Feature, Geometry, XY } from './window.js';

/**
 * The one place where (y, x) with row 0 on top meets Kaibu's (x, y) with y up. Both count pixels from an image corner, and
 * pixel (r, c) covers [r, r+1) x [c, c+1), so the conversion is y ↔ height − y and nothing else.
 */
export function toXY([y, x]: YX, height: number): XY {
  return [x, height - y];
}

export function toYX([x, y]: XY, height: number): YX {
  return [height - y, x];
}

/** The part of the map in an extent as a box of the image; it may reach beyond it. */
export function extentToBox([x0, y0, x1, y1]: Extent, height: number): YXYX {
  return [height - y1, x0, height - y0, x1];
}

/** A closed GeoJSON ring (the first vertex comes again at the end). */
export function toRing(ring: readonly YX[], height: number): XY[] {
  return [...ring, ...ring.slice(0, 1)].map((vertex) => toXY(vertex, height));
}

/** An open ring of image coordinates from a closed one. */
export function fromRing(ring: readonly XY[], height: number): YX[] {
  const [first, last] = [ring.at(0), ring.at(-1)];
  const open = ring.length > 1 && first?.[0] === last?.[0] && first?.[1] === last?.[1] ? ring.slice(0, -1) : ring;
  return open.map((vertex) => toYX(vertex, height));
}

/** The polygons of a mask, each an outer ring and its holes, along pixel edges. */
export function maskPolygons(mask: Mask, height: number): XY[][][] {
  return maskOutlines(mask).map(({ outer, holes }) => [outer, ...holes].map((ring) => toRing(ring, height)));
}

/** Every ring of a polygon or multipolygon, for even-odd filling. */
export function geometryRings(geometry: Geometry, height: number): YX[][] {
  if (geometry.type === 'Point' || geometry.type === 'LineString') return [];
  const polygons = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates;
  return polygons.flatMap((rings) => rings.map((ring) => fromRing(ring, height)));
}

export function promptGeometry(prompt: Prompt, height: number): Geometry {
  switch (prompt.kind) {
    case 'point':
      return { type: 'Point', coordinates: toXY(prompt.at, height) };
    case 'box': {
      const [y0, x0, y1, x1] = prompt.box;
      const corners: YX[] = [
        [y1, x0],
        [y1, x1],
        [y0, x1],
        [y0, x0],
      ];
      return { type: 'Polygon', coordinates: [toRing(corners, height)] };
    }
    case 'mask':
      return { type: 'MultiPolygon', coordinates: maskPolygons(prompt.mask, height) };
    default:
      return { type: 'Polygon', coordinates: [toRing(prompt.ring, height)] };
  }
}

/** Whether a drawn box is to be seen as the prompt has it: it ends at the edge of the image, and it is one. */
export function isDrawnAs(prompt: Prompt, { geometry }: Feature, height: number): boolean {
  if (prompt.kind !== 'box') return prompt.kind !== 'ellipse';
  const corners = (shape: Geometry) => new Set(geometryRings(shape, height).flatMap((ring) => ring.map(rounded)));
  const [wanted, drawn] = [corners(promptGeometry(prompt, height)), corners(geometry)];
  return wanted.size === drawn.size && [...wanted].every((corner) => drawn.has(corner));
}

/** To a millionth of a pixel. */
const rounded = ([y, x]: YX) => `${Math.round(1e6 * y)} ${Math.round(1e6 * x)}`;

/** Why nothing comes of a feature for which `drawnPrompt` gives nothing. */
export function whyRefused({ geometry }: Feature): 'outside' | 'empty' {
  const outer = geometry.type === 'Polygon' ? geometry.coordinates[0] : undefined;
  if (outer === undefined) return 'outside';
  const [x0, y0, x1, y1] = boundsOf(outer);
  return x1 - x0 < 1 || y1 - y0 < 1 ? 'empty' : 'outside';
}

/** Kinds of prompts that are drawn as an outline. */
export type Outline = 'box' | 'polygon' | 'ellipse';

/**
 * What a drawn feature means, inside an image of `size`; undefined if it lies outside or covers less than a pixel. An
 * ellipse may come as the box that it fills.
 */
export function drawnPrompt(
  feature: Feature,
  drawn: { id: string; plane: number; kind: 'point' | Outline; positive: boolean },
  size: Size,
): Prompt | undefined {
  const { id, plane, kind, positive } = drawn;
  const { geometry } = feature;
  const [height, width] = size;
  if (geometry.type === 'Point') {
    const at = toYX(geometry.coordinates, height);
    const inside = at[0] >= 0 && at[1] >= 0 && at[0] < height && at[1] < width;
    return inside ? { id, plane, kind: 'point', at, positive } : undefined;
  }
  const outer = geometry.type === 'Polygon' ? geometry.coordinates[0] : undefined;
  if (outer === undefined) return undefined;
  const ring = fromRing(outer, height);
  const box = boxOf(ring, size);
  if (box[2] - box[0] < 1 || box[3] - box[1] < 1) return undefined;
  if (kind === 'ellipse') return { id, plane, kind, ring: ring.length > 4 ? ring : ellipseRing(boundsOf(ring)) };
  return kind === 'polygon' ? { id, plane, kind, ring } : { id, plane, kind: 'box', box };
}

/** A prompt after its feature was moved or reshaped. */
export function movedPrompt(prompt: Prompt, feature: Feature, size: Size): Prompt | undefined {
  const kind = prompt.kind === 'point' || prompt.kind === 'box' ? prompt.kind : 'polygon';
  const positive = prompt.kind === 'point' ? prompt.positive : true;
  const moved = drawnPrompt(feature, { id: prompt.id, plane: prompt.plane, kind, positive }, size);
  if (!moved || prompt.kind === 'mask') return undefined;
  return { ...prompt, ...moved, kind: prompt.kind } as Prompt;
}

/** True if both are the same shape in the same place, to a millionth of a pixel. */
export function samePlace(a: Prompt, b: Prompt): boolean {
  const numbers = (prompt: Prompt): readonly number[] =>
    prompt.kind === 'point'
      ? prompt.at
      : prompt.kind === 'box'
        ? prompt.box
        : prompt.kind === 'mask'
          ? [...prompt.mask.box, ...prompt.mask.runs]
          : prompt.ring.flat();
  const [left, right] = [numbers(a), numbers(b)];
  return a.kind === b.kind && sameNumbers(left, right);
}

/** True if both are the same shape in the same place, to a millionth of a pixel. */
export function sameGeometry(a: Geometry, b: Geometry): boolean {
  const numbers = ({ coordinates }: Geometry) => (coordinates as readonly unknown[]).flat(4) as number[];
  return a.type === b.type && sameNumbers(numbers(a), numbers(b));
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => Math.abs(n - itemAt(b, i)) < 1e-6);
}

/** The bounding box of a ring, clipped to the image. */
function boxOf(ring: readonly YX[], [height, width]: Size): YXYX {
  return boundsOf(ring.map(([y, x]): YX => [Math.min(Math.max(y, 0), height), Math.min(Math.max(x, 0), width)]));
}

function boundsOf(ring: readonly YX[]): YXYX {
  const ys = ring.map(([y]) => y);
  const xs = ring.map(([, x]) => x);
  return [Math.min(...ys), Math.min(...xs), Math.max(...ys), Math.max(...xs)];
}
