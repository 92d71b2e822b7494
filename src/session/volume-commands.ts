import { SamError } from '../errors.js';
import { annotatorKind } from './annotator.js';
import { command, needsImage } from './command.js';
import type { AnnotatorKind, SessionState } from './state.js';

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
  if (state.image!.planes === 1) return 'The image has a single plane.';
  const marked = state.prompts.length > 0 || state.layers.current_object.objects.size > 0;
  return marked ? undefined : 'Mark the object in one plane first: click it, or draw a box around it.';
};

export const VOLUME_COMMANDS = {
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
