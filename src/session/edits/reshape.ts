import { SamError } from '../../errors.js';
import { entryOf } from '../../items.js';
import type { Size, YX } from '../../ndimage/array.js';
import type { Mask } from '../../ndimage/mask.js';
import { intersectionArea, subtractMasks, unionMasks } from '../../ndimage/mask-sets.js';
import { rasterizeStroke } from '../../ndimage/rasterize.js';
import { fillMaskHoles, growMask, shrinkMask, smoothMask } from '../../ndimage/reshape-mask.js';
import { masksEqual } from '../../ndimage/rle.js';
import { type Seed, splitByLine, splitBySeeds } from '../../ndimage/split-masks.js';
import type { Edit } from '../actions.js';
import { annotatorKind } from '../annotator.js';
import { changeObjects, maxId, needImage, objectAt, objectsInPlane } from '../layers.js';
import type { ObjectLayerName, ObjectRecord, SessionState } from '../state.js';
import { withoutCurrent } from './closing.js';
import { withDismissed } from './dismissed.js';
import { type ObjectSet, objectsToEdit, withSelection } from './selection.js';

/**
 * Objects corrected as a whole, in every layer and in all their planes: joined, cut, made whole, smooth, larger, smaller.
 * What a person made this way is annotated, not projected. Committed objects stay disjoint: none takes pixels of another.
 */
export type Reshaping = 'fill' | 'smooth' | 'grow' | 'shrink';

const SHAPES: Readonly<Record<Reshaping, { title: string; change(mask: Mask, size: Size, pixels: number): Mask }>> = {
  fill: { title: 'Fill holes', change: fillMaskHoles },
  smooth: { title: 'Smooth', change: (mask, size) => smoothMask(mask, size) },
  grow: { title: 'Grow', change: (mask, size, pixels) => growMask(mask, pixels, size) },
  shrink: { title: 'Shrink', change: (mask, size, pixels) => shrinkMask(mask, pixels, size) },
};

/** @param pixels how far to grow or shrink, 0.5 to 100 */
export function reshapeObjects(how: Reshaping, pixels = 1, given?: ObjectSet): Edit {
  const { title, change } = SHAPES[how];
  return {
    title,
    change(state) {
      const { size } = needImage(state);
      if (!(pixels >= 0.5 && pixels <= 100))
        throw new SamError('invalid_argument', `Got ${pixels} pixels to ${how}; expected 0.5 to 100.`);
      const target = objectsToEdit(state, given);
      let now = state;
      for (const id of target.ids) {
        const record = entryOf(now.layers[target.layer].objects, id);
        const masks = new Map<number, Mask>();
        for (const [plane, mask] of record.masks) {
          const next = withoutOthers(now, target.layer, id, plane, change(mask, size, pixels));
          if (next.area > 0) masks.set(plane, masksEqual(next, mask) ? mask : next);
        }
        if (masks.size === 0)
          throw new SamError('invalid_argument', `Nothing would be left of object ${id}. To remove it, delete it.`);
        if (masks.size === record.masks.size && [...masks].every(([plane, mask]) => record.masks.get(plane) === mask))
          continue;
        now = withObjects(now, target.layer, [[id, annotated(record, masks)]]);
      }
      return now;
    },
  };
}

/** Makes one object of several, under the lowest of their ids. */
export function mergeObjects(given?: ObjectSet): Edit {
  return {
    title: 'Merge objects',
    change(state) {
      needNoTracks(state, 'merge');
      const { layer, ids } = objectsToEdit(state, given);
      const [first, ...others] = [...ids].sort((a, b) => a - b);
      if (first === undefined || others.length === 0)
        throw new SamError(
          'invalid_argument',
          'Choose two or more objects to merge: Shift+click them, or drag over them with Shift.',
        );
      const base = layer === 'committed_objects' ? putAside(state, ids) : state;
      const { objects } = base.layers[layer];
      const masks = new Map<number, Mask>();
      for (const id of ids)
        for (const [plane, mask] of objects.get(id)?.masks ?? []) {
          const known = masks.get(plane);
          masks.set(plane, known ? unionMasks(known, mask) : mask);
        }
      const merged = made(entryOf(objects, first), first, masks);
      const after = withObjects(base, layer, [[first, merged], ...others.map((id) => [id, undefined] as const)]);
      const kept = layer === 'auto_segmentation' ? withDismissed(after, others) : after;
      return withSelection(withoutPrompts(kept, layer), { layer, ids: [first] });
    },
  };
}

/** Cuts the object under the line, in all its planes. @param path (y, x) in the visible plane */
export function splitAlong(path: readonly YX[], given?: ObjectSet): Edit {
  return {
    title: 'Split object',
    change(state) {
      const { size } = needImage(state);
      if (path.length < 2 || !path.flat().every(Number.isFinite))
        throw new SamError('invalid_argument', 'A line needs at least two (y, x) positions made of numbers.');
      const { layer, id } = only(given) ?? underLine(state, path, size);
      return split(
        state,
        layer,
        id,
        ({ masks }) => splitByLine(masks, path, size),
        'Draw the line across it, from edge to edge.',
      );
    },
  };
}

/** Cuts an object between two or more places in it. */
export function splitBetween(places: readonly Seed[], given?: ObjectSet): Edit {
  return {
    title: 'Split object',
    change(state) {
      needImage(state);
      const [place] = places;
      if (place === undefined || places.length < 2)
        throw new SamError('invalid_argument', 'Two places or more are needed to split an object.');
      const { layer, id } = only(given) ?? underPoint(state, place);
      return split(state, layer, id, ({ masks }) => splitBySeeds(masks, places), 'Click two different places in it.');
    },
  };
}

