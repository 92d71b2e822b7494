import { annotatorKind } from '../session/annotator.js';
import { objectsInPlane, shownLayer } from '../session/layers.js';
import type { ObjectLayerName, SessionState } from '../session/state.js';
import { CURRENT_COLOR, colorOf, SELECTED_COLOR } from './colors.js';
import type { SectionObject } from './sections/section-objects.js';
import type { ViewObject } from './viewer.js';

/** Objects in their colours, as the eye sees them. The one being corrected is shown as the current object only. */

/** Of a layer, in the visible plane. */
export function viewObjects(state: SessionState, name: ObjectLayerName, shuffle: number): ViewObject[] {
  const objects: ViewObject[] = [];
  const selected = new Set(state.selected?.layer === name ? state.selected.ids : []);
  for (const [{ id }, mask] of objectsInPlane(shownLayer(state, name), state.plane))
    if (isShown(state, name, id))
      objects.push({ id, color: selected.has(id) ? SELECTED_COLOR : colorIn(state, name, id, shuffle), mask });
  return objects;
}

/** Committed objects and above them those in work, in all planes. */
export function* sectionObjects(state: SessionState, shuffle: number): Iterable<SectionObject> {
  for (const name of ['committed_objects', 'current_object'] as const)
    for (const { id, masks } of shownLayer(state, name).objects.values())
      if (isShown(state, name, id)) yield { color: colorIn(state, name, id, shuffle), masks };
}

function isShown({ editing }: SessionState, name: ObjectLayerName, id: number): boolean {
  return name !== 'committed_objects' || id !== editing;
}

function colorIn(state: SessionState, name: ObjectLayerName, id: number, shuffle: number): string {
  const single =
    name === 'current_object' && state.layers.current_object.objects.size === 1 && annotatorKind(state) !== 'tracking';
  const chosen = name === 'auto_segmentation' && id === state.chosenAutomatic;
  return single || chosen ? CURRENT_COLOR : colorOf(id, shuffle);
}
