import type { YX } from '../../ndimage/array.js';
import type { Edit } from '../actions.js';
import * as edits from '../edits/edits.js';
import { editPolygon, paint, type Stroke, type Target } from '../edits/painting.js';
import type { ObjectLayerName, SessionSettings, SessionState } from '../state.js';
import { AUTOMATIC_COMMANDS } from './automatic-commands.js';
import { type Command, command, elsewhere, needsImage } from './command.js';
import { COMMIT_COMMANDS, committingFirst } from './commit-commands.js';
import { EDIT_COMMANDS } from './edit-commands.js';
import { FACT_COMMANDS } from './fact-commands.js';
import { LOADING_COMMANDS } from './loading-commands.js';
import { DELETE_COMMAND, PROMPT_COMMANDS } from './prompt-commands.js';
import { SEGMENT_COMMANDS } from './segmenting.js';
import { TOOL_COMMANDS } from './tool-commands.js';
import { TRACKING_COMMANDS } from './tracking-commands.js';
import { VIEW_COMMANDS } from './view-commands.js';
import { VOLUME_COMMANDS } from './volume-commands.js';

export type { Command, CommandGroup } from './command.js';

interface Picked {
  readonly layer?: 'committed_objects' | 'auto_segmentation';
  readonly id: number;
}

function pick(state: SessionState, { layer = 'committed_objects', id }: Picked): Edit {
  const edit = edits.pickObject(layer, id);
  const first = state.settings.autoCommit && state.editing !== id && edits.hasUncommittedWork(state);
  return first ? committingFirst(state, edit) : edit;
}

/**
 * The single table of what a user can do. Keys, panel buttons, the help overlay, docs/keys.md and the viewer's own
 * buttons come from it; the RPC service runs the same entries. Tooltips use micro-sam's wording where it has one.
 */
