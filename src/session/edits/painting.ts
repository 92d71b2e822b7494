import { SamError } from '../../errors.js';
import type { YX } from '../../ndimage/array.js';
import type { Mask } from '../../ndimage/mask.js';
import { subtractMasks, unionMasks } from '../../ndimage/mask-sets.js';
import { rasterizePolygon, rasterizeStroke } from '../../ndimage/rasterize.js';
import { EMPTY_MASK, maskContains, maskFromBitmap, maskToBitmap } from '../../ndimage/rle.js';
import type { Edit } from '../actions.js';
import { annotatorKind } from '../annotator.js';
import { annotatedMask, changeObjects, needImage, objectAt, objectsInPlane, withMasks } from '../layers.js';
import type { ObjectLayerName, ObjectRecord, SessionState } from '../state.js';

/**
 * Correction by hand, in the visible plane. A stroke works on the current object if there is one; else on the committed
 * object under its first point; else the brush begins a new current object. Committed objects stay disjoint: painting
 * one takes pixels from others only in preserve mode `none`.
 */
export interface Stroke {
  readonly tool: 'brush' | 'eraser' | 'fill';
  /** (y, x) positions; for `fill` the first one counts. */
  readonly path: readonly YX[];
  /** In pixels. */
  readonly radius: number;
}

export interface Target {
  readonly layer: ObjectLayerName;
  readonly id: number;
}

export function paint(stroke: Stroke, target?: Target): Edit {
  const title = { brush: 'Paint', eraser: 'Erase', fill: 'Fill hole' }[stroke.tool];
  return {
    title,
    change(state) {
      const { size } = needImage(state);
      const [start] = stroke.path;
      if (start === undefined || !stroke.path.flat().every(Number.isFinite))
        throw new SamError('invalid_argument', 'A stroke needs at least one (y, x) position made of numbers.');
      if (stroke.tool !== 'fill' && !(stroke.radius > 0))
        throw new SamError('invalid_argument', `The brush radius is ${stroke.radius}; it must be above 0 pixels.`);
      const { layer, id } = target ?? targetOf(state, stroke, start);
      const old = state.layers[layer].objects.get(id)?.masks.get(state.plane) ?? EMPTY_MASK;
      if (stroke.tool === 'fill') return withMask(state, layer, id, unionMasks(old, holeAt(old, start)));
      const touched = rasterizeStroke(stroke.path, stroke.radius, size);
      return withMask(
        state,
        layer,
        id,
        stroke.tool === 'brush' ? unionMasks(old, touched) : subtractMasks(old, touched),
      );
    },
  };
}

/** Replaces the object's mask in the visible plane by what the rings enclose. */
export function editPolygon(layer: ObjectLayerName, id: number, rings: readonly (readonly YX[])[]): Edit {
  return {
    title: 'Edit outline',
    change(state) {
      const { size } = needImage(state);
      if (!state.layers[layer].objects.has(id))
        throw new SamError('not_found', `There is no object ${id} in ${layer}.`);
      if (!rings.every((ring) => ring.every((at) => at.every(Number.isFinite))))
        throw new SamError('invalid_argument', 'The outline has a point that is not made of numbers.');
      const mask = rasterizePolygon(rings, size);
      if (mask.area === 0)
        throw new SamError('invalid_argument', 'The outline encloses no pixel. To remove the object, delete it.');
      return withMask(state, layer, id, mask);
    },
  };
}

function targetOf(state: SessionState, stroke: Stroke, start: YX): Target {
  const tracking = annotatorKind(state) === 'tracking';
  const { current_object } = state.layers;
  const latest = [...current_object.objects.keys()].at(-1);
  // While tracks are annotated, strokes belong to the current one.
  const current = tracking && latest !== undefined ? state.currentTrack : latest;
  if (current !== undefined) return { layer: 'current_object', id: current };
  const { committed_objects } = state.layers;
  const committed = stroke.tool === 'fill' ? enclosing(state, start) : objectAt(committed_objects, state.plane, start);
  if (committed > 0) return { layer: 'committed_objects', id: committed };
  if (stroke.tool === 'brush') return { layer: 'current_object', id: state.currentTrack };
  throw new SamError('not_found', `There is no object to ${stroke.tool === 'fill' ? 'fill' : 'erase'} at this place.`);
}

/** The committed object that has a hole at the position. */
function enclosing(state: SessionState, at: YX): number {
  let found = 0;
  for (const [record, mask] of objectsInPlane(state.layers.committed_objects, state.plane)) {
    const [top, left, bottom, right] = mask.box;
    if (at[0] < top || at[0] >= bottom || at[1] < left || at[1] >= right) continue;
    if (tryHole(mask, at)) found = record.id;
  }
  return found;
}

function holeAt(mask: Mask, at: YX): Mask {
  const hole = tryHole(mask, at);
  if (!hole) throw new SamError('invalid_argument', 'There is no hole here: fill works inside a closed outline.');
  return hole;
}

/** The 4-connected background region at (y, x) if the object encloses it. */
function tryHole(mask: Mask, at: YX): Mask | undefined {
  const [top, left, bottom, right] = mask.box;
  const height = bottom - top;
  const width = right - left;
  const y = Math.floor(at[0]) - top;
  const x = Math.floor(at[1]) - left;
  if (y < 0 || y >= height || x < 0 || x >= width || maskContains(mask, at[0], at[1])) return undefined;
  const bitmap = maskToBitmap(mask, [height, width], [top, left]);
  const region = new Uint8Array(bitmap.length);
  const stack = new Int32Array(bitmap.length);
  let depth = 0;
  const push = (p: number) => {
    if (bitmap[p] || region[p]) return;
    region[p] = 1;
    stack[depth++] = p;
  };
  push(y * width + x);
  while (depth > 0) {
    const p = stack[--depth]!;
    const column = p % width;
    if (column === 0 || column === width - 1 || p < width || p >= bitmap.length - width) return undefined;
    push(p - 1);
    push(p + 1);
    push(p - width);
    push(p + width);
  }
  return maskFromBitmap(region, [height, width], [top, left]);
}

function withMask(state: SessionState, layer: ObjectLayerName, id: number, mask: Mask): SessionState {
  const record: ObjectRecord = state.layers[layer].objects.get(id) ?? {
    id,
    masks: new Map(),
    prompts: [],
    origin: 'painted',
  };
  const changes = new Map<number, ObjectRecord | undefined>();
  let allowed = mask;
  if (layer === 'committed_objects')
    for (const [other, covered] of objectsInPlane(state.layers.committed_objects, state.plane)) {
      if (other.id === id) continue;
      if (state.settings.preserveMode !== 'none') allowed = subtractMasks(allowed, covered);
      else {
        const rest = subtractMasks(covered, mask);
        if (rest.area < covered.area)
          changes.set(other.id, withMasks(other, new Map(other.masks).set(state.plane, rest)));
      }
    }
  const before = record.masks.get(state.plane);
  if (allowed.area === (before?.area ?? 0) && (!before || subtractMasks(allowed, before).area === 0)) return state;
  const annotated = { ...record, ...annotatedMask(record, state.plane, allowed) };
  changes.set(id, withMasks(annotated, annotated.masks));
  const { candidates: _, ...rest } = state;
  const layers = { ...state.layers, [layer]: changeObjects(state.layers[layer], changes) };
  return { ...(layer === 'current_object' ? rest : state), layers };
}
