import { SamError } from '../../errors.js';
import type { YXYX } from '../../ndimage/array.js';
import type { Mask } from '../../ndimage/mask.js';
import { cropMask } from '../../ndimage/mask-sets.js';
import type { Edit } from '../actions.js';
import { objectsInPlane } from '../layers.js';
import type { ObjectLayerName, SessionState } from '../state.js';

/** Which objects several commands work on at once: chosen in the viewer or in the table, of one layer at a time. */
export interface ObjectSet {
  readonly layer: ObjectLayerName;
  readonly ids: readonly number[];
}

export type HowToSelect = 'replace' | 'add' | 'toggle';

/** Those of the selection that are still there. */
export function selectedObjects({ selected, layers }: SessionState): ObjectSet {
  const layer = selected?.layer ?? 'committed_objects';
  return { layer, ids: selected?.ids.filter((id) => layers[layer].objects.has(id)) ?? [] };
}

/** The selection, else the current object. @throws SamError `not_found` if there is neither */
export function objectsToEdit(state: SessionState, given?: ObjectSet): ObjectSet {
  if (given) return checked(state, given);
  const selected = selectedObjects(state);
  if (selected.ids.length > 0) return selected;
  const current = [...state.layers.current_object.objects.keys()];
  if (current.length > 0) return { layer: 'current_object', ids: current };
  throw new SamError('not_found', 'Choose an object first: Shift+click it, or take the tool Select.');
}

export function selectObjects({ layer, ids }: ObjectSet, how: HowToSelect = 'replace'): Edit {
  return {
    title: 'Select',
    change(state) {
      checked(state, { layer, ids });
      const before = selectedObjects(state);
      const known = how !== 'replace' && before.layer === layer ? before.ids : [];
      const both = how === 'toggle' && ids.every((id) => known.includes(id));
      const next = both ? known.filter((id) => !ids.includes(id)) : [...new Set([...known, ...ids])];
      return withSelection(state, { layer, ids: next });
    },
  };
}

/** Objects of the visible plane that lie at least half inside the box; automatic ones if there are any, else committed. */
export function selectInBox(box: YXYX, how: HowToSelect = 'add'): Edit {
  return {
    title: 'Select',
    change(state) {
      const [y0, x0, y1, x1] = [
        Math.floor(Math.min(box[0], box[2])),
        Math.floor(Math.min(box[1], box[3])),
        Math.ceil(Math.max(box[0], box[2])),
        Math.ceil(Math.max(box[1], box[3])),
      ];
      for (const layer of ['auto_segmentation', 'committed_objects'] as const) {
        const inside = (mask: Mask) => 2 * cropMask(mask, [y0, x0, y1, x1]).area >= mask.area;
        const ids = [...objectsInPlane(state.layers[layer], state.plane)].filter(([, mask]) => inside(mask));
        if (ids.length === 0) continue;
        return selectObjects({ layer, ids: ids.map(([{ id }]) => id) }, how).change(state);
      }
      return how === 'replace' ? withSelection(state, undefined) : state;
    },
  };
}

/** The same selection is the same state. */
export function withSelection(state: SessionState, next: ObjectSet | undefined): SessionState {
  const { selected, ...rest } = state;
  if (!next || next.ids.length === 0) return selected ? rest : state;
  const same = selected?.layer === next.layer && `${selected.ids}` === `${next.ids}`;
  return same ? state : { ...state, selected: next };
}

function checked(state: SessionState, set: ObjectSet): ObjectSet {
  const missing = set.ids.find((id) => !state.layers[set.layer].objects.has(id));
  if (missing === undefined) return set;
  throw new SamError('not_found', `There is no object ${missing} in ${set.layer}.`, {
    details: { layer: set.layer, id: missing },
  });
}