export const COMMANDS = {
  open_image: command({
    id: 'open_image',
    title: 'Open image …',
    group: 'image',
    scope: 'app',
    keys: ['Ctrl+O'],
    tooltip: 'Open an image from a file. Files can also be dropped on the viewer.',
    run: elsewhere,
  }),
  compute_embeddings: command({
    id: 'compute_embeddings',
    title: 'Compute embeddings',
    group: 'image',
    scope: 'session',
    keys: ['E'],
    tooltip: 'Compute the image embeddings or load them if they were computed before.',
    unavailable: (state) =>
      needsImage(state) ?? (state.embedding === 'computing' ? 'The embeddings are being computed.' : undefined),
    background: true,
    run: (session) => session.prepare(),
  }),
  improve_model: command({
    id: 'improve_model',
    title: 'Improve the model on my objects …',
    group: 'image',
    scope: 'app',
    tooltip: 'Train the model further on the objects that you have committed, on this computer.',
    unavailable: needsImage,
    run: elsewhere,
  }),
  ...TOOL_COMMANDS,
  ...PROMPT_COMMANDS,
  ...SEGMENT_COMMANDS,
  paint: command<Stroke & { target?: Target }>({
    id: 'paint',
    title: 'Paint',
    group: 'objects',
    scope: 'session',
    needsArguments: true,
    gesture: 'Brush, eraser, fill',
    tooltip: 'Correct an object by hand.',
    unavailable: needsImage,
    predict: (state, { target, ...stroke }) => paint(stroke, target).change(state),
    run: (session, { target, ...stroke }) => void session.apply(paint(stroke, target)),
  }),
  edit_outline: command<{ layer: ObjectLayerName; id: number; rings: readonly (readonly YX[])[] }>({
    id: 'edit_outline',
    title: 'Edit outline',
    group: 'objects',
    scope: 'session',
    needsArguments: true,
    gesture: 'Drag an outline',
    tooltip: 'Replace an object by an outline drawn by hand.',
    unavailable: needsImage,
    predict: (state, { layer, id, rings }) => editPolygon(layer, id, rings).change(state),
    run: (session, { layer, id, rings }) => void session.apply(editPolygon(layer, id, rings)),
  }),
  pick_object: command<Picked>({
    id: 'pick_object',
    title: 'Edit object',
    group: 'objects',
    scope: 'session',
    needsArguments: true,
    gesture: 'Click an object with the tool Select',
    tooltip: 'Make a committed object the current one again, with its prompts. Committing gives it back its id.',
    unavailable: needsImage,
    predict: (state, picked) => pick(state, picked).change(state),
    run: (session, picked) => void session.apply(pick(session.state, picked)),
  }),
  ...EDIT_COMMANDS,
  ...FACT_COMMANDS,
  ...DELETE_COMMAND,
  delete_object: command<{ layer: ObjectLayerName; id: number }>({
    id: 'delete_object',
    title: 'Delete object',
    group: 'objects',
    scope: 'session',
    needsArguments: true,
    tooltip: 'Delete an object of a layer.',
    unavailable: needsImage,
    predict: (state, { layer, id }) => edits.deleteObject(layer, id).change(state),
    run: (session, { layer, id }) => void session.apply(edits.deleteObject(layer, id)),
  }),
  ...COMMIT_COMMANDS,
  set_settings: command<Partial<SessionSettings>>({
    id: 'set_settings',
    title: 'Settings',
    group: 'view',
    scope: 'session',
    needsArguments: true,
    tooltip: 'Change the parameters of the annotator.',
    predict: (state, settings) => edits.changeSettings(settings).change(state),
    run: (session, settings) => void session.apply(edits.changeSettings(settings)),
  }),
  previous_image: command({
    id: 'previous_image',
    title: 'Previous image',
    group: 'image',
    scope: 'app',
    keys: ['Shift+N'],
    tooltip: 'Open the image of the series before this one. The work on this one is saved.',
    run: elsewhere,
  }),
  next_image: command({
    id: 'next_image',
    title: 'Next image',
    group: 'image',
    scope: 'app',
    keys: ['N'],
    tooltip: 'Open the next image of the series. The work on this one is saved.',
    run: elsewhere,
  }),
  cancel: command<{ task?: number } | undefined>({
    id: 'cancel',
    title: 'Cancel',
    group: 'segment',
    scope: 'session',
    keys: ['Escape'],
    tooltip: 'Stop the running computation.',
    atOnce: true,
    unavailable: (state) => (state.tasks.length > 0 ? undefined : 'Nothing is running.'),
    run: (session, options) => session.cancel(options?.task),
  }),
  ...LOADING_COMMANDS,
  earlier_versions: command({
    id: 'earlier_versions',
    title: 'Earlier versions …',
    group: 'commit',
    scope: 'app',
    tooltip:
      'Open the work on this image as it was, a copy made in a second window, or what was rescued of damaged files.',
    unavailable: needsImage,
    run: elsewhere,
  }),
  export_labels: command({
    id: 'export_labels',
    title: 'Save objects …',
    group: 'commit',
    scope: 'app',
    keys: ['Ctrl+S'],
    tooltip: 'Save the committed objects as a label image or outlines that Fiji, napari and QuPath open.',
    unavailable: (state) =>
      needsImage(state) ??
      (state.layers.committed_objects.objects.size > 0 ? undefined : 'Commit an object first: press C.'),
    run: elsewhere,
  }),
  ...VIEW_COMMANDS,
  toggle_objects: command({
    id: 'toggle_objects',
    title: 'Hide / show objects',
    group: 'view',
    scope: 'view',
    keys: ['V'],
    tooltip: 'Hide or show all objects.',
    run: elsewhere,
  }),
  toggle_sections: command({
    id: 'toggle_sections',
    title: 'Sections xz, yz',
    group: 'view',
    scope: 'view',
    keys: ['O'],
    tooltip:
      'Show a volume from the side, cut through the place under the pointer; then through the last prompt, or where you click in a section.',
    unavailable: (state) =>
      needsImage(state) ??
      (state.image?.axes.includes('z') ? undefined : 'Sections need a volume, and this image is not one.'),
    run: elsewhere,
  }),
  show_in_3d: command({
    id: 'show_in_3d',
    title: 'Objects in 3D …',
    group: 'view',
    scope: 'app',
    keys: ['Shift+O'],
    tooltip: 'Look at the objects of a volume from all sides.',
    unavailable: (state) =>
      needsImage(state) ??
      (!state.image?.axes.includes('z')
        ? 'Only the objects of a volume can be shown in 3D, and this image is not one.'
        : state.layers.committed_objects.objects.size + state.layers.current_object.objects.size > 0
          ? undefined
          : 'Segment an object first: click it.'),
    run: elsewhere,
  }),
  shuffle_colors: command({
    id: 'shuffle_colors',
    title: 'Shuffle colours',
    group: 'view',
    scope: 'view',
    tooltip: 'Give the objects other colours.',
    run: elsewhere,
  }),
  command_palette: command({
    id: 'command_palette',
    title: 'All commands …',
    group: 'help',
    scope: 'app',
    keys: ['Ctrl+K'],
    tooltip: 'Find a command by its name and run it.',
    run: elsewhere,
  }),
  help: command({
    id: 'help',
    title: 'Help',
    group: 'help',
    scope: 'view',
    keys: ['?', 'F1'],
    tooltip: 'Show all keys.',
    run: elsewhere,
  }),
  ...VOLUME_COMMANDS,
  ...AUTOMATIC_COMMANDS,
  ...TRACKING_COMMANDS,
};

export type CommandId = keyof typeof COMMANDS;

/** The arguments of `session.run(id, …)`: none, one, or one that may be left out. */
export type CommandArguments<Id extends CommandId> =
  (typeof COMMANDS)[Id] extends Command<infer Args> ? (undefined extends Args ? [args?: Args] : [args: Args]) : never;

/** The table as a list, in the order of the panel and of the help. */
export const COMMAND_LIST: readonly Command<never>[] = Object.values(COMMANDS);

export function isCommandId(id: string): id is CommandId {
  return Object.hasOwn(COMMANDS, id);
}

/** Why the command cannot be done now; undefined if it can. */
export function refusal(id: CommandId, state: SessionState): string | undefined {
  return COMMANDS[id].unavailable?.(state);
}
