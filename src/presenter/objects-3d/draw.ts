import { itemAt } from '../../items.js';
import { rgbOf } from '../image/composite.js';
import type { Surface } from './surface.js';

/** From where a volume is looked at: turned around the vertical axis, then tilted; as large as fits, times `zoom`. */
export interface Viewpoint {
  /** Radians. */
  readonly turn: number;
  /** Radians; 0 looks along the slices, from the first of them. */
  readonly tilt: number;
  readonly zoom: number;
}

/**
 * The surfaces as a picture [side, side, 4], RGBA, transparent where there is nothing: each point a square that leaves no
 * gap to its neighbours, nearest first, lit from above the eye.
 *
 * @param colors of the objects, '#rrggbb'
 */
export function drawSurface(
  surface: Surface,
  colors: readonly string[],
  { turn, tilt, zoom }: Viewpoint,
  side: number,
): Uint8ClampedArray<ArrayBuffer> {
  const { points, normals, objects, shape } = surface;
  const picture = new Uint8ClampedArray(side * side * 4);
  const nearest = new Float32Array(side * side).fill(Infinity);
  const scale = (zoom * side) / Math.hypot(...shape);
  const reach = Math.max(0.5, scale * 0.8);
  const rgb = colors.map(rgbOf);
  const [st, ct, sp, cp] = [Math.sin(turn), Math.cos(turn), Math.sin(tilt), Math.cos(tilt)];
  for (let i = 0; i < objects.length; i++) {
    const [x, y, z] = [points[3 * i]!, points[3 * i + 1]!, points[3 * i + 2]!];
    const [nx, ny, nz] = [normals[3 * i]!, normals[3 * i + 1]!, normals[3 * i + 2]!];
    const side1 = st * x + ct * z;
    const towards = st * nx + ct * nz;
    const normalDepth = sp * ny + cp * towards;
    if (normalDepth > 0.3) continue; // looks away
    const depth = sp * y + cp * side1;
    const px = side / 2 + scale * (ct * x - st * z);
    const py = side / 2 + scale * (cp * y - sp * side1);
    const light = 0.35 + 0.65 * Math.max(0, -0.85 * normalDepth - 0.5 * (cp * ny - sp * towards));
    const [r, g, b] = itemAt(rgb, itemAt(objects, i));
    const right = Math.min(side - 1, Math.round(px + reach));
    const bottom = Math.min(side - 1, Math.round(py + reach));
    for (let v = Math.max(0, Math.round(py - reach)); v <= bottom; v++)
      for (let u = Math.max(0, Math.round(px - reach)); u <= right; u++) {
        const at = v * side + u;
        if (depth >= nearest[at]!) continue;
        nearest[at] = depth;
        picture[4 * at] = 255 * r * light;
        picture[4 * at + 1] = 255 * g * light;
        picture[4 * at + 2] = 255 * b * light;
        picture[4 * at + 3] = 255;
      }
  }
  return picture;
}
