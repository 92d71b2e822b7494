import { separateObjects } from '../edits/separate.js';
import { command, elsewhere, needsImage } from './command.js';

/** Objects that other programs made. */
export const LOADING_COMMANDS = {
  load_objects: command({
    id: 'load_objects',
    title: 'Load objects …',
    group: 'commit',
    scope: 'app',
    tooltip:
      'Go on from a label image, e.g. what another program segmented: its objects take the place of the committed ones.',
    unavailable: needsImage,
    run: elsewhere,
  }),
  separate_objects: command({
    id: 'separate_objects',
    title: 'Separate objects',
    group: 'commit',
    scope: 'session',
    tooltip:
      'Make every piece of a committed object that touches no other piece an object of its own, e.g. of a mask in which all objects have one number.',
    unavailable: (state) =>
      needsImage(state) ??
      (state.layers.committed_objects.objects.size === 0
        ? 'There are no committed objects.'
        : state.lineages.length > 0
          ? 'The committed objects are tracks, which may come and go.'
          : undefined),
    makesStep: true,
    run: (session) => void session.apply(separateObjects()),
  }),
} as const;
