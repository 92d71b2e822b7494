import { SamError } from '../../errors.js';
import type { YX } from '../../ndimage/array.js';
import { pointsAlong, pointsInside } from '../../segmentation/points-from-shape.js';
import type { Prompt } from '../../segmentation/prompts.js';
import type { Edit, SessionActions } from '../actions.js';
import { annotatorKind } from '../annotator.js';
import { beginsNext } from '../edits/auto-commit.js';
import { closed } from '../edits/closing.js';
import * as edits from '../edits/edits.js';
import { selectedObjects } from '../edits/selection.js';
import type { SessionState } from '../state.js';
import { command, needsImage, needsPrompts } from './command.js';
import { beginNext } from './commit-commands.js';
import { withSegmentation } from './segmenting.js';

/** Commands on prompts: each changes them at once, and the mask follows. */

export interface NewPrompts {
  readonly prompts: readonly Prompt[];
  /**
   * Given with the pointer: they belong to the visible plane, and their points are positive or negative as the tool in
   * hand is, or negative whatever it is. Both are as they are when the command's turn has come.
   */
  readonly byHand?: 'tool' | 'negative';
}

/** What is done to the prompts, and whether the next object begins with it, as one by hand may. */
function putEdit(state: SessionState, given: NewPrompts): { readonly edit: Edit; readonly begins: boolean } {
  const prompts = promptsOf(state, given);
  return { edit: edits.putPrompts(prompts), begins: given.byHand !== undefined && beginsNext(state, prompts) };
}

/** What the hand means by what it has drawn: a shape with the negative tool is negative points inside of it. */
function promptsOf({ plane, settings, image }: SessionState, { prompts, byHand }: NewPrompts): readonly Prompt[] {
  if (byHand === undefined) return prompts;
  const positive = byHand === 'tool' && settings.positive;
  return prompts.flatMap((prompt): Prompt | Prompt[] => {
    if (prompt.kind === 'point') return { ...prompt, plane, positive };
    if (positive || !image || !('ring' in prompt)) return { ...prompt, plane };
    return pointPrompts(prompt.id, plane, pointsInside(prompt.ring, image.size), false);
  });
}

function pointPrompts(id: string, plane: number, places: readonly YX[], positive: boolean): Prompt[] {
  return places.map((at, k) => ({ kind: 'point', id: `${id}-${k}`, plane, at, positive }));
}

function putByHand(session: SessionActions, given: NewPrompts): Promise<void> {
  const { edit, begins } = putEdit(session.state, given);
  return withSegmentation(session, begins ? beginNext(session, edit) : edit);
}

function predictPut(state: SessionState, given: NewPrompts): SessionState {
  const { edit, begins } = putEdit(state, given);
  return edit.change(begins ? closed(state) : state);
}

export interface Scribble {
  /** Its points are called so, and numbered. */
  readonly id: string;
  /** (y, x) positions in the visible plane. */
  readonly path: readonly YX[];
}

/** @throws SamError `invalid_prompt` */
function scribbled({ image, plane, settings }: SessionState, { id, path }: Scribble): NewPrompts {
  if (settings.batched)
    throw new SamError('invalid_prompt', 'A scribble is for one object, and Batched is on. Switch it off, or click.');
  if (path.length === 0 || !path.flat().every(Number.isFinite))
    throw new SamError('invalid_prompt', 'A scribble needs at least one (y, x) position made of numbers.');
  const places = image ? pointsAlong(path, image.size) : [];
  if (places.length === 0) throw new SamError('invalid_prompt', 'The scribble lies outside of the image.');
  return { prompts: pointPrompts(id, plane, places, true), byHand: 'tool' };
}

const otherSign = ({ settings }: SessionState) => edits.changeSettings({ positive: !settings.positive });
const otherPace = ({ settings }: SessionState) => edits.changeSettings({ autoCommit: !settings.autoCommit });
const otherTool = ({ settings }: SessionState) =>
  edits.changeSettings({ tool: settings.tool === 'point' ? 'box' : 'point' });
const withoutLast = ({ prompts }: SessionState) => edits.removePrompts(prompts.slice(-1).map(({ id }) => id));

