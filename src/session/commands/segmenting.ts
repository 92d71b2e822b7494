import { asSamError, SamError } from '../../errors.js';
import type { Edit, SegmentWork, SessionActions } from '../actions.js';
import { promptsOfPlane } from '../annotator.js';
import { chooseCandidate } from './candidates.js';
import { command, needsCurrent, needsPrompts } from './command.js';

/** Segmenting the visible plane from its prompts, and choosing among the masks that the model offers. */

export const SEGMENT = 'Segment object';

/** Of the visible plane. */
export const fromPrompts: SegmentWork = (annotator, state, task) => annotator.segment(state, task);

/** Applies the edit and, if the user wants masks at once, segments; the mask becomes part of the edit's step. */
export async function withSegmentation(session: SessionActions, edit: Edit): Promise<void> {
  const step = session.apply(edit);
  if (!step || !session.state.settings.autoSegment || promptsOfPlane(session.state).length === 0) return;
  if (!session.annotator) {
    session.notify({ level: 'info', text: 'The mask appears as soon as the model is ready.' });
    return;
  }
  await session.segment(SEGMENT, fromPrompts, { amend: step }).catch((error) => {
    if (asSamError(error).code !== 'cancelled') throw error; // stopped by hand; the prompt stays
  });
}

export const SEGMENT_COMMANDS = {
  segment_object: command({
    id: 'segment_object',
    title: SEGMENT,
    group: 'segment',
    scope: 'session',
    keys: ['S'],
    inViewer: true,
    tooltip: 'Segment the object from the current prompts.',
    unavailable: needsPrompts,
    makesStep: true,
    run: (session) => session.segment(SEGMENT, fromPrompts),
  }),
  next_candidate: command({
    id: 'next_candidate',
    title: 'Next mask',
    group: 'segment',
    scope: 'session',
    keys: ['X'],
    inViewer: true,
    tooltip: 'Use another of the three masks that the model offers for a single point, from small to large.',
    unavailable: (state) =>
      needsCurrent(state) ?? (state.candidates ? undefined : 'Other masks are offered for a single positive point.'),
    makesStep: true,
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
    needsArguments: true,
    tooltip: 'Use this one of the masks that the model offers.',
    unavailable: needsCurrent,
    makesStep: true,
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
    makesStep: true,
    run: (session) =>
      session.segment('Refine', (annotator, state, task) => {
        if (!annotator.refine)
          throw new SamError('unsupported', `The ${annotator.kind} annotator cannot refine a mask.`);
        return annotator.refine(state, task);
      }),
  }),
};
