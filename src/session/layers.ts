import { SamError } from '../errors.js';
import type { LabelImage, Size, YX } from '../ndimage/array.js';
import { threeAxes } from '../ndimage/label.js';
import type { Mask } from '../ndimage/mask.js';
import { maskContains, masksFromLabels, paintMask } from '../ndimage/rle.js';
import type { ImageInfo, ObjectLayer, ObjectLayerName, ObjectRecord, SessionState } from './state.js';

/** Object layers: immutable maps of records by ascending id, painted to label images only when somebody asks. */

export const EMPTY_LAYER: ObjectLayer = { objects: new Map() };

export const NO_OBJECTS: SessionState['layers'] = {
  current_object: EMPTY_LAYER,
  auto_segmentation: EMPTY_LAYER,
  committed_objects: EMPTY_LAYER,
};

export function layerOf(records: Iterable<ObjectRecord>): ObjectLayer {
  const sorted = [...records].sort((a, b) => a.id - b.id);
  return sorted.length === 0 ? EMPTY_LAYER : { objects: new Map(sorted.map((record) => [record.id, record])) };
}

/** The layer with some objects set (a record) or removed (undefined); the same layer if nothing changes. */
export function changeObjects(layer: ObjectLayer, changes: ReadonlyMap<number, ObjectRecord | undefined>): ObjectLayer {
  const objects = new Map(layer.objects);
  let changed = false;
  for (const [id, record] of changes) {
    if (objects.get(id) === record) continue;
    changed = true;
    if (record) objects.set(id, record);
    else objects.delete(id);
  }
  return changed ? layerOf(objects.values()) : layer;
}

export function maxId(layer: ObjectLayer): number {
  let max = 0;
  for (const id of layer.objects.keys()) max = Math.max(max, id);
  return max;
}

/** What the view shows as this layer: work that is arriving hides what is there. */
export function shownLayer(state: SessionState, name: ObjectLayerName): ObjectLayer {
  return state.arriving?.[name] ?? state.layers[name];
}

/** Objects that have pixels in the plane, in painting order. */
export function* objectsInPlane(layer: ObjectLayer, plane: number): Generator<[ObjectRecord, Mask]> {
  for (const record of layer.objects.values()) {
    const mask = record.masks.get(plane);
    if (mask) yield [record, mask];
  }
}

/** Id of the topmost object at pixel (y, x) of the plane; 0 if there is none. */
export function objectAt(layer: ObjectLayer, plane: number, at: YX): number {
  let found = 0;
  for (const [record, mask] of objectsInPlane(layer, plane)) if (maskContains(mask, at[0], at[1])) found = record.id;
  return found;
}

export function areaOf(record: ObjectRecord): number {
  let area = 0;
  for (const mask of record.masks.values()) area += mask.area;
  return area;
}

/** The record without its empty masks; undefined if none is left. */
export function withMasks(record: ObjectRecord, masks: ReadonlyMap<number, Mask>): ObjectRecord | undefined {
  const filled = new Map([...masks].filter(([, mask]) => mask.area > 0));
  if (masks === record.masks && filled.size === masks.size && filled.size > 0) return record;
  return filled.size === 0 ? undefined : { ...record, masks: filled };
}

/** A record's masks with one that a person decided on: from now on that plane is annotated, not projected. */
export function annotatedMask(
  { masks, projected }: ObjectRecord,
  plane: number,
  mask: Mask,
): Pick<ObjectRecord, 'masks' | 'projected'> {
  const changed = { masks: new Map(masks).set(plane, mask) };
  if (!projected?.has(plane)) return changed;
  return { ...changed, projected: new Set([...projected].filter((other) => other !== plane)) };
}

const painted = new WeakMap<ObjectLayer, Map<string, LabelImage>>();

/** The plane as a label image [H, W]; painted once per layer and plane. Not to be written to. */
export function paintPlane(layer: ObjectLayer, plane: number, size: Size): LabelImage {
  const planes = painted.get(layer) ?? new Map<string, LabelImage>();
  painted.set(layer, planes);
  const key = `${plane}:${size}`;
  const known = planes.get(key);
  if (known) return known;
  const data = new Uint32Array(size[0] * size[1]);
  const labels: LabelImage = { data, shape: [size[0], size[1]] };
  for (const [record, mask] of objectsInPlane(layer, plane)) paintMask(labels, mask, record.id);
  planes.set(key, labels);
  return labels;
}

/** The whole layer as new labels: [H, W] of a single plane, [planes, H, W] of more. */
export function paintLayer(layer: ObjectLayer, { size: [height, width], planes }: ImageInfo): LabelImage {
  const labels: LabelImage = {
    data: new Uint32Array(planes * height * width),
    shape: planes === 1 ? [height, width] : [planes, height, width],
  };
  for (const record of layer.objects.values())
    for (const [plane, mask] of record.masks) paintMask(labels, mask, record.id, { plane });
  return labels;
}

/** @throws SamError `invalid_argument` unless labels have the shape of the image: [H, W], or [planes, H, W] of a stack */
export function checkLabelShape(shape: readonly number[], { size, planes }: ImageInfo): void {
  const expected = planes === 1 ? [...size] : [planes, ...size];
  if (String(shape) === String(expected)) return;
  throw new SamError('invalid_argument', `The labels have the shape [${shape}]; the image has [${expected}].`, {
    details: { got: shape, expected },
  });
}

/** Whether nothing was done on the image yet, so that objects from elsewhere can begin it. */
export function isUntouched({ layers, prompts }: SessionState): boolean {
  return prompts.length === 0 && Object.values(layers).every(({ objects }) => objects.size === 0);
}

/** The objects of a label image, [H, W] or [planes, H, W]; the inverse of `paintLayer`. */
export function recordsFromLabels(labels: LabelImage, origin: ObjectRecord['origin'] = 'loaded'): ObjectRecord[] {
  const [planes] = threeAxes(labels.shape);
  const masks = new Map<number, Map<number, Mask>>();
  for (let plane = 0; plane < planes; plane++)
    for (const [id, mask] of masksFromLabels(labels, plane)) {
      const known = masks.get(id) ?? new Map<number, Mask>();
      masks.set(id, known.set(plane, mask));
    }
  return [...masks].map(([id, ofPlanes]) => ({ id, masks: ofPlanes, prompts: [], origin }));
}

export function needImage(state: SessionState): ImageInfo {
  if (!state.image) throw new SamError('no_image', 'No image is open. Open an image first.');
  return state.image;
}