/** With a stroke of the tool Split: across an object it cuts; where it does not move it marks one part, and then the other. */
export function splitByHand(path: readonly YX[]): Edit {
  return {
    title: 'Split object',
    change(state) {
      const { splitSeed, ...rest } = state;
      const [start] = path;
      if (start === undefined || !path.flat().every(Number.isFinite))
        throw new SamError('invalid_argument', 'A stroke needs at least one (y, x) position made of numbers.');
      const reach = Math.max(...path.map(([y, x]) => Math.hypot(y - start[0], x - start[1])));
      if (reach > CLICK_PX) return splitAlong(path).change(rest);
      const here: Seed = { plane: state.plane, at: start };
      const object = underPoint(state, here);
      if (splitSeed && objectAt(state.layers[object.layer], splitSeed.plane, splitSeed.at) === object.id)
        return splitBetween([splitSeed, here]).change(rest);
      return { ...rest, splitSeed: here };
    },
  };
}

/** The farthest that a hand moves when it clicks, in pixels of the image. */
const CLICK_PX = 2;

function split(
  state: SessionState,
  layer: ObjectLayerName,
  id: number,
  cut: (record: ObjectRecord) => readonly ReadonlyMap<number, Mask>[] | undefined,
  advice: string,
): SessionState {
  needNoTracks(state, 'split');
  const base = layer === 'committed_objects' ? putAside(state, [id]) : state;
  const record = base.layers[layer].objects.get(id);
  if (!record) throw new SamError('not_found', `There is no object ${id} in ${layer}.`);
  const parts = cut(record);
  if (!parts) throw new SamError('invalid_argument', `Object ${id} was not split. ${advice}`);
  const first = maxId(base.layers[layer]) + 1;
  const records = parts.map((masks, k) => made(record, k === 0 ? id : first + k - 1, masks));
  const after = withObjects(
    base,
    layer,
    records.map((part) => [part.id, part] as const),
  );
  return withSelection(withoutPrompts(after, layer), { layer, ids: records.map((part) => part.id) });
}

/** The object of the topmost layer that has most of the line. */
function underLine(state: SessionState, path: readonly YX[], size: Size) {
  const line = rasterizeStroke(path, 1, size);
  for (const layer of TOP_DOWN) {
    let best: { layer: ObjectLayerName; id: number; pixels: number } | undefined;
    for (const [{ id }, mask] of objectsInPlane(state.layers[layer], state.plane)) {
      const pixels = intersectionArea(mask, line);
      if (pixels > (best?.pixels ?? 0)) best = { layer, id, pixels };
    }
    if (best) return best;
  }
  throw new SamError('not_found', 'There is no object under this line.');
}

function underPoint(state: SessionState, { plane, at }: Seed) {
  for (const layer of TOP_DOWN) {
    const id = objectAt(state.layers[layer], plane, at);
    if (id > 0) return { layer, id };
  }
  throw new SamError('not_found', 'There is no object at this place.');
}

const TOP_DOWN = ['current_object', 'auto_segmentation', 'committed_objects'] as const;

function only(given: ObjectSet | undefined): { layer: ObjectLayerName; id: number } | undefined {
  const id = given?.ids[0];
  return given && id !== undefined ? { layer: given.layer, id } : undefined;
}

function needNoTracks(state: SessionState, what: string): void {
  if (annotatorKind(state) === 'tracking')
    throw new SamError(
      'unsupported',
      `Tracks are ${what === 'split' ? 'split' : 'merged'} in their tree, under Tracks.`,
    );
}

/** If one of the committed objects is being edited, its copy is given up: it is another object now. */
function putAside(state: SessionState, ids: readonly number[]): SessionState {
  return state.editing !== undefined && ids.includes(state.editing) ? withoutCurrent(state) : state;
}

/** What prompts say of the current object is no longer what it is. */
function withoutPrompts(state: SessionState, layer: ObjectLayerName): SessionState {
  return layer === 'current_object' && state.prompts.length > 0 ? { ...state, prompts: [] } : state;
}

function withoutOthers(state: SessionState, layer: ObjectLayerName, id: number, plane: number, mask: Mask): Mask {
  if (layer !== 'committed_objects') return mask;
  let rest = mask;
  for (const [other, covered] of objectsInPlane(state.layers[layer], plane))
    if (other.id !== id) rest = subtractMasks(rest, covered);
  return rest;
}

function withObjects(
  state: SessionState,
  layer: ObjectLayerName,
  changes: readonly (readonly [number, ObjectRecord | undefined])[],
): SessionState {
  const { candidates: _, ...rest } = state;
  const layers = { ...state.layers, [layer]: changeObjects(state.layers[layer], new Map(changes)) };
  return { ...(layer === 'current_object' ? rest : state), layers };
}

function annotated({ projected: _, corrected: __, ...record }: ObjectRecord, masks: ReadonlyMap<number, Mask>) {
  return { ...record, masks };
}

/** A new object of an old one's making: neither prompts nor scores speak of it any more. */
function made(of: ObjectRecord, id: number, masks: ReadonlyMap<number, Mask>): ObjectRecord {
  const { predictedIou: _, stability: __, trackEnd: ___, ...record } = annotated(of, masks);
  return { ...record, id, prompts: [] };
}
