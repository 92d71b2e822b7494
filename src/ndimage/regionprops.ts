import type { Tensor, YX } from './array.js';
import { hullArea } from './convex-hull.js';
import type { Mask } from './mask.js';
import { erode } from './morphology.js';
import { maskSpans, maskToBitmap } from './rle.js';
import { surfaceArea } from './surface-area.js';

/**
 * Measurements of one object, with the definitions of skimage.measure.regionprops. With a `scale` (pixel size along y
 * and x, e.g. in µm) lengths and areas are physical; positions stay in pixels.
 */
export interface RegionProperties {
  /** In square units of `scale`. */
  readonly area: number;
  readonly pixels: number;
  /** [y0, x0, y1, x1), pixels. */
  readonly bbox: Mask['box'];
  /** Mean pixel index (y, x), pixels: add 0.5 for the position of the centre. */
  readonly centroid: YX;
  readonly equivalentDiameter: number;
  readonly majorAxisLength: number;
  readonly minorAxisLength: number;
  /** Of the ellipse with the same second moments; 0 is a circle. */
  readonly eccentricity: number;
  /** Angle from the y axis to the major axis, counter-clockwise, in radians, -pi/2 to pi/2. */
  readonly orientation: number;
  /** Four-neighbour outline with weighted corners (Benkrid and Crookes); NaN where pixels are not square. */
  readonly perimeter: number;
  /** Pixels of the object over pixels of its convex hull. */
  readonly solidity: number;
  /** Per channel, if an image was given; NaN pixels do not count. */
  readonly intensity: readonly IntensityProperties[];
}

export interface IntensityProperties {
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  /** Population standard deviation. */
  readonly std: number;
}

export interface RegionOptions {
  /** Pixel size along y and x. */
  readonly scale?: readonly [y: number, x: number];
  /** [H, W] or [H, W, C]; measured under the object. */
  readonly image?: Tensor;
}

export function maskProperties(mask: Mask, { scale = [1, 1], image }: RegionOptions = {}): RegionProperties {
  const moments = momentsOf(mask, scale);
  const { yy, xx, yx, centroid } = moments;
  const common = (yy + xx) / 2;
  const apart = Math.hypot((yy - xx) / 2, yx);
  const major = common + apart;
  const minor = Math.max(0, common - apart);
  const area = mask.area * scale[0] * scale[1];
  return {
    area,
    pixels: mask.area,
    bbox: mask.box,
    centroid,
    equivalentDiameter: Math.sqrt((4 * area) / Math.PI),
    majorAxisLength: 4 * Math.sqrt(major),
    minorAxisLength: 4 * Math.sqrt(minor),
    eccentricity: major === 0 ? 0 : Math.sqrt(1 - minor / major),
    orientation: orientationOf(yy, xx, yx),
    perimeter: scale[0] === scale[1] ? perimeterOf(mask) * scale[0] : Number.NaN,
    solidity: mask.area / hullArea(mask),
    intensity: image ? intensitiesOf(mask, image) : [],
  };
}

/** Centroid in pixels, central second moments per pixel in units of `scale`. */
function momentsOf(mask: Mask, [sy, sx]: readonly [number, number]) {
  const spans = maskSpans(mask);
  let sumY = 0;
  let sumX = 0;
  for (let i = 0; i < spans.length; i += 3) {
    const length = spans[i + 2] - spans[i + 1];
    sumY += spans[i] * length;
    sumX += ((spans[i + 1] + spans[i + 2] - 1) / 2) * length;
  }
  const centroid: YX = [sumY / mask.area, sumX / mask.area];
  let yy = 0;
  let xx = 0;
  let yx = 0;
  for (let i = 0; i < spans.length; i += 3) {
    const length = spans[i + 2] - spans[i + 1];
    const y = spans[i] - centroid[0];
    const x = (spans[i + 1] + spans[i + 2] - 1) / 2 - centroid[1];
    yy += length * y * y;
    yx += length * y * x;
    xx += length * x * x + (length * (length * length - 1)) / 12; // the spread within the span
  }
  return { centroid, yy: (yy * sy * sy) / mask.area, xx: (xx * sx * sx) / mask.area, yx: (yx * sy * sx) / mask.area };
}

function orientationOf(yy: number, xx: number, yx: number): number {
  return yy === xx && yx === 0 ? Math.PI / 4 : 0.5 * Math.atan2(2 * yx, yy - xx);
}

