import { asSamError, SamError } from '../../errors.js';
import type { Edit, SessionActions } from '../actions.js';
import { closed, isRefused, refuse } from '../edits/closing.js';
import { type CommitOptions, type CommitPlan, planCommit } from '../edits/commit.js';
import * as edits from '../edits/edits.js';
import { needImage } from '../layers.js';
import type { Message, SessionState } from '../state.js';
import { AUTOMATIC_COMMANDS } from './automatic-commands.js';
import { command, needsCurrent, needsImage } from './command.js';

/** Commands that end the work on an object, and those that take steps back and forth. */

const commitRefusal = (state: SessionState) =>
  state.layers.auto_segmentation.objects.size > 0 || state.prompts.length > 0 ? needsImage(state) : needsCurrent(state);

export interface CommitRun extends CommitOptions {
  /** Told what the commit does, just before. */
  readonly onPlan?: (plan: CommitPlan) => void;
  /** Commit without asking also what covers most of the image: for scripts. */
  readonly sure?: boolean;
}

/** A mask of more than this part of the image is more often a slip than an object. */
const LARGE = 0.5;

function commit(session: SessionActions, options: CommitRun): void {
  try {
    session.apply(commitEdit(session.state, options));
  } catch (error) {
    session.apply(refuse());
    throw error;
  }
}

function commitEdit(state: SessionState, { onPlan, sure = false, ...options }: CommitRun = {}): Edit {
  const plan = planCommit(state, options);
  if (!sure) askAboutLarge(state);
  onPlan?.(plan);
  return edits.commit(state, options, plan);
}

/**
 * The edit with the current object committed before it, as one step, so that undoing it once has the object back in work.
 *
 * @throws SamError if the object cannot be committed
 */
export function committingFirst(state: SessionState, edit: Edit): Edit {
  let added: readonly number[] = [];
  const committing = commitEdit(state, {
    onPlan: (plan) => {
      added = plan.added;
    },
  });
  const text = `${added.length === 1 ? `Object ${added[0]} is` : `${added.length} objects are`} committed.`;
  const notice: Message = { level: 'info', text, ...committing.notice, offer: 'undo' };
  return { title: edit.title, notice, change: (now) => edit.change(committing.change(now)) };
}

/** The same for a prompt that begins the next object: what cannot be committed gives way to it, as after Commit. */
export function beginNext(session: SessionActions, edit: Edit): Edit {
  const { state } = session;
  const stepBack: Edit = { ...edit, change: (now) => edit.change(refuse().change(now)) };
  if (state.layers.current_object.objects.size === 0) return stepBack;
  try {
    return committingFirst(state, edit);
  } catch (error) {
    const { message, code } = asSamError(error);
    return { ...stepBack, notice: { level: 'warning', text: message, code, offer: 'undo' } };
  }
}

/** @throws SamError `invalid_argument` the first time, saying that once more means yes */
function askAboutLarge(state: SessionState): void {
  if (isRefused(state)) return;
  const [height, width] = needImage(state).size;
  const areas = [...state.layers.current_object.objects.values()].flatMap(({ masks }) =>
    [...masks.values()].map(({ area }) => area),
  );
  const share = Math.max(0, ...areas) / (height * width);
  if (share <= LARGE) return;
  const text = `The object covers ${Math.round(100 * share)} % of the image. Press C again to commit it all the same.`;
  throw new SamError('invalid_argument', text, { details: { got: share, expected: LARGE } });
}

export const COMMIT_COMMANDS = {
  commit: command<CommitRun | undefined>({
    id: 'commit',
    title: 'Commit',
    group: 'commit',
    scope: 'session',
    keys: ['C'],
    inViewer: true,
    tooltip: 'Commit the segmented object to the committed objects.',
    unavailable: commitRefusal,
    refusesItself: true,
    predict: (state, options) => (options?.layer === 'auto_segmentation' ? state : closed(state)),
    run(session, options = {}) {
      const { layers, prompts } = session.state;
      const current = prompts.length > 0 || layers.current_object.objects.size > 0;
      if (options.layer || current || layers.auto_segmentation.objects.size === 0) return commit(session, options);
      return AUTOMATIC_COMMANDS.accept_automatic.run(session, options);
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
    predict: (state, options) => edits.clearAnnotations(options?.allPlanes).change(state),
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
    run(session) {
      const done = session.redo();
      return typeof done === 'boolean' ? undefined : done;
    },
  }),
};
