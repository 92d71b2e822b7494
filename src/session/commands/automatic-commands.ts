import { SamError } from '../../errors.js';
import type { YXYX } from '../../ndimage/array.js';
import type { SessionActions } from '../actions.js';
import {
  type AutomaticChange,
  acceptAutomatic,
  changeAutomatic,
  chooseAutomatic,
  rejectAutomatic,
} from '../edits/automatic-edits.js';
import type { CommitOptions } from '../edits/commit.js';
import { changeSettings, pickObject, removePrompts } from '../edits/edits.js';
import type { Memo } from '../history.js';
import type { SessionState } from '../state.js';
import { type AutomaticRun, propose, runAutomatic, runProposed } from './automatic-run.js';
import { command, needsImage } from './command.js';

/** Commands of automatic segmentation: find everything, tune what counts, and go through what was found. */

const needsAutomatic = (state: SessionState) =>
  needsImage(state) ??
  (state.layers.auto_segmentation.objects.size > 0 ? undefined : 'Run the automatic segmentation first: press A.');

const needsChosen = (state: SessionState) =>
  needsAutomatic(state) ??
  (chosenAutomatic(state) === undefined
    ? 'Choose an automatic object first: click it with the tool Select.'
    : undefined);

/** The automatic object that accept, reject and edit speak of, if it is still there. */
export function chosenAutomatic({ chosenAutomatic: id, layers }: SessionState): number | undefined {
  return id !== undefined && layers.auto_segmentation.objects.has(id) ? id : undefined;
}

/** The box prompt that was drawn last in the visible plane. */
export function drawnBox(state: SessionState): { readonly id: string; readonly box: YXYX } | undefined {
  const last = state.prompts.findLast((prompt) => prompt.kind === 'box' && prompt.plane === state.plane);
  return last?.kind === 'box' ? last : undefined;
}

/** The step that a gesture (one drag of a slider) has made, to which its later changes belong. */
const steps = new WeakMap<SessionActions, { readonly gesture: string; readonly memo: Memo | undefined }>();

