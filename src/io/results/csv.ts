import { itemAt, present } from '../../items.js';
import type { LabelImage, Tensor } from '../../ndimage/array.js';
import { threeAxes } from '../../ndimage/label.js';
import type { Mask } from '../../ndimage/mask.js';
import {
  type IntensityProperties,
  maskProperties,
  type VolumeProperties,
  volumeProperties,
} from '../../ndimage/regionprops.js';
import { masksFromLabels } from '../../ndimage/rle.js';
import { canonicalUnit, type PixelSize } from '../pixel-size.js';
import type { RecordingPosition } from '../recording.js';
import type { ObjectFacts } from './geojson.js';

/** The recorded image under the labels, for intensity statistics. */
export interface MeasuredImage {
  readonly channels: readonly string[];
  /** [H, W] or [H, W, C]. */
  plane(index: number): Promise<Tensor>;
}

export interface TableOptions {
  readonly pixelSize?: PixelSize;
  /** Planes of a stack are depths (one row per object) or times (one row per object and frame). Default 'z'. */
  readonly stack?: 'z' | 't';
  /** Of a part of a recording with time and depth: columns t and z, from 0. */
  readonly position?: RecordingPosition;
  readonly objects?: readonly ObjectFacts[];
  readonly image?: MeasuredImage;
}

/**
 * A table of measurements as CSV (RFC 4180, full precision, empty = not defined). Lengths, areas and volumes are in the
 * unit named in the column's head: that of the pixel size, else pixels. Centroids are those of pixel indices, as in
 * scikit-image.
 */
export async function labelsToCsv(labels: LabelImage, options: TableOptions = {}): Promise<string> {
  return tableText(await tableRows(labels, options));
}

/** The rows of the table, to be joined with others. */
export async function tableRows(labels: LabelImage, options: TableOptions = {}): Promise<Row[]> {
  const measured =
    labels.shape.length === 3 && options.stack !== 't'
      ? await volumeRows(labels, options)
      : await planeRows(labels, options);
  const { t, z } = options.position ?? {};
  const place = { ...(t !== undefined && { t }), ...(z !== undefined && { z }) };
  return measured.map(({ label, ...row }): Row => ({ label, ...place, ...row }));
}

/** A column for everything that a row has. */
export function tableText(rows: readonly Row[]): string {
  const heads = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const columns = heads.length > 0 ? heads : ['label'];
  const lines = [columns.map(cell), ...rows.map((row) => columns.map((head) => cell(row[head])))];
  return lines.map((line) => `${line.join(',')}\r\n`).join('');
}

export type Row = Record<string, number | string | undefined>;

async function planeRows(labels: LabelImage, { pixelSize, objects = [], image }: TableOptions): Promise<Row[]> {
  const [planes] = threeAxes(labels.shape);
  const unit = unitOf(pixelSize);
  const scale = pixelSize ? ([pixelSize.y, pixelSize.x] as const) : ([1, 1] as const);
  const facts = new Map(objects.map((object) => [object.id, object]));
  const rows: Row[] = [];
  for (let plane = 0; plane < planes; plane++) {
    const pixels = await image?.plane(plane);
    for (const [label, mask] of masksFromLabels(labels, plane)) {
      const p = maskProperties(mask, { scale, image: pixels });
      rows.push({
        label,
        ...(labels.shape.length === 3 && { frame: plane }),
        [`area_${unit}2`]: p.area,
        ...(pixelSize && { area_px: p.pixels }),
        ...positions(['y', 'x'], p.centroid, scale, unit, pixelSize),
        ...box(['y', 'x'], p.bbox),
        [`equivalent_diameter_${unit}`]: p.equivalentDiameter,
        [`major_axis_length_${unit}`]: p.majorAxisLength,
        [`minor_axis_length_${unit}`]: p.minorAxisLength,
        eccentricity: p.eccentricity,
        orientation_rad: p.orientation,
        [`perimeter_${unit}`]: p.perimeter,
        solidity: p.solidity,
        ...intensities(p.intensity, image),
        ...scores(facts.get(label)),
      });
    }
  }
  return rows;
}

