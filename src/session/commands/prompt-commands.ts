import type { Prompt } from '../../segmentation/prompts.js';
import type { Edit } from '../actions.js';
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

/** A prompt by hand may begin the next object. */
function begins(state: SessionState, { prompts, byHand }: NewPrompts): boolean {
  const signed = (prompt: Prompt) =>
    prompt.kind === 'point' ? { ...prompt, positive: byHand === 'tool' && state.settings.positive } : prompt;
  return byHand !== undefined && beginsNext(state, prompts.map(signed));
}

function putEdit({ plane, settings }: SessionState, { prompts, byHand }: NewPrompts): Edit {
  if (byHand === undefined) return edits.putPrompts(prompts);
  const positive = byHand === 'tool' && settings.positive;
  return edits.putPrompts(
    prompts.map((prompt) => (prompt.kind === 'point' ? { ...prompt, plane, positive } : { ...prompt, plane })),
  );
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
    predict: (state, given) => putEdit(state, given).change(begins(state, given) ? closed(state) : state),
    run(session, given) {
      const edit = putEdit(session.state, given);
      return withSegmentation(session, begins(session.state, given) ? beginNext(session, edit) : edit);
    },
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
    keys: ['P'],
    tooltip: 'Switch between point and box prompts.',
    predict: (state) => otherTool(state).change(state),
    run: (session) => void session.apply(otherTool(session.state)),
  }),
};

const hasTarget = (state: SessionState) => state.editing !== undefined || selectedObjects(state).ids.length > 0;

export const DELETE_COMMAND = {
  delete: command({
    id: 'delete',
    title: 'Delete',
    group: 'objects',
    scope: 'session',
    keys: ['Delete'],
    tooltip: 'Delete the selected objects, else the object being edited, else the last prompt.',
    unavailable: (state) => (hasTarget(state) ? undefined : needsPrompts(state)),
    predict: (state) => (hasTarget(state) ? state : withoutLast(state).change(state)),
    run(session) {
      const { editing } = session.state;
      const selected = selectedObjects(session.state);
      if (selected.ids.length > 0) session.apply(edits.deleteObjects(selected));
      else if (editing !== undefined) session.apply(edits.deleteObject('committed_objects', editing));
      else return withSegmentation(session, withoutLast(session.state));
    },
  }),
};