export const AUTOMATIC_COMMANDS = {
  automatic_segmentation: command<AutomaticRun | undefined>({
    id: 'automatic_segmentation',
    title: 'Automatic segmentation',
    group: 'automatic',
    scope: 'session',
    keys: ['A'],
    inViewer: true,
    tooltip: 'Segment all objects of the visible plane, or of all planes, without prompts.',
    unavailable: needsImage,
    background: true,
    run: (session, options) => runAutomatic(session, options),
  }),
  automatic_in_box: command({
    id: 'automatic_in_box',
    title: 'Only inside the box',
    group: 'automatic',
    scope: 'session',
    tooltip: 'Segment all objects inside the box that was drawn last, without prompts.',
    background: true,
    unavailable: (state) => needsImage(state) ?? (drawnBox(state) ? undefined : 'Draw a box first.'),
    async run(session) {
      const drawn = drawnBox(session.state);
      if (!drawn) return;
      session.apply(removePrompts([drawn.id]));
      await runAutomatic(session, { region: drawn.box, allPlanes: false });
    },
  }),
  search_deeper: command({
    id: 'search_deeper',
    title: 'Search deeper',
    group: 'automatic',
    scope: 'session',
    tooltip:
      'Ask the model at points in between, too, and keep objects that it is less sure of, so that the thresholds can be lowered further.',
    unavailable: needsImage,
    background: true,
    run: (session) => runAutomatic(session, { deeper: true, allPlanes: false }),
  }),
  run_proposed: command<{ readonly smaller?: number } | undefined>({
    id: 'run_proposed',
    title: 'Start',
    group: 'automatic',
    scope: 'session',
    tooltip: 'Start the automatic segmentation that was asked for, or a smaller piece of it.',
    background: true,
    unavailable: (state) => needsImage(state) ?? (state.proposal ? undefined : 'Nothing waits to be started.'),
    run: (session, options) => runProposed(session, options?.smaller),
  }),
  dismiss_proposal: command({
    id: 'dismiss_proposal',
    title: 'Not now',
    group: 'automatic',
    scope: 'session',
    tooltip: 'Do not start it.',
    unavailable: needsImage,
    run: (session) => void session.apply(propose(undefined)),
  }),
  change_automatic: command<AutomaticChange & { readonly gesture?: string }>({
    id: 'change_automatic',
    title: 'Thresholds',
    group: 'automatic',
    scope: 'session',
    needsArguments: true,
    tooltip: 'Which of the objects that were found count. Acts at once, without the model.',
    unavailable: needsImage,
    run(session, { gesture, ...change }) {
      const edit = changeAutomatic(session.annotator, change);
      const last = steps.get(session);
      const memo = session.apply(edit, gesture !== undefined && last?.gesture === gesture ? last.memo : undefined);
      if (gesture === undefined) steps.delete(session);
      else steps.set(session, { gesture, memo });
    },
  }),
  choose_automatic: command<{ id?: number }>({
    id: 'choose_automatic',
    title: 'Choose automatic object',
    group: 'automatic',
    scope: 'session',
    needsArguments: true,
    gesture: 'Click it with the tool Select',
    tooltip: 'Choose an automatic object to accept, reject or edit.',
    unavailable: needsAutomatic,
    predict: (state, { id }) => chooseAutomatic(id).change(state),
    run: (session, { id }) => void session.apply(chooseAutomatic(id)),
  }),
  accept_automatic: command<(Omit<CommitOptions, 'layer'> & { ids?: readonly number[] }) | undefined>({
    id: 'accept_automatic',
    title: 'Accept',
    group: 'automatic',
    scope: 'session',
    keys: ['Y'],
    tooltip: 'Commit the chosen automatic object.',
    unavailable: needsAutomatic,
    makesStep: true,
    run(session, options) {
      const { ids = [target(session.state)], ...rest } = options ?? {};
      session.apply(acceptAutomatic(session.state, ids, rest));
    },
  }),
  reject_automatic: command<{ ids?: readonly number[] } | undefined>({
    id: 'reject_automatic',
    title: 'Reject',
    group: 'automatic',
    scope: 'session',
    keys: ['Shift+Y'],
    tooltip: 'Remove the chosen automatic object. Other thresholds do not bring it back.',
    unavailable: needsAutomatic,
    predict: (state, options) => rejectAutomatic(options?.ids ?? [target(state)]).change(state),
    run(session, options) {
      session.apply(rejectAutomatic(options?.ids ?? [target(session.state)]));
    },
  }),
  edit_automatic: command({
    id: 'edit_automatic',
    title: 'Edit',
    group: 'automatic',
    scope: 'session',
    tooltip: 'Make the chosen automatic object the current one, to correct it with prompts or the brush.',
    unavailable: needsChosen,
    predict: (state) => pickObject('auto_segmentation', target(state)).change(state),
    run(session) {
      session.apply(pickObject('auto_segmentation', target(session.state)));
      if (session.state.settings.tool === 'pan') session.apply(changeSettings({ tool: 'point' }));
    },
  }),
  accept_all_automatic: command<Omit<CommitOptions, 'layer'> | undefined>({
    id: 'accept_all_automatic',
    title: 'Accept all',
    group: 'automatic',
    scope: 'session',
    keys: ['Shift+A'],
    inViewer: true,
    tooltip: 'Commit all automatic objects that are left.',
    unavailable: needsAutomatic,
    makesStep: true,
    run(session, options) {
      session.apply(acceptAutomatic(session.state, undefined, options));
    },
  }),
};

function target(state: SessionState): number {
  const id = chosenAutomatic(state);
  if (id !== undefined) return id;
  throw new SamError(
    'invalid_argument',
    'Choose an automatic object first: click it with the tool Select. Shift+A accepts all of them.',
  );
}
