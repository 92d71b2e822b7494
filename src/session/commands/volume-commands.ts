import { SamError } from '../../errors.js';
import { present } from '../../items.js';
import type { Edit } from '../actions.js';
import { annotatorKind } from '../annotator.js';
import * as edits from '../edits/edits.js';
import type { AnnotatorKind, SessionState } from '../state.js';
import { command, needsImage } from './command.js';

/** Commands for stacks of planes: through all slices or frames, and segmentation without prompts. */

const SEGMENT_ALL: Readonly<Record<AnnotatorKind, string>> = {
  '2d': 'Segment all slices',
  '3d': 'Segment all slices',
  tracking: 'Track object',
};

/** What `segment_all` is called for this kind of image. */
export function segmentAllTitle(state: SessionState): string {
  return SEGMENT_ALL[annotatorKind(state)];
}

const needsObject = (state: SessionState) => {
  const without = needsImage(state);
  if (without) return without;
  if (present(state.image, 'an open image').planes === 1) return 'The image has a single plane.';
  const marked = state.prompts.length > 0 || state.layers.current_object.objects.size > 0;
  return marked ? undefined : 'Mark the object in one plane first: click it, or draw a box around it.';
};

const needsStack = (state: SessionState) =>
  needsImage(state) ?? (present(state.image, 'an open image').planes > 1 ? undefined : 'The image has a single plane.');

/** To the neighbouring plane; at the ends it stays where it is. */
function step({ plane, image }: SessionState, by: 1 | -1): Edit {
  return edits.setPlane(Math.min(Math.max(plane + by, 0), (image?.planes ?? 1) - 1));
}

export const VOLUME_COMMANDS = {
  set_plane: command<{ plane: number }>({
    id: 'set_plane',
    title: 'Go to plane',
    group: 'view',
    scope: 'session',
    needsArguments: true,
    tooltip: 'Show another slice or frame.',
    unavailable: needsImage,
    predict: (state, { plane }) => edits.setPlane(plane).change(state),
    run: (session, { plane }) => void session.apply(edits.setPlane(plane)),
  }),
  previous_plane: command({
    id: 'previous_plane',
    title: 'Previous plane',
    group: 'view',
    scope: 'session',
    keys: ['['],
    tooltip: 'Show the slice below or the frame before. The mouse wheel with Shift does it, too.',
    unavailable: needsStack,
    predict: (state) => step(state, -1).change(state),
    run: (session) => void session.apply(step(session.state, -1)),
  }),
  next_plane: command({
    id: 'next_plane',
    title: 'Next plane',
    group: 'view',
    scope: 'session',
    keys: [']'],
    tooltip: 'Show the slice above or the frame after. The mouse wheel with Shift does it, too.',
    unavailable: needsStack,
    predict: (state) => step(state, 1).change(state),
    run: (session) => void session.apply(step(session.state, 1)),
  }),
  segment_all: command({
    id: 'segment_all',
    title: SEGMENT_ALL['3d'],
    group: 'segment',
    scope: 'session',
    keys: ['Shift+S'],
    tooltip:
      'Follow the object from the planes it is marked in through all slices or frames. A single negative point in a ' +
      'plane says that the object is not there.',
    unavailable: needsObject,
    makesStep: true,
    undoStops: true,
    run: (session) =>
      session.segment(segmentAllTitle(session.state), (annotator, state, task) => {
        if (annotator.segmentAll) return annotator.segmentAll(state, task);
        throw new SamError(
          'unsupported',
          `The ${annotator.kind} annotator works on single planes. Open the image as a volume or a time series.`,
        );
      }),
  }),
};