export const PROMPT_COMMANDS = {
  put_prompts: command<NewPrompts>({
    id: 'put_prompts',
    title: 'Add prompt',
    group: 'prompts',
    scope: 'session',
    needsArguments: true,
    gesture: 'Click, or drag a box',
    tooltip: 'Add a point or a box on the object to segment. Prompts can be moved and deleted in the viewer.',
    unavailable: needsImage,
    predict: predictPut,
    run: putByHand,
  }),
  scribble: command<Scribble>({
    id: 'scribble',
    title: 'Scribble',
    group: 'prompts',
    scope: 'session',
    needsArguments: true,
    gesture: 'Tool Scribble: draw over an object',
    tooltip: 'Give the points along a stroke, positive or negative as points are.',
    unavailable: needsImage,
    predict: (state, given) => predictPut(state, scribbled(state, given)),
    run: (session, given) => putByHand(session, scribbled(session.state, given)),
  }),
  change_prompt: command<{ prompt: Prompt }>({
    id: 'change_prompt',
    title: 'Move prompt',
    group: 'prompts',
    scope: 'session',
    needsArguments: true,
    gesture: 'Drag a prompt',
    tooltip: 'Move a prompt; the mask follows.',
    unavailable: needsImage,
    predict: (state, { prompt }) => edits.changePrompt(prompt).change(state),
    run: (session, { prompt }) => withSegmentation(session, edits.changePrompt(prompt)),
  }),
  remove_prompts: command<{ ids: readonly string[] }>({
    id: 'remove_prompts',
    title: 'Remove prompt',
    group: 'prompts',
    scope: 'session',
    needsArguments: true,
    tooltip: 'Remove prompts; the mask follows. Without ids: the last one.',
    unavailable: needsPrompts,
    predict: (state, { ids }) => edits.removePrompts(ids).change(state),
    run: (session, { ids }) => withSegmentation(session, edits.removePrompts(ids)),
  }),
  toggle_label: command({
    id: 'toggle_label',
    title: 'Positive / negative',
    group: 'prompts',
    scope: 'session',
    keys: ['T'],
    inViewer: true,
    tooltip:
      'Toggle between positive points, which lie in the object, and negative points, which lie outside of it. The right ' +
      'mouse button, or Ctrl+click, is a negative point at any time, in the built-in viewer.',
    predict: (state) => otherSign(state).change(state),
    run: (session) => void session.apply(otherSign(session.state)),
  }),
  toggle_auto_commit: command({
    id: 'toggle_auto_commit',
    title: 'Auto-commit',
    group: 'commit',
    scope: 'session',
    inViewer: true,
    keys: ['K'],
    tooltip:
      'A click outside of the current object commits it and begins the next one; a click on it, and a negative point, ' +
      'still correct it. Undo takes back the click and the commit together.',
    unavailable: (state) =>
      annotatorKind(state) === 'tracking' ? 'A track takes several clicks: press C when it is done.' : undefined,
    predict: (state) => otherPace(state).change(state),
    run: (session) => void session.apply(otherPace(session.state)),
  }),
  toggle_tool: command({
    id: 'toggle_tool',
    title: 'Point / box',
    group: 'prompts',
    scope: 'session',
    inViewer: true,
    keys: ['P'],
    tooltip: 'Switch between point and box prompts.',
    predict: (state) => otherTool(state).change(state),
    run: (session) => void session.apply(otherTool(session.state)),
  }),
};

const hasTarget = (state: SessionState) => state.editing !== undefined || selectedObjects(state).ids.length > 0;

function deleteEdit(state: SessionState): Edit {
  const selected = selectedObjects(state);
  if (selected.ids.length > 0) return edits.deleteObjects(selected);
  return state.editing === undefined ? withoutLast(state) : edits.deleteObject('committed_objects', state.editing);
}

export const DELETE_COMMAND = {
  delete: command({
    id: 'delete',
    title: 'Delete',
    group: 'objects',
    scope: 'session',
    keys: ['Delete'],
    tooltip: 'Delete the selected objects, else the object being edited, else the last prompt.',
    unavailable: (state) => (hasTarget(state) ? undefined : needsPrompts(state)),
    predict: (state) => deleteEdit(state).change(state),
    run(session) {
      const edit = deleteEdit(session.state);
      if (!hasTarget(session.state)) return withSegmentation(session, edit);
      session.apply(edit);
    },
  }),
};