async function volumeRows(labels: LabelImage, options: TableOptions): Promise<Row[]> {
  const { objects = [], image } = options;
  const [planes] = threeAxes(labels.shape);
  // Without the distance of the planes no length or volume is known.
  const pixelSize = options.pixelSize?.z === undefined ? undefined : options.pixelSize;
  const unit = unitOf(pixelSize);
  const scale = pixelSize
    ? ([present(pixelSize.z, 'the distance of planes'), pixelSize.y, pixelSize.x] as const)
    : ([1, 1, 1] as const);
  const facts = new Map(objects.map((object) => [object.id, object]));
  const masks = new Map<number, Map<number, Mask>>();
  const pooled = new Map<number, Pool[]>();
  for (let plane = 0; plane < planes; plane++) {
    const pixels = await image?.plane(plane);
    for (const [label, mask] of masksFromLabels(labels, plane)) {
      masks.set(label, (masks.get(label) ?? new Map()).set(plane, mask));
      if (pixels)
        pooled.set(label, pool(pooled.get(label), maskProperties(mask, { image: pixels }).intensity, mask.area));
    }
  }
  return [...masks]
    .sort(([a], [b]) => a - b)
    .map(([label, byPlane]) => {
      const p: VolumeProperties = volumeProperties(byPlane, scale);
      return {
        label,
        [`volume_${unit}3`]: p.volume,
        ...(pixelSize && { volume_px: p.voxels }),
        ...positions(['z', 'y', 'x'], p.centroid, scale, unit, pixelSize),
        ...box(['z', 'y', 'x'], p.bbox),
        [`equivalent_diameter_${unit}`]: p.equivalentDiameter,
        [`surface_area_${unit}2`]: p.surface,
        ...intensities((pooled.get(label) ?? []).map(finish), image),
        ...scores(facts.get(label)),
      };
    });
}

/** 'px', or the unit in ASCII. */
function unitOf(pixelSize: PixelSize | undefined): string {
  return pixelSize ? canonicalUnit(pixelSize.unit).replace('µ', 'u').replace('Å', 'angstrom') : 'px';
}

function positions(
  axes: readonly string[],
  centroid: readonly number[],
  scale: readonly number[],
  unit: string,
  pixelSize: PixelSize | undefined,
): Row {
  const inPixels = axes.map((axis, i) => [`centroid_${axis}_px`, itemAt(centroid, i)] as const);
  const physical = axes.map((axis, i) => [`centroid_${axis}_${unit}`, itemAt(centroid, i) * itemAt(scale, i)] as const);
  return Object.fromEntries(pixelSize ? [...inPixels, ...physical] : inPixels);
}

function box(axes: readonly string[], bounds: readonly number[]): Row {
  return Object.fromEntries(
    ['min', 'max'].flatMap((end, k) => axes.map((axis, i) => [`bbox_${end}_${axis}_px`, bounds[k * axes.length + i]])),
  );
}

function intensities(values: readonly IntensityProperties[], image: MeasuredImage | undefined): Row {
  return Object.fromEntries(
    values.flatMap(({ mean, min, max, std }, i) => {
      const name = image?.channels[i] || `channel_${i}`;
      return Object.entries({ mean, min, max, std }).map(([what, value]) => [`${what}_intensity_${name}`, value]);
    }),
  );
}

const scores = (facts: ObjectFacts | undefined): Row => ({
  ...(facts?.predictedIou !== undefined && { predicted_iou: facts.predictedIou }),
  ...(facts?.stability !== undefined && { stability_score: facts.stability }),
  ...(facts?.name !== undefined && { name: facts.name }),
  ...(facts?.objectClass !== undefined && { class: facts.objectClass, class_name: facts.className }),
  ...(facts?.comment !== undefined && { comment: facts.comment }),
  ...(facts?.flagged && { flagged: 1 }),
});

/** Statistics of the planes of an object seen so far, to be merged (Chan et al. 1979). */
interface Pool {
  count: number;
  mean: number;
  squares: number;
  min: number;
  max: number;
}

function pool(before: Pool[] | undefined, plane: readonly IntensityProperties[], pixels: number): Pool[] {
  return plane.map(({ mean, min, max, std }, i) => {
    const a = before?.[i] ?? { count: 0, mean: 0, squares: 0, min: Infinity, max: -Infinity };
    if (Number.isNaN(mean)) return a;
    const count = a.count + pixels;
    const apart = mean - a.mean;
    return {
      count,
      mean: a.mean + (apart * pixels) / count,
      squares: a.squares + std * std * pixels + (apart * apart * a.count * pixels) / count,
      min: Math.min(a.min, min),
      max: Math.max(a.max, max),
    };
  });
}

const finish = ({ count, mean, squares, min, max }: Pool): IntensityProperties =>
  count === 0
    ? { mean: Number.NaN, min: Number.NaN, max: Number.NaN, std: Number.NaN }
    : { mean, min, max, std: Math.sqrt(squares / count) };

function cell(value: number | string | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '';
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