const DIAGONAL = Math.SQRT2;
const MIXED = (1 + Math.SQRT2) / 2;
/** What a pixel of the outline adds, by 10 per diagonal and 2 per direct neighbour on the outline, and 1 for itself. */
const PERIMETER_WEIGHTS = new Map([
  ...[5, 7, 15, 17, 25, 27].map((code) => [code, 1] as const),
  ...[21, 33].map((code) => [code, DIAGONAL] as const),
  ...[13, 23].map((code) => [code, MIXED] as const),
]);

function perimeterOf(mask: Mask): number {
  const [top, left, bottom, right] = mask.box;
  const height = bottom - top + 2;
  const width = right - left + 2;
  const shape = [height, width];
  const border = maskToBitmap(mask, [height, width], [top - 1, left - 1]);
  const inner = erode({ data: border, shape }).data;
  for (let p = 0; p < border.length; p++) border[p] -= inner[p];
  let perimeter = 0;
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const p = y * width + x;
      if (!border[p]) continue;
      const direct = border[p - width] + border[p + width] + border[p - 1] + border[p + 1];
      const diagonal = border[p - width - 1] + border[p - width + 1] + border[p + width - 1] + border[p + width + 1];
      perimeter += PERIMETER_WEIGHTS.get(1 + 2 * direct + 10 * diagonal) ?? 0;
    }
  }
  return perimeter;
}

function intensitiesOf(mask: Mask, image: Tensor): IntensityProperties[] {
  const [, width, channels = 1] = image.shape;
  const spans = maskSpans(mask);
  return Array.from({ length: channels }, (_, channel) => {
    let count = 0;
    let mean = 0;
    let squares = 0;
    let min = Infinity;
    let max = -Infinity;
    for (let i = 0; i < spans.length; i += 3) {
      const row = spans[i] * width;
      for (let x = spans[i + 1]; x < spans[i + 2]; x++) {
        const value = image.data[(row + x) * channels + channel];
        if (Number.isNaN(value)) continue;
        // Welford's running mean and sum of squares: exact enough for large offsets.
        count++;
        const delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
        if (value < min) min = value;
        if (value > max) max = value;
      }
    }
    if (count === 0) return { mean: Number.NaN, min: Number.NaN, max: Number.NaN, std: Number.NaN };
    return { mean, min, max, std: Math.sqrt(squares / count) };
  });
}

export interface VolumeProperties {
  /** In cubic units of `scale`. */
  readonly volume: number;
  readonly voxels: number;
  /** [z0, y0, x0, z1, y1, x1), voxels. */
  readonly bbox: readonly [number, number, number, number, number, number];
  /** Mean voxel index (z, y, x). */
  readonly centroid: readonly [z: number, y: number, x: number];
  readonly equivalentDiameter: number;
  /** In square units of `scale` (surface-area.ts). */
  readonly surface: number;
}

/**
 * One object of a volume.
 *
 * @param masks plane → mask, at least one that is not empty
 * @param scale voxel size along z, y and x
 */
export function volumeProperties(
  masks: ReadonlyMap<number, Mask>,
  scale: readonly [z: number, y: number, x: number] = [1, 1, 1],
): VolumeProperties {
  let voxels = 0;
  const sum = [0, 0, 0];
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (const [z, mask] of masks) {
    if (mask.area === 0) continue;
    const { centroid } = momentsOf(mask, [1, 1]);
    voxels += mask.area;
    [z, ...centroid].forEach((value, axis) => {
      sum[axis] += value * mask.area;
    });
    [z, mask.box[0], mask.box[1]].forEach((value, axis) => {
      low[axis] = Math.min(low[axis], value);
    });
    [z + 1, mask.box[2], mask.box[3]].forEach((value, axis) => {
      high[axis] = Math.max(high[axis], value);
    });
  }
  const volume = voxels * scale[0] * scale[1] * scale[2];
  return {
    volume,
    voxels,
    bbox: [low[0], low[1], low[2], high[0], high[1], high[2]],
    centroid: [sum[0] / voxels, sum[1] / voxels, sum[2] / voxels],
    equivalentDiameter: Math.cbrt((6 * volume) / Math.PI),
    surface: surfaceArea(masks, scale),
  };
}
