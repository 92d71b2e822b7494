import type { YX, YXYX } from '../../ndimage/array.js';
import type { Seed } from '../../ndimage/split-masks.js';
import {
  mergeObjects,
  type Reshaping,
  reshapeObjects,
  splitAlong,
  splitBetween,
  splitByHand,
} from '../edits/reshape.js';
import {
  type HowToSelect,
  type ObjectSet,
  selectedObjects,
  selectInBox,
  selectObjects,
  withSelection,
} from '../edits/selection.js';
import type { ObjectLayerName, SessionState } from '../state.js';
import { command, needsImage } from './command.js';

/** Commands that choose objects, and those that correct them as a whole, in every layer and in all planes. */

const needsObjects = (state: SessionState) => {
  const some = selectedObjects(state).ids.length > 0 || state.layers.current_object.objects.size > 0;
  return needsImage(state) ?? (some ? undefined : 'Choose an object first: Shift+click it.');
};

/** A command that reshapes the selection, or the objects that it is given. */
function reshaping<Id extends string>(id: Id, how: Reshaping, title: string, key: string, tooltip: string) {
  return command<{ objects?: ObjectSet; pixels?: number } | undefined>({
    id,
    title,
    group: 'objects',
    scope: 'session',
    keys: [key],
    tooltip,
    unavailable: needsObjects,
    refusesItself: true,
    makesStep: true,
    run: (session, { objects, pixels } = {}) => {
      const before = session.state.layers;
      session.apply(reshapeObjects(how, pixels, objects));
      if (session.state.layers === before) session.notify({ level: 'info', text: UNCHANGED[how] });
    },
  });
}

/** Said where nothing came of it. */
const UNCHANGED: Readonly<Record<Reshaping, string>> = {
  fill: 'Nothing changed: there are no holes.',
  smooth: 'Nothing changed: the outline has no bumps or notches of a few pixels.',
  grow: 'Nothing changed: there is no room to grow.',
  shrink: 'Nothing changed: by so little it does not shrink.',
};

const allOf = (state: SessionState, layer: ObjectLayerName): ObjectSet => ({
  layer,
  ids: [...state.layers[layer].objects.values()].filter(({ masks }) => masks.has(state.plane)).map(({ id }) => id),
});

/** All of the visible plane. */
const selectAll = (state: SessionState) =>
  selectObjects(
    allOf(state, state.layers.auto_segmentation.objects.size > 0 ? 'auto_segmentation' : 'committed_objects'),
  );

export const EDIT_COMMANDS = {
  select_objects: command<ObjectSet & { how?: HowToSelect }>({
    id: 'select_objects',
    title: 'Select objects',
    group: 'objects',
    scope: 'session',
    needsArguments: true,
    gesture: 'Shift+click an object',
    tooltip: 'Choose objects to merge, split, reshape, classify or delete; once more takes an object out again.',
    unavailable: needsImage,
    predict: (state, { how, ...set }) => selectObjects(set, how).change(state),
    run: (session, { how, ...set }) => void session.apply(selectObjects(set, how)),
  }),
  select_in_box: command<{ box: YXYX; how?: HowToSelect }>({
    id: 'select_in_box',
    title: 'Select objects in a box',
    group: 'objects',
    scope: 'session',
    needsArguments: true,
    gesture: 'Drag with Shift held',
    tooltip: 'Choose the objects that lie at least half inside of the box.',
    unavailable: needsImage,
    predict: (state, { box, how }) => selectInBox(box, how).change(state),
    run: (session, { box, how }) => void session.apply(selectInBox(box, how)),
  }),
  select_all: command({
    id: 'select_all',
    title: 'Select all',
    group: 'objects',
    scope: 'session',
    keys: ['Ctrl+A'],
    tooltip: 'Choose all objects of the visible plane: the automatic ones if there are any, else the committed ones.',
    unavailable: needsImage,
    predict: (state) => selectAll(state).change(state),
    run: (session) => void session.apply(selectAll(session.state)),
  }),
  select_none: command({
    id: 'select_none',
    title: 'Select none',
    group: 'objects',
    scope: 'session',
    gesture: 'Escape, while nothing is computed',
    tooltip: 'Give up the selection.',
    predict: (state) => withSelection(state, undefined),
    run: (session) => void session.apply({ title: 'Select', change: (state) => withSelection(state, undefined) }),
  }),
  merge_objects: command<{ objects?: ObjectSet } | undefined>({
    id: 'merge_objects',
    title: 'Merge',
    group: 'objects',
    scope: 'session',
    keys: ['J'],
    tooltip: 'Join the selected objects to one, under the lowest of their numbers.',
    unavailable: (state) =>
      needsImage(state) ??
      (selectedObjects(state).ids.length > 1 ? undefined : 'Choose two or more objects: Shift+click them.'),
    refusesItself: true,
    makesStep: true,
    run: (session, options) => void session.apply(mergeObjects(options?.objects)),
  }),
  split_by_hand: command<{ path: readonly YX[] }>({
    id: 'split_by_hand',
    title: 'Split object',
    group: 'objects',
    scope: 'session',
    needsArguments: true,
    gesture: 'Tool Split: drag a line across it, or click both parts',
    tooltip: 'Cut an object in two: along a line, or between two places at its neck. In a volume in all its slices.',
    unavailable: needsImage,
    makesStep: true,
    run: (session, { path }) => void session.apply(splitByHand(path)),
  }),
  split_object: command<{ objects?: ObjectSet } & ({ path: readonly YX[] } | { places: readonly Seed[] })>({
    id: 'split_object',
    title: 'Split object',
    group: 'objects',
    scope: 'session',
    needsArguments: true,
    tooltip: 'Cut an object along a line, or between two or more places in it.',
    unavailable: needsImage,
    makesStep: true,
    run: (session, { objects, ...how }) =>
      void session.apply('path' in how ? splitAlong(how.path, objects) : splitBetween(how.places, objects)),
  }),
  fill_holes: reshaping(
    'fill_holes',
    'fill',
    'Fill holes',
    'H',
    'Fill all holes of the selected objects, slice by slice.',
  ),
  smooth_objects: reshaping(
    'smooth_objects',
    'smooth',
    'Smooth',
    'U',
    'Take bumps and notches of a few pixels off the selected objects.',
  ),
  grow_objects: reshaping(
    'grow_objects',
    'grow',
    'Grow',
    'W',
    'Make the selected objects larger by a pixel all around; committed ones stop at their neighbours.',
  ),
  shrink_objects: reshaping(
    'shrink_objects',
    'shrink',
    'Shrink',
    'Shift+W',
    'Make the selected objects smaller by a pixel all around.',
  ),
};
