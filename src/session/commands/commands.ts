import { asSamError, SamError } from '../../errors.js';
import type { YX } from '../../ndimage/array.js';
import type { Prompt } from '../../segmentation/prompts.js';
import type { TaskOptions } from '../../task.js';
import type { Edit, SessionActions } from '../actions.js';
import { type Annotator, promptsOfPlane } from '../annotator.js';
import type { CommitOptions } from '../edits/commit.js';
import * as edits from '../edits/edits.js';
import { editPolygon, paint, type Stroke, type Target } from '../edits/painting.js';
import type { Memo } from '../history.js';
import type { ObjectLayerName, SessionSettings, SessionState } from '../state.js';
import { AUTOMATIC_COMMANDS } from './automatic-commands.js';
import { chooseCandidate } from './candidates.js';
import { type Command, command, elsewhere, needsCurrent, needsImage, needsPrompts } from './command.js';
import { TRACKING_COMMANDS } from './tracking-commands.js';
import { VOLUME_COMMANDS } from './volume-commands.js';

export type { Command, CommandGroup } from './command.js';

const SEGMENT = 'Segment object';

const commitRefusal = (state: SessionState) =>
  state.layers.auto_segmentation.objects.size > 0 ? undefined : needsCurrent(state);

/** Applies the edit and, if the user wants masks at once, segments; the mask becomes part of the edit's step. */
async function withSegmentation(session: SessionActions, edit: Edit): Promise<void> {
  const step = session.apply(edit);
  if (!step || !session.state.settings.autoSegment || promptsOfPlane(session.state).length === 0) return;
  if (!session.annotator) {
    session.notify({ level: 'info', text: 'The mask appears as soon as the model is ready.' });
    return;
  }
  await segmentNow(session, step).catch((error) => {
    if (asSamError(error).code !== 'cancelled') throw error; // superseded by the next prompt
  });
}

/** Segments the visible plane; with `amend`, as part of that step. */
export function segmentNow(session: SessionActions, amend?: Memo): Promise<void> {
  return session.segment(SEGMENT, segmentPlane, { amend });
}

const segmentPlane = (annotator: Annotator, state: SessionState, task: TaskOptions) => annotator.segment(state, task);

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
    run: (session) => session.prepare(),
  }),
  put_prompts: command<{ prompts: readonly Prompt[] }>({
    id: 'put_prompts',
    title: 'Add prompt',
    group: 'prompts',
    scope: 'session',
    gesture: 'Click, or drag a box',
    tooltip: 'Add a point or a box on the object to segment. Prompts can be moved and deleted in the viewer.',
    unavailable: needsImage,
    run: (session, { prompts }) => withSegmentation(session, edits.putPrompts(prompts)),
  }),
  change_prompt: command<{ prompt: Prompt }>({
    id: 'change_prompt',
    title: 'Move prompt',
    group: 'prompts',
    scope: 'session',
    gesture: 'Drag a prompt',
    tooltip: 'Move a prompt; the mask follows.',
    unavailable: needsImage,
    run: (session, { prompt }) => withSegmentation(session, edits.changePrompt(prompt)),
  }),
  remove_prompts: command<{ ids: readonly string[] }>({
    id: 'remove_prompts',
    title: 'Remove prompt',
    group: 'prompts',
    scope: 'session',
    tooltip: 'Remove prompts; the mask follows. Without ids: the last one.',
    unavailable: needsPrompts,
    run: (session, { ids }) => withSegmentation(session, edits.removePrompts(ids)),
  }),
  toggle_label: command({
    id: 'toggle_label',
    title: 'Positive / negative',
    group: 'prompts',
    scope: 'session',
    keys: ['T'],
    inViewer: true,
    tooltip: 'Toggle between positive points, which lie in the object, and negative points, which lie outside of it.',
    run: (session) => void session.apply(edits.changeSettings({ positive: !session.state.settings.positive })),
  }),
  toggle_tool: command({
    id: 'toggle_tool',
    title: 'Point / box',
    group: 'prompts',
    scope: 'session',
    keys: ['P'],
    tooltip: 'Switch between point and box prompts.',
    run: (session) =>
      void session.apply(edits.changeSettings({ tool: session.state.settings.tool === 'point' ? 'box' : 'point' })),
  }),
  segment_object: command({
    id: 'segment_object',
    title: SEGMENT,
    group: 'segment',
    scope: 'session',
    keys: ['S'],
    inViewer: true,
    tooltip: 'Segment the object from the current prompts.',
    unavailable: needsPrompts,
    run: (session) => segmentNow(session),
  }),
  next_candidate: command({
    id: 'next_candidate',
    title: 'Next mask',
    group: 'segment',
    scope: 'session',
    keys: ['X'],
    tooltip: 'Use another of the three masks that the model offers for a single point, from small to large.',
    unavailable: (state) =>
      needsCurrent(state) ?? (state.candidates ? undefined : 'Other masks are offered for a single positive point.'),
    run(session) {
      const { candidates } = session.state;
      return candidates && chooseCandidate(session, (candidates.chosen + 1) % candidates.masks.length);
    },
  }),
  choose_candidate: command<{ index: number }>({
    id: 'choose_candidate',
    title: 'Choose mask',
    group: 'segment',
    scope: 'session',
    tooltip: 'Use this one of the masks that the model offers.',
    unavailable: needsCurrent,
    run: (session, { index }) => chooseCandidate(session, index),
  }),
  refine_object: command({
    id: 'refine_object',
    title: 'Refine',
    group: 'segment',
    scope: 'session',
    keys: ['R'],
    tooltip: 'Run the model once more from the same prompts and the mask it has now.',
    unavailable: (state) => needsCurrent(state) ?? needsPrompts(state),
    run: (session) =>
      session.segment('Refine', (annotator, state, task) => {
        if (!annotator.refine)
          throw new SamError('unsupported', `The ${annotator.kind} annotator cannot refine a mask.`);
        return annotator.refine(state, task);
      }),
  }),
  paint: command<Stroke & { target?: Target }>({
    id: 'paint',
    title: 'Paint',
    group: 'objects',
    scope: 'session',
    gesture: 'Brush, eraser, fill',
    tooltip: 'Correct an object by hand.',
    unavailable: needsImage,
    run: (session, { target, ...stroke }) => void session.apply(paint(stroke, target)),
  }),
  edit_outline: command<{ layer: ObjectLayerName; id: number; rings: readonly (readonly YX[])[] }>({
    id: 'edit_outline',
    title: 'Edit outline',
    group: 'objects',
    scope: 'session',
    gesture: 'Drag an outline',
    tooltip: 'Replace an object by an outline drawn by hand.',
    unavailable: needsImage,
    run: (session, { layer, id, rings }) => void session.apply(editPolygon(layer, id, rings)),
  }),
  pick_object: command<{ layer?: 'committed_objects' | 'auto_segmentation'; id: number }>({
    id: 'pick_object',
    title: 'Edit object',
    group: 'objects',
    scope: 'session',
    gesture: 'Click an object with the tool Select',
    tooltip: 'Make a committed object the current one again, with its prompts. Committing gives it back its id.',
    unavailable: needsImage,
    run: (session, { layer = 'committed_objects', id }) => void session.apply(edits.pickObject(layer, id)),
  }),
  delete: command({
    id: 'delete',
    title: 'Delete',
    group: 'objects',
    scope: 'session',
    keys: ['Delete'],
    tooltip: 'Delete the object being edited, else the last prompt.',
    unavailable: (state) => (state.editing === undefined ? needsPrompts(state) : undefined),
    run(session) {
      const { editing, prompts } = session.state;
      if (editing !== undefined) session.apply(edits.deleteObject('committed_objects', editing));
      else return withSegmentation(session, edits.removePrompts([prompts.at(-1)!.id]));
    },
  }),
  delete_object: command<{ layer: ObjectLayerName; id: number }>({
    id: 'delete_object',
    title: 'Delete object',
    group: 'objects',
    scope: 'session',
    tooltip: 'Delete an object of a layer.',
    unavailable: needsImage,
    run: (session, { layer, id }) => void session.apply(edits.deleteObject(layer, id)),
  }),
  commit: command<CommitOptions | undefined>({
    id: 'commit',
    title: 'Commit',
    group: 'commit',
    scope: 'session',
    keys: ['C'],
    inViewer: true,
    tooltip: 'Commit the segmented object to the committed objects.',
    // With prompts and work under way, the object is about to come: `run` waits for it.
    unavailable: (state) => (state.tasks.length > 0 && state.prompts.length > 0 ? undefined : commitRefusal(state)),
    async run(session, options) {
      await session.settled();
      const { layers } = session.state;
      if (!options?.layer && layers.current_object.objects.size === 0 && layers.auto_segmentation.objects.size > 0)
        await AUTOMATIC_COMMANDS.accept_automatic.run(session, options);
      else session.apply(edits.commit(session.state, options));
    },
  }),
  clear_annotations: command<{ allPlanes?: boolean } | undefined>({
    id: 'clear_annotations',
    title: 'Clear annotations',
    group: 'commit',
    scope: 'session',
    keys: ['Shift+C'],
    inViewer: true,
    tooltip: 'Clear the prompts and the current object. Committed objects stay.',
    unavailable: needsImage,
    run: (session, options) => void session.apply(edits.clearAnnotations(options?.allPlanes)),
  }),
  undo: command({
    id: 'undo',
    title: 'Undo',
    group: 'commit',
    scope: 'session',
    keys: ['Ctrl+Z'],
    inViewer: true,
    tooltip: 'Take back the last step: prompts, masks, painting, commits.',
    unavailable: (state) => (state.history.undo === undefined ? 'There is nothing to undo.' : undefined),
    run: (session) => void session.undo(),
  }),
  redo: command({
    id: 'redo',
    title: 'Redo',
    group: 'commit',
    scope: 'session',
    keys: ['Ctrl+Shift+Z', 'Ctrl+Y'],
    inViewer: true,
    tooltip: 'Do again what was taken back.',
    unavailable: (state) => (state.history.redo === undefined ? 'There is nothing to redo.' : undefined),
    run: (session) => void session.redo(),
  }),
  set_settings: command<Partial<SessionSettings>>({
    id: 'set_settings',
    title: 'Settings',
    group: 'view',
    scope: 'session',
    tooltip: 'Change the parameters of the annotator.',
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
    unavailable: (state) => (state.tasks.length > 0 ? undefined : 'Nothing is running.'),
    run: (session, options) => session.cancel(options?.task),
  }),
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
      needsImage(state) ?? (state.image?.axes.includes('z') ? undefined : 'Sections are for volumes; this is none.'),
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
